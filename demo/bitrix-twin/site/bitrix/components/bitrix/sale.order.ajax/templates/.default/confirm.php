<?php
$row = Twin::rows('SELECT * FROM b_sale_order WHERE ID = ?', array((int) $_GET['ORDER_ID']));
if (!$row) { echo '<p class="alert alert-danger">Заказ не найден</p>'; return; }
?>
<table class="sale_order_full_table"><tr><td>Ваш заказ <b>№<?= $row[0]['ACCOUNT_NUMBER'] ?></b> успешно создан.<br>Сумма: <?= Twin::money($row[0]['PRICE']) ?></td></tr></table>
