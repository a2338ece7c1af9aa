<?php
/**
 * A small real shop, in three processes: `php settle.php install|switch-on|fill`, and what kind of shop as JSON on stdin.
 *
 * {"theme": "twentytwentyone", "checkout": "classic" | "block", "country": "DE", "currency": "EUR", "hpos": true}
 */
$_SERVER['HTTP_HOST']   = 'shop.example';
$_SERVER['HTTPS']       = 'on';
$_SERVER['REQUEST_URI'] = '/';
const DOCROOT = '/var/www/shop.example/public';

$kind = json_decode( (string) stream_get_contents( STDIN ), true );

if ( 'install' === $argv[1] ) {
	define( 'WP_INSTALLING', true );
	define( 'WP_SITEURL', 'https://shop.example' );
	require DOCROOT . '/wp-load.php';
	require_once ABSPATH . 'wp-admin/includes/upgrade.php';
	wp_install( 'Samovar and Co', 'owner', 'owner@shop.example', true, '', 'demo-Owner-4417' );
	foreach ( array( 'permalink_structure' => '/%postname%/', 'timezone_string' => 'Europe/Berlin', 'default_pingback_flag' => 0 ) as $name => $value ) {
		update_option( $name, $value );
	}
	switch_theme( $kind['theme'] );
	exit( "installed\n" );
}

require DOCROOT . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';
require_once ABSPATH . 'wp-admin/includes/image.php';

if ( 'switch-on' === $argv[1] ) {
	$result = activate_plugin( 'woocommerce/woocommerce.php' );
	echo is_wp_error( $result ) ? $result->get_error_message() : 'on', "\n";
	exit( (int) is_wp_error( $result ) );
}

require '/seed/pictures.php';

function picture( string $motif ): int {
	$file = wp_upload_dir()['path'] . "/$motif.jpg";
	imagejpeg( product_picture( $motif ), $file, 86 );
	$id = wp_insert_attachment( array( 'post_title' => $motif, 'post_mime_type' => 'image/jpeg' ), $file );
	wp_update_attachment_metadata( $id, wp_generate_attachment_metadata( $id, $file ) );
	return $id;
}

// Answered once by the owner, who does not sell to a wizard.
$settings = array(
	'woocommerce_coming_soon'                          => 'no',
	'woocommerce_onboarding_profile'                   => array( 'skipped' => true ),
	'woocommerce_task_list_hidden'                     => 'yes',
	'woocommerce_task_list_hidden_lists'               => array( 'setup', 'extended' ),
	'woocommerce_show_marketplace_suggestions'         => 'no',
	'woocommerce_allow_tracking'                       => 'no',
	'woocommerce_store_address'                        => 'Teegasse 1',
	'woocommerce_store_city'                           => 'Berlin',
	'woocommerce_store_postcode'                       => '10115',
	'woocommerce_default_country'                      => $kind['country'],
	'woocommerce_currency'                             => $kind['currency'],
	'woocommerce_calc_taxes'                           => 'yes',
	'woocommerce_cod_settings'                         => array( 'enabled' => 'yes', 'title' => 'Cash on delivery', 'description' => '', 'instructions' => '' ),
	'woocommerce_bacs_settings'                        => array( 'enabled' => 'yes', 'title' => 'Bank transfer', 'description' => '', 'instructions' => '' ),
	'woocommerce_custom_orders_table_enabled'          => $kind['hpos'] ? 'yes' : 'no',
	'woocommerce_custom_orders_table_data_sync_enabled' => 'no',
);
foreach ( $settings as $name => $value ) {
	update_option( $name, $value );
}

list( $country ) = explode( ':', $kind['country'] );
$zone            = new WC_Shipping_Zone();
$zone->set_zone_name( 'Home' );
$zone->add_location( $country, 'country' );
$zone->save();
$courier = $zone->add_shipping_method( 'flat_rate' );
update_option( "woocommerce_flat_rate_{$courier}_settings", array( 'title' => 'Courier', 'tax_status' => 'taxable', 'cost' => '5' ) );
WC_Cache_Helper::get_transient_version( 'shipping', true );
WC_Tax::_insert_tax_rate(
	array( 'tax_rate_country' => $country, 'tax_rate_state' => '', 'tax_rate' => '19', 'tax_rate_name' => 'VAT', 'tax_rate_priority' => 1, 'tax_rate_compound' => 0, 'tax_rate_shipping' => 1, 'tax_rate_order' => 1, 'tax_rate_class' => '' )
);

