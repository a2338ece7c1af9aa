<?php
/**
 * What version 1.1 keeps with an order: the price of its delivery, its status, its notes.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/**
 * The new columns of a new order.
 *
 * @param array $row  The order's row.
 * @param array $cart The cart.
 */
function demo_shop_add_delivery_price( $row, $cart ) {
	$row['delivery_price'] = $cart['delivery_price'];
	$row['status']         = 'processing';
	return $row;
}
add_filter( 'demo_shop_order_row', 'demo_shop_add_delivery_price', 10, 2 );

/**
 * The first note of every order.
 *
 * @param object $order The order.
 */
function demo_shop_note_order( $order ) {
	global $wpdb;
	$wpdb->insert(
		demo_shop_table( 'order_notes' ),
		array(
			'order_id' => $order->id,
			'created'  => current_time( 'mysql' ),
			'note'     => __( 'Order placed. · Заказ оформлен.', 'demo-shop' ),
		)
	);
}
add_action( 'demo_shop_order_placed', 'demo_shop_note_order' );
