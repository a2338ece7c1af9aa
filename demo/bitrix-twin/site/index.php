<?php
$title = 'Чай';
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/header.php';
echo TwinCatalog::listed('1 = 1');
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/footer.php';
