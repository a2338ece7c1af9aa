<?php
$title = 'Корзина';
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/header.php';
?>
<div id="basket-root"><table id="basket-item-table">
<?php foreach (TwinBasket::lines() as $line) { ?>
<tr class="basket-items-list-item-container"><td><?= $line['product']['NAME'] ?></td><td><?= $line['quantity'] ?></td><td><?= Twin::money($line['price']) ?></td></tr>
<?php } ?>
</table><div class="basket-coupon-block-total-price-current" data-entity="basket-total-price"><?= Twin::money(TwinBasket::total()) ?></div>
<a class="btn basket-btn-checkout" data-entity="basket-checkout-button" href="/personal/order/make/">Оформить заказ</a></div>
<?php
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/footer.php';
