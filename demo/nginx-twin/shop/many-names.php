<?php
/**
 * Plugin Name: Many names
 * Description: One shop under four names: two lead to the first, one shows it in English.
 * Version: 1.0
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

$names_host = isset( $_SERVER['HTTP_HOST'] ) ? $_SERVER['HTTP_HOST'] : '';
if ( in_array( $names_host, array( 'www.shop.example', 'xn--80aaf3bkob0g.example' ), true ) ) {
	header( 'Location: https://shop.example' . $_SERVER['REQUEST_URI'], true, 301 );
	exit;
}
if ( 'en.shop.example' === $names_host ) {
	foreach ( array( 'home', 'siteurl' ) as $names_option ) {
		add_filter(
			"pre_option_$names_option",
			function () {
				return 'https://en.shop.example';
			}
		);
	}
	add_filter(
		'pre_option_blogname',
		function () {
			return 'Samovar & Co';
		}
	);
}

/** The versions, as a fragment that stays in the object cache: what is emptied too late shows the shop of before. */
add_action(
	'wp_head',
	function () {
		$versions = wp_cache_get( 'versions', 'names' );
		if ( false === $versions ) {
			$versions = DEMO_SHOP_VERSION . ' on ' . get_option( 'demo_shop_db_version', '1.0' );
			wp_cache_set( 'versions', $versions, 'names' );
		}
		printf( '<meta name="shop-version" content="%s">', esc_attr( $versions ) );
	}
);
