<?php
/**
 * Orders: placing one, telling the customer and the shop, and the page that thanks.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/** Addresses like /checkout/order-received/1031/. */
function demo_shop_register_endpoint() {
	add_rewrite_endpoint( 'order-received', EP_PAGES );
}
add_action( 'init', 'demo_shop_register_endpoint' );

/**
 * The shop's own ways of paying. All of them offline.
 *
 * @return array<string, array{label: string, description: string}>
 */
function demo_shop_payment_methods() {
	return array(
		'cod'  => array(
			'label'       => __( 'Cash on delivery · Оплата при получении', 'demo-shop' ),
			'description' => __( 'Pay the courier or at the post office, by cash or card.', 'demo-shop' ),
		),
		'bacs' => array(
			'label'       => __( 'Bank transfer · Банковский перевод', 'demo-shop' ),
			'description' => __( 'We send an invoice by e-mail and ship when it is paid.', 'demo-shop' ),
		),
	);
}

/** Those of other plugins beside them, by WooCommerce's name for that. */
function demo_shop_all_payment_methods() {
	return apply_filters( 'woocommerce_payment_gateways', demo_shop_payment_methods() );
}

/** What a customer may choose from now. */
function demo_shop_offered_payment_methods() {
	return apply_filters( 'woocommerce_available_payment_gateways', demo_shop_all_payment_methods() );
}

/**
 * An order, or null.
 *
 * @param int $order_id Order.
 */
function demo_shop_order( $order_id ) {
	global $wpdb;
	return $wpdb->get_row( $wpdb->prepare( 'SELECT * FROM ' . demo_shop_table( 'orders' ) . ' WHERE id = %d', $order_id ) );
}

/**
 * What was ordered.
 *
 * @param int $order_id Order.
 */
function demo_shop_order_items( $order_id ) {
	global $wpdb;
	return $wpdb->get_results( $wpdb->prepare( 'SELECT * FROM ' . demo_shop_table( 'order_items' ) . ' WHERE order_id = %d ORDER BY id', $order_id ) );
}

/**
 * Write the order and its items and take the pieces out of stock: all of it or nothing.
 *
 * @param array $customer name, email, phone, address, payment, note.
 * @param array $cart     As demo_shop_cart() returns it.
 * @return object|WP_Error The order.
 */
function demo_shop_place_order( $customer, $cart ) {
	global $wpdb;
	$wpdb->query( 'START TRANSACTION' );
	foreach ( $cart['items'] as $item ) {
		if ( ! demo_shop_take_from_stock( $item['product_id'], $item['quantity'] ) ) {
			$wpdb->query( 'ROLLBACK' );
			/* translators: %s: product. */
			return new WP_Error( 'stock', sprintf( __( '“%s” is no longer in stock in this quantity.', 'demo-shop' ), $item['name'] ) );
		}
	}
	$written = $wpdb->insert( demo_shop_table( 'orders' ), demo_shop_order_row( $customer, $cart ) );
	$id      = $wpdb->insert_id;
	foreach ( $cart['items'] as $item ) {
		$written = $written && $wpdb->insert(
			demo_shop_table( 'order_items' ),
			array(
				'order_id'   => $id,
				'product_id' => $item['product_id'],
				'name'       => $item['name'],
				'quantity'   => $item['quantity'],
				'price'      => $item['price'],
			)
		);
	}
	if ( ! $written ) {
		$wpdb->query( 'ROLLBACK' );
		return new WP_Error( 'database', __( 'Your order could not be saved. Nothing was ordered.', 'demo-shop' ) );
	}
	$wpdb->query( 'COMMIT' );
	$order = demo_shop_order( $id );
	do_action( 'demo_shop_order_placed', $order );
	return $order;
}

/**
 * The order as its table holds it.
 *
 * @param array $customer See demo_shop_place_order().
 * @param array $cart     See demo_shop_place_order().
 */
function demo_shop_order_row( $customer, $cart ) {
	$row = array(
		'order_key' => bin2hex( random_bytes( 12 ) ),
		'created'   => current_time( 'mysql' ),
		'status'    => 'new',
		'name'      => $customer['name'],
		'email'     => $customer['email'],
		'phone'     => $customer['phone'],
		'address'   => $customer['address'],
		'delivery'  => $cart['delivery'],
		'payment'   => $customer['payment'],
		'note'      => $customer['note'],
		'total'     => $cart['total'],
	);
	return apply_filters( 'demo_shop_order_row', $row, $cart );
}

/**
 * Mail to the customer and to the shop.
 *
 * @param object $order The order.
 */
