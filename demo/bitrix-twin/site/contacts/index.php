<?php
$title = 'Контакты';
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/header.php';
echo '<p>Улица Выдуманная, 1. Телефон: +7 000 000-00-00.</p>';
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/footer.php';
