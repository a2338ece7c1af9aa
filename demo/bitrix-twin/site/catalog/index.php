<?php
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/modules/main/include/prolog_before.php';
$number = isset($_GET['ELEMENT_ID']) ? (int) $_GET['ELEMENT_ID'] : 0;
if (isset($_GET['action']) && $_GET['action'] === 'ADD2BASKET') {
    TwinBasket::add((int) $_GET['id']);
    header('Content-Type: application/json');
    exit(json_encode(array('STATUS' => 'OK', 'MESSAGE' => 'Товар добавлен в корзину')));
}
if ($number) {
    $found = TwinCatalog::products("e.ID = $number");
    $title = $found ? $found[0]['NAME'] : 'Элемент не найден';
    if (!$found) { http_response_code(404); }
    require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/header.php';
    echo $found ? TwinCatalog::shown($found[0]) : '<p>Элемент не найден</p>';
} else {
    $section = isset($_GET['SECTION_ID']) ? (int) $_GET['SECTION_ID'] : 0;
    $title = 'Каталог';
    require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/header.php';
    echo TwinCatalog::listed($section ? "e.IBLOCK_SECTION_ID = $section" : '1 = 1');
}
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/footer.php';
