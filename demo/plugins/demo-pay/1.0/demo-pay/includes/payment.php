<?php
/**
 * The payment: what the service is told of an order, and where it leads the customer to.
 *
 * @package DemoPay
 */

defined( 'ABSPATH' ) || exit;

/**
 * An amount as the service takes it.
 *
 * @param float|string $value Amount.
 */
function demo_pay_amount( $value ) {
	return array(
		'value'    => number_format( (float) $value, 2, '.', '' ),
		'currency' => 'RUB',
	);
}

/**
 * The receipt that the law asks for: a line for each product and for the delivery, each with its tax rate.
 *
 * @param object $order The order.
 */
function demo_pay_receipt( $order ) {
	$lines = array();
	foreach ( demo_shop_order_items( $order->id ) as $item ) {
		$lines[] = array(
			'description' => $item->name,
			'quantity'    => (int) $item->quantity,
			'amount'      => demo_pay_amount( $item->price ),
			'vat_code'    => 4,
		);
	}
	$delivery = demo_shop_delivery_methods()[ $order->delivery ];
	$lines[]  = array(
		'description' => $delivery['label'],
		'quantity'    => 1,
		'amount'      => demo_pay_amount( $delivery['price'] ),
		'vat_code'    => 4,
	);
	return array(
		'customer' => array( 'email' => $order->email ),
		'items'    => $lines,
	);
}

/**
 * What the service is told.
 *
 * @param object $order      The order.
 * @param string $return_url Where the customer comes back to.
 */
function demo_pay_payment( $order, $return_url ) {
	return array(
		'amount'       => demo_pay_amount( $order->total ),
		'capture'      => true,
		/* translators: %d: order number. */
		'description'  => sprintf( __( 'Order #%d', 'demo-pay' ), $order->id ),
		'confirmation' => array(
			'type'       => 'redirect',
			'return_url' => $return_url,
		),
		'receipt'      => demo_pay_receipt( $order ),
		'metadata'     => array(
			'order_id' => (int) $order->id,
			'attempt'  => wp_generate_uuid4(),
			'module'   => 'demo-pay/' . get_file_data( DEMO_PAY_DIR . 'demo-pay.php', array( 'Version' ) )[0],
		),
	);
}

/**
 * Ask the service, as the shop that the key stands for.
 *
 * @param string     $path    Below its address.
 * @param array|null $payment What it is told; null only asks.
 * @return array|WP_Error Its answer.
 */
function demo_pay_ask( $path, $payment = null ) {
	$headers = array(
		'Idempotence-Key' => wp_generate_uuid4(),
		'Authorization'   => 'Basic ' . base64_encode( get_option( 'demo_pay_shop' ) . ':' . get_option( 'demo_pay_key' ) ),
		'Content-Type'    => 'application/json',
	);
	$address = 'https://api.pay.example' . $path;
	$answer  = null === $payment ? wp_remote_get( $address, array( 'headers' => $headers ) ) : wp_remote_post(
		$address,
		array(
			'headers' => $headers,
			'body'    => wp_json_encode( $payment ),
		)
	);
	$said    = is_wp_error( $answer ) ? null : json_decode( wp_remote_retrieve_body( $answer ), true );
	return is_array( $said ) ? $said : new WP_Error( 'pay', __( 'The payment service does not answer. Nothing was charged.', 'demo-pay' ) );
}

/**
 * Where a customer goes from the checkout: those who pay online to the service's page.
 *
 * @param string $received The page that thanks.
 * @param object $order    The order.
 * @return string|WP_Error
 */
function demo_pay_redirect( $received, $order ) {
	if ( 'demo_pay' !== $order->payment ) {
		return $received;
	}
	$payment = demo_pay_ask( '/v3/payments', demo_pay_payment( $order, $received ) );
	return is_wp_error( $payment ) ? $payment : $payment['confirmation']['confirmation_url'];
}
add_filter( 'demo_shop_order_redirect', 'demo_pay_redirect', 10, 2 );
