<?php
/**
 * Bring an older version's tables up to date, at the first visit after an update.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

define( 'DEMO_SHOP_DB_VERSION', '1.1' );

/** Each visit asks one autoloaded option; only an older one leads further. */
function demo_shop_maybe_migrate() {
	if ( version_compare( get_option( 'demo_shop_db_version', '0' ), DEMO_SHOP_DB_VERSION, '<' ) ) {
		demo_shop_migrate();
	}
}
add_action( 'init', 'demo_shop_maybe_migrate', 5 );

/**
 * 1.0 → 1.1: an order remembers what its delivery cost, has notes, and a status that says what happens to it.
 *
 * Every statement may run again: two visitors can come at once, or the first one's process may end half-way.
 */
function demo_shop_migrate() {
	global $wpdb;
	$orders = demo_shop_table( 'orders' );
	$notes  = demo_shop_table( 'order_notes' );

	demo_shop_install();
	$wpdb->query( "ALTER TABLE $orders ADD COLUMN IF NOT EXISTS delivery_price decimal(10,2) NOT NULL DEFAULT 0.00 AFTER delivery" );
	$wpdb->query(
		"CREATE TABLE IF NOT EXISTS $notes (
			id bigint(20) unsigned NOT NULL AUTO_INCREMENT,
			order_id bigint(20) unsigned NOT NULL,
			created datetime NOT NULL,
			note text NOT NULL,
			PRIMARY KEY (id),
			KEY order_id (order_id)
		) " . $wpdb->get_charset_collate()
	);
	foreach ( demo_shop_delivery_methods() as $id => $method ) {
		$wpdb->query( $wpdb->prepare( "UPDATE $orders SET delivery_price = %f WHERE delivery = %s AND delivery_price = 0", $method['price'], $id ) );
	}
	$wpdb->query( "UPDATE $orders SET status = 'processing' WHERE status = 'new'" );
	if ( '' === $wpdb->last_error ) {
		update_option( 'demo_shop_db_version', DEMO_SHOP_DB_VERSION );
	}
}