foreach ( array( 'Samovar Tula' => array( 'samovar', '124.90', 14 ), 'Gzhel teapot' => array( 'teapot', '38.90', 22 ), 'Linden honey' => array( 'honey', '7.90', 65 ) ) as $name => list( $motif, $price, $stock ) ) {
	$product = new WC_Product_Simple();
	$product->set_name( $name );
	$product->set_regular_price( $price );
	$product->set_manage_stock( true );
	$product->set_stock_quantity( $stock );
	$product->set_short_description( 'Warms a whole evening.' );
	$product->set_image_id( picture( $motif ) );
	$product->save();
}

$size = new WC_Product_Attribute();
$size->set_name( 'Size' );
$size->set_options( array( 'Small', 'Large' ) );
$size->set_visible( true );
$size->set_variation( true );
$mug = new WC_Product_Variable();
$mug->set_name( 'Enamel mug' );
$mug->set_attributes( array( $size ) );
$mug->set_image_id( picture( 'mug' ) );
$mug->save();
foreach ( array( 'Small' => '6.40', 'Large' => '8.20' ) as $option => $price ) {
	$variation = new WC_Product_Variation();
	$variation->set_parent_id( $mug->get_id() );
	$variation->set_attributes( array( 'size' => $option ) );
	$variation->set_regular_price( $price );
	$variation->set_manage_stock( true );
	$variation->set_stock_quantity( 50 );
	$variation->save();
}
WC_Product_Variable::sync( $mug->get_id() );

$coupon = new WC_Coupon();
$coupon->set_code( 'autumn' );
$coupon->set_discount_type( 'fixed_cart' );
$coupon->set_amount( 3 );
$coupon->save();

if ( 'classic' === $kind['checkout'] ) {
	foreach ( array( 'cart', 'checkout' ) as $page ) {
		wp_update_post( array( 'ID' => wc_get_page_id( $page ), 'post_content' => "<!-- wp:shortcode -->[woocommerce_$page]<!-- /wp:shortcode -->" ) );
	}
}
$home = wp_insert_post( array( 'post_type' => 'page', 'post_status' => 'publish', 'post_title' => 'Tea and warmth', 'post_content' => '<!-- wp:shortcode -->[products limit="4" columns="2" orderby="id"]<!-- /wp:shortcode -->' ) );
update_option( 'show_on_front', 'page' );
update_option( 'page_on_front', $home );

// What a shop has of its past: a customer and orders in each place that a migration touches.
$customer = wc_create_new_customer( 'marta@kunde.example', 'marta', 'demo-Marta-4417' );
foreach ( wc_get_products( array( 'type' => 'simple', 'limit' => -1, 'orderby' => 'ID', 'order' => 'ASC' ) ) as $product ) {
	$order = wc_create_order( array( 'customer_id' => $customer ) );
	$order->add_product( $product, 2 );
	$address = array( 'first_name' => 'Marta', 'last_name' => 'Kunde', 'address_1' => 'Lindenweg 4', 'city' => 'Berlin', 'postcode' => '10115', 'country' => 'DE', 'email' => 'marta@kunde.example', 'phone' => '+49305550741' );
	$order->set_address( $address, 'billing' );
	$order->set_address( $address, 'shipping' );
	$order->set_payment_method( 'cod' );
	$order->calculate_totals();
	$order->update_status( 'completed' );
}
$refunded = wc_get_orders( array( 'limit' => 1, 'orderby' => 'id', 'order' => 'ASC' ) )[0];
wc_create_refund( array( 'order_id' => $refunded->get_id(), 'amount' => '10', 'reason' => 'a dent' ) );

flush_rewrite_rules();
printf( "%s: %d products, %d orders\n", WC()->version, wp_count_posts( 'product' )->publish, count( wc_get_orders( array( 'limit' => -1, 'type' => 'shop_order' ) ) ) );
