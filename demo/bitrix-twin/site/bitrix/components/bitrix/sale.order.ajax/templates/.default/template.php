<?php
if (!TwinBasket::lines()) { echo '<div class="bx-soa-empty-cart-container">Ваша корзина пуста</div>'; return; }
$delivery = TwinOrder::chosen(array());
function twin_section($name, $title, $content, $selected)
{
    echo "<div id=\"bx-soa-$name\" class=\"bx-soa-section" . ($selected ? ' bx-selected' : '') . "\"><div class=\"bx-soa-section-title-container\"><h2 class=\"bx-soa-section-title\">$title</h2>"
        . "<a href=\"javascript:void(0)\" class=\"bx-soa-editstep\">изменить</a></div><div class=\"bx-soa-section-content\">$content</div></div>";
}
?>
<form action="/personal/order/make/" method="POST" name="ORDER_FORM" id="bx-soa-order-form">
<div id="bx-soa-order" style="opacity: 0">
<div id="bx-soa-main-notifications"><div class="alert alert-danger" style="display: none"></div></div>
<?php
$html = '';
foreach (TwinOrder::deliveries() as $row) {
    $html .= "<label class=\"bx-soa-pp-company\"><input type=\"radio\" id=\"ID_DELIVERY_ID_$row[ID]\" name=\"DELIVERY_ID\" value=\"$row[ID]\"" . ($row['ID'] === $delivery['ID'] ? ' checked' : '') . "> <span class=\"bx-soa-pp-company-smalltitle\">$row[NAME]</span> " . Twin::money($row['PRICE']) . '</label> ';
}
twin_section('delivery', 'Доставка', $html, true);
$html = '';
foreach (TwinOrder::payments() as $i => $row) {
    $html .= "<label class=\"bx-soa-pp-company\"><input type=\"radio\" id=\"ID_PAY_SYSTEM_ID_$row[ID]\" name=\"PAY_SYSTEM_ID\" value=\"$row[ID]\"" . ($i ? '' : ' checked') . "> <span class=\"bx-soa-pp-company-smalltitle\">$row[NAME]</span></label> ";
}
twin_section('paysystem', 'Оплата', $html, false);
$html = '';
foreach (TwinOrder::props() as $prop) { $html .= "<div class=\"bx-soa-customer-field\" data-property-id-row=\"$prop[ID]\"><label for=\"soa-property-$prop[ID]\">$prop[NAME]</label> <input type=\"text\" id=\"soa-property-$prop[ID]\" name=\"ORDER_PROP_$prop[ID]\"></div>"; }
twin_section('properties', 'Покупатель', $html, false);
?>
<div id="bx-soa-total"><div class="bx-soa-cart-total"><div class="bx-soa-cart-total-line">Товаров на: <?= Twin::money(TwinBasket::total()) ?></div>
<div class="bx-soa-cart-total-line bx-soa-cart-total-line-total">Итого: <span class="bx-soa-cart-d"><?= Twin::money(TwinBasket::total() + $delivery['PRICE']) ?></span></div></div></div>
<div id="bx-soa-orderSave"><a href="javascript:void(0)" class="btn" data-save-button="true">Оформить заказ</a></div>
</div></form>
<script src="/bitrix/components/bitrix/sale.order.ajax/templates/.default/order_ajax.js"></script>
