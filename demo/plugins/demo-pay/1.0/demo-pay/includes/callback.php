<?php
/**
 * What the service tells the shop: /wp-json/demo-pay/v1/callback.
 *
 * @package DemoPay
 */

defined( 'ABSPATH' ) || exit;

/** The address. Anybody may call it: what it says is believed only when the service itself says so too. */
function demo_pay_routes() {
	register_rest_route(
		'demo-pay/v1',
		'/callback',
		array(
			'methods'             => 'POST',
			'callback'            => 'demo_pay_callback',
			'permission_callback' => '__return_true',
		)
	);
}
add_action( 'rest_api_init', 'demo_pay_routes' );

/**
 * Money came: the order is paid.
 *
 * @param WP_REST_Request $request What was told.
 */
function demo_pay_callback( $request ) {
	$told = $request['object'];
	if ( 'payment.succeeded' !== $request['event'] || empty( $told['id'] ) ) {
		return array( 'ok' => false );
	}
	$payment = demo_pay_ask( '/v3/payments/' . rawurlencode( $told['id'] ) );
	if ( is_wp_error( $payment ) || 'succeeded' !== $payment['status'] ) {
		return new WP_Error( 'pay', 'not paid', array( 'status' => 409 ) );
	}
	demo_pay_mark_paid( (int) $told['metadata']['order_id'] );
	return array( 'ok' => true );
}

/**
 * The order, once.
 *
 * @param int $order_id Order.
 */
function demo_pay_mark_paid( $order_id ) {
	global $wpdb;
	$wpdb->update(
		demo_shop_table( 'orders' ),
		array( 'status' => 'paid' ),
		array(
			'id'     => $order_id,
			'status' => 'new',
		)
	);
}
