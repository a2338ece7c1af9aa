<?php
$title = 'Оформление заказа';
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/modules/main/include/prolog_before.php';
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/components/bitrix/sale.order.ajax/component.php';
