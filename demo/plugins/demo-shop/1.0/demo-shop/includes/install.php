<?php
/**
 * Tables, their version, and what runs once a day.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/**
 * The full name of one of the shop's tables.
 *
 * @param string $name orders, order_items or sessions.
 */
function demo_shop_table( $name ) {
	global $wpdb;
	return $wpdb->prefix . 'demo_shop_' . $name;
}

/** Create the tables. Safe to run again. */
function demo_shop_install() {
	require_once ABSPATH . 'wp-admin/includes/upgrade.php';
	global $wpdb;
	$collate = $wpdb->get_charset_collate();

	dbDelta(
		'CREATE TABLE ' . demo_shop_table( 'orders' ) . " (
			id bigint(20) unsigned NOT NULL AUTO_INCREMENT,
			order_key varchar(32) NOT NULL,
			created datetime NOT NULL,
			status varchar(20) NOT NULL DEFAULT 'new',
			name varchar(190) NOT NULL,
			email varchar(190) NOT NULL,
			phone varchar(40) NOT NULL,
			address varchar(255) NOT NULL,
			delivery varchar(40) NOT NULL,
			payment varchar(40) NOT NULL,
			note text NOT NULL,
			total decimal(10,2) NOT NULL,
			PRIMARY KEY  (id),
			KEY created (created)
		) $collate;"
	);
	dbDelta(
		'CREATE TABLE ' . demo_shop_table( 'order_items' ) . " (
			id bigint(20) unsigned NOT NULL AUTO_INCREMENT,
			order_id bigint(20) unsigned NOT NULL,
			product_id bigint(20) unsigned NOT NULL,
			name varchar(190) NOT NULL,
			quantity int unsigned NOT NULL,
			price decimal(10,2) NOT NULL,
			PRIMARY KEY  (id),
			KEY order_id (order_id)
		) $collate;"
	);
	dbDelta(
		'CREATE TABLE ' . demo_shop_table( 'sessions' ) . " (
			session_key char(64) NOT NULL,
			data longtext NOT NULL,
			expires bigint(20) unsigned NOT NULL,
			PRIMARY KEY  (session_key),
			KEY expires (expires)
		) $collate;"
	);
	add_option( 'demo_shop_db_version', '1.0' );
}

/** Activation: tables, URLs and the daily cleaning. */
function demo_shop_activate() {
	demo_shop_install();
	demo_shop_register_products();
	demo_shop_register_endpoint();
	flush_rewrite_rules();
	if ( ! wp_next_scheduled( 'demo_shop_clean_sessions' ) ) {
		wp_schedule_event( time(), 'daily', 'demo_shop_clean_sessions' );
	}
}
register_activation_hook( DEMO_SHOP_FILE, 'demo_shop_activate' );

/** Deactivation keeps the orders. */
function demo_shop_deactivate() {
	wp_clear_scheduled_hook( 'demo_shop_clean_sessions' );
	flush_rewrite_rules();
}
register_deactivation_hook( DEMO_SHOP_FILE, 'demo_shop_deactivate' );

/** Forget carts that nobody came back to. */
function demo_shop_clean_sessions() {
	global $wpdb;
	$wpdb->query( $wpdb->prepare( 'DELETE FROM ' . demo_shop_table( 'sessions' ) . ' WHERE expires < %d', time() ) );
}
add_action( 'demo_shop_clean_sessions', 'demo_shop_clean_sessions' );