function demo_shop_mail_order( $order ) {
	$lines = array();
	foreach ( demo_shop_order_items( $order->id ) as $item ) {
		$lines[] = sprintf( '%d × %s: %s', $item->quantity, $item->name, demo_shop_price_text( $item->price * $item->quantity ) );
	}
	$methods = demo_shop_delivery_methods();
	$lines[] = sprintf( '%s: %s', $methods[ $order->delivery ]['label'], demo_shop_price_text( $methods[ $order->delivery ]['price'] ) );
	/* translators: %s: amount. */
	$lines[] = sprintf( __( 'Total · Итого: %s', 'demo-shop' ), demo_shop_price_text( $order->total ) );
	$list    = implode( "\n", $lines );

	wp_mail(
		$order->email,
		/* translators: %d: order number. */
		sprintf( __( 'Your order #%d · Ваш заказ', 'demo-shop' ), $order->id ),
		/* translators: %s: customer. */
		sprintf( __( 'Thank you, %s! Спасибо за заказ!', 'demo-shop' ), $order->name ) . "\n\n" . $list . "\n\n" . $order->address . "\n"
	);
	wp_mail(
		get_option( 'admin_email' ),
		/* translators: %d: order number. */
		sprintf( __( 'New order #%d', 'demo-shop' ), $order->id ),
		$order->name . ', ' . $order->phone . ', ' . $order->email . "\n\n" . $list . "\n\n" . $order->note . "\n"
	);
}
add_action( 'demo_shop_order_placed', 'demo_shop_mail_order' );

/**
 * Tell the warehouse, when its address is set. The customer never waits for the answer.
 *
 * @param object $order The order.
 */
function demo_shop_tell_warehouse( $order ) {
	$url = get_option( 'demo_shop_warehouse_url' );
	if ( $url ) {
		wp_remote_post(
			$url,
			array(
				'blocking' => false,
				'timeout'  => 1,
				'body'     => array( 'order' => $order->id ),
			)
		);
	}
}
add_action( 'demo_shop_order_placed', 'demo_shop_tell_warehouse' );

/**
 * The page that thanks. The key in the address keeps other people's orders private.
 *
 * @param int $order_id Order.
 */
function demo_shop_order_received( $order_id ) {
	$order = demo_shop_order( $order_id );
	// phpcs:ignore WordPress.Security.NonceVerification.Recommended
	$key = isset( $_GET['key'] ) ? sanitize_key( wp_unslash( $_GET['key'] ) ) : '';
	if ( ! $order || ! hash_equals( $order->order_key, $key ) ) {
		return '<p class="woocommerce-error">' . esc_html__( 'There is no such order. · Заказ не найден.', 'demo-shop' ) . '</p>';
	}
	$delivery = demo_shop_delivery_methods();
	$payment  = demo_shop_all_payment_methods();
	ob_start();
	?>
	<div class="woocommerce woocommerce-order alignwide">
		<p class="woocommerce-notice woocommerce-notice--success woocommerce-thankyou-order-received"><?php esc_html_e( 'Thank you. Your order has been received. · Спасибо, заказ принят.', 'demo-shop' ); ?></p>
		<ul class="woocommerce-order-overview woocommerce-thankyou-order-details order_details">
			<li class="woocommerce-order-overview__order order"><?php esc_html_e( 'Order number:', 'demo-shop' ); ?> <strong><?php echo (int) $order->id; ?></strong></li>
			<li class="woocommerce-order-overview__date date"><?php esc_html_e( 'Date:', 'demo-shop' ); ?> <strong><?php echo esc_html( mysql2date( get_option( 'date_format' ), $order->created ) ); ?></strong></li>
			<li class="woocommerce-order-overview__email email"><?php esc_html_e( 'Email:', 'demo-shop' ); ?> <strong><?php echo esc_html( $order->email ); ?></strong></li>
			<li class="woocommerce-order-overview__total total"><?php esc_html_e( 'Total:', 'demo-shop' ); ?> <strong><?php echo demo_shop_price_html( $order->total ); ?></strong></li>
			<li class="woocommerce-order-overview__payment-method method"><?php esc_html_e( 'Payment method:', 'demo-shop' ); ?> <strong><?php echo esc_html( $payment[ $order->payment ]['label'] ); ?></strong></li>
		</ul>
		<h2><?php esc_html_e( 'Order details', 'demo-shop' ); ?></h2>
		<table class="shop_table order_details">
			<tbody>
			<?php foreach ( demo_shop_order_items( $order->id ) as $item ) : ?>
				<tr class="order_item"><td class="product-name"><?php echo esc_html( $item->name ); ?> <strong class="product-quantity">&times;&nbsp;<?php echo (int) $item->quantity; ?></strong></td><td class="product-total"><?php echo demo_shop_price_html( $item->price * $item->quantity ); ?></td></tr>
			<?php endforeach; ?>
			</tbody>
			<tfoot>
				<tr><th><?php echo esc_html( $delivery[ $order->delivery ]['label'] ); ?></th><td><?php echo demo_shop_price_html( $delivery[ $order->delivery ]['price'] ); ?></td></tr>
				<tr class="order-total"><th><?php esc_html_e( 'Total', 'demo-shop' ); ?></th><td><?php echo demo_shop_price_html( $order->total ); ?></td></tr>
			</tfoot>
		</table>
	</div>
	<?php
	return ob_get_clean();
}
