<?php
/**
 * Plugin Name: Demo Pay
 * Description: Payment by card at pay.example, a service that does not exist: the customer is led to its page, and it tells the shop of the money.
 * Version: 1.0
 * Requires at least: 6.0
 * Requires PHP: 7.4
 * Author: The updater's demo
 * License: GPL-2.0-or-later
 * Text Domain: demo-pay
 *
 * @package DemoPay
 */

defined( 'ABSPATH' ) || exit;

define( 'DEMO_PAY_DIR', plugin_dir_path( __FILE__ ) );

require DEMO_PAY_DIR . 'includes/payment.php';
require DEMO_PAY_DIR . 'includes/callback.php';

/**
 * One more way of paying.
 *
 * @param array $methods id → label, description.
 */
function demo_pay_method( $methods ) {
	$methods['demo_pay'] = array(
		'label'       => __( 'Card, online · Картой онлайн', 'demo-pay' ),
		'description' => __( 'You pay on a page of pay.example.', 'demo-pay' ),
	);
	return $methods;
}
add_filter( 'woocommerce_payment_gateways', 'demo_pay_method' );
