<?php
/** Install WordPress, choose theme and settings, switch the plugins on. */
require __DIR__ . '/boot.php';
define( 'WP_INSTALLING', true );
define( 'WP_SITEURL', 'https://shop.example' );
require DOCROOT . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';

wp_install( 'Samovar & Co · Самовар и Ко', 'owner', 'owner@shop.example', true, '', 'demo-Owner-4417' );

$settings = array(
	'blogdescription'         => 'Tea things and warm gifts · Всё для чая и подарки',
	'permalink_structure'     => '/%year%/%monthnum%/%postname%/',
	'timezone_string'         => 'Europe/Moscow',
	'date_format'             => 'j F Y',
	'default_pingback_flag'   => 0,
	'default_ping_status'     => 'closed',
	'comment_moderation'      => 0,
	'demo_shop_warehouse_url' => 'https://warehouse.partner.example/orders',
	// Settings of plugins hold people's addresses too, serialized.
	'demo_shop_settings'      => array(
		'accountant' => 'Наталья Кузьмина <n.kuzmina@buhgalter.example>',
		'alarm_to'   => array( '+7 916 555-07-41', 'smena@samovar-i-ko.example' ),
	),
);
foreach ( $settings as $name => $value ) {
	update_option( $name, $value );
}
switch_theme( 'twentytwentyone' );
set_theme_mod( 'background_color', 'fffdf9' );
foreach ( array( 'akismet/akismet.php', 'demo-shop/demo-shop.php', 'demo-gallery/demo-gallery.php' ) as $plugin ) {
	$result = activate_plugin( $plugin );
	if ( is_wp_error( $result ) ) {
		exit( "$plugin: " . $result->get_error_message() . "\n" );
	}
}
echo 'WordPress ', get_bloginfo( 'version' ), " installed\n";
