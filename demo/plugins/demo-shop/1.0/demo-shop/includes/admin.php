<?php
/**
 * The list of orders in the admin.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/** Menu entry. */
function demo_shop_admin_menu() {
	add_menu_page( __( 'Orders', 'demo-shop' ), __( 'Orders', 'demo-shop' ), 'manage_options', 'demo-shop-orders', 'demo_shop_admin_orders', 'dashicons-cart', 26 );
}
add_action( 'admin_menu', 'demo_shop_admin_menu' );

/** The newest fifty orders. */
function demo_shop_admin_orders() {
	global $wpdb;
	$orders = $wpdb->get_results( 'SELECT * FROM ' . demo_shop_table( 'orders' ) . ' ORDER BY id DESC LIMIT 50' );
	echo '<div class="wrap"><h1>' . esc_html__( 'Orders', 'demo-shop' ) . '</h1><table class="wp-list-table widefat striped"><tbody>';
	foreach ( $orders as $order ) {
		echo '<tr><td>#' . (int) $order->id . '</td><td>' . esc_html( $order->created ) . '</td><td>' . esc_html( $order->name ) . '</td><td>'
			. esc_html( $order->phone ) . '</td><td>' . demo_shop_price_html( $order->total ) . '</td></tr>';
	}
	echo '</tbody></table></div>';
}
