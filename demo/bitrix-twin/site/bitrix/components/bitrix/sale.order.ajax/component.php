<?php
$action = isset($_POST['soa-action']) ? $_POST['soa-action'] : '';
if ($action) {
    $errors = $action === 'saveOrderAjax' ? TwinOrder::errors($_POST) : array();
    $delivery = TwinOrder::chosen($_POST);
    $order = array('TOTAL' => Twin::money(TwinBasket::total() + $delivery['PRICE']));
    if ($errors) { $order['ERROR'] = $errors; }
    if ($action === 'saveOrderAjax' && !$errors) {
        $order['ID'] = TwinOrder::save($_POST);
        $order['REDIRECT_URL'] = "/personal/order/make/?ORDER_ID=$order[ID]";
        Twin::epilog();
    }
    header('Content-Type: application/json');
    exit(json_encode(array('order' => $order), JSON_UNESCAPED_UNICODE));
}
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/header.php';
require __DIR__ . '/templates/.default/' . (isset($_GET['ORDER_ID']) ? 'confirm.php' : 'template.php');
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/footer.php';
