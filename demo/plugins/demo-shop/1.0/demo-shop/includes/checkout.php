<?php
/**
 * The checkout: its page, the totals that follow the delivery, and the button.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/**
 * Fields of the form: id → label, type, autocomplete.
 *
 * @return array<string, array{0: string, 1: string, 2: string}>
 */
function demo_shop_checkout_fields() {
	return array(
		'billing_first_name' => array( __( 'First name', 'demo-shop' ), 'text', 'given-name' ),
		'billing_last_name'  => array( __( 'Last name', 'demo-shop' ), 'text', 'family-name' ),
		'billing_address_1'  => array( __( 'Street address', 'demo-shop' ), 'text', 'address-line1' ),
		'billing_city'       => array( __( 'Town / City', 'demo-shop' ), 'text', 'address-level2' ),
		'billing_postcode'   => array( __( 'Postcode', 'demo-shop' ), 'text', 'postal-code' ),
		'billing_phone'      => array( __( 'Phone', 'demo-shop' ), 'tel', 'tel' ),
		'billing_email'      => array( __( 'Email address', 'demo-shop' ), 'email', 'email' ),
	);
}

/**
 * The table of what is ordered: part of the page, and the answer when the delivery changes.
 *
 * @param array $cart As demo_shop_cart() returns it.
 */
function demo_shop_review_table( $cart ) {
	ob_start();
	?>
	<table class="shop_table woocommerce-checkout-review-order-table">
		<tbody>
		<?php foreach ( $cart['items'] as $item ) : ?>
			<tr class="cart_item"><td class="product-name"><?php echo esc_html( $item['name'] ); ?> <strong class="product-quantity">&times;&nbsp;<?php echo (int) $item['quantity']; ?></strong></td><td class="product-total"><?php echo demo_shop_price_html( $item['subtotal'] ); ?></td></tr>
		<?php endforeach; ?>
		</tbody>
		<tfoot>
			<tr class="cart-subtotal"><th><?php esc_html_e( 'Subtotal', 'demo-shop' ); ?></th><td><?php echo demo_shop_price_html( $cart['subtotal'] ); ?></td></tr>
			<tr class="woocommerce-shipping-totals shipping">
				<th><?php esc_html_e( 'Delivery', 'demo-shop' ); ?></th>
				<td>
					<ul id="shipping_method" class="woocommerce-shipping-methods">
					<?php foreach ( demo_shop_delivery_methods() as $id => $method ) : ?>
						<li>
							<input type="radio" name="shipping_method[0]" id="shipping_method_0_<?php echo esc_attr( $id ); ?>" class="shipping_method" value="<?php echo esc_attr( $id ); ?>" <?php checked( $cart['delivery'], $id ); ?>>
							<label for="shipping_method_0_<?php echo esc_attr( $id ); ?>"><?php echo esc_html( $method['label'] ); ?>: <?php echo demo_shop_price_html( $method['price'] ); ?></label>
						</li>
					<?php endforeach; ?>
					</ul>
				</td>
			</tr>
			<tr class="order-total"><th><?php esc_html_e( 'Total', 'demo-shop' ); ?></th><td><strong><?php echo demo_shop_price_html( $cart['total'] ); ?></strong></td></tr>
		</tfoot>
	</table>
	<?php
	return ob_get_clean();
}

/** [demo_shop_checkout]: the checkout page, or the page that thanks. */
function demo_shop_checkout_page() {
	$order_id = absint( get_query_var( 'order-received' ) );
	if ( $order_id ) {
		return demo_shop_order_received( $order_id );
	}
	$cart = demo_shop_cart();
	if ( ! $cart['items'] ) {
		return '<p class="woocommerce-info">' . esc_html__( 'Your cart is empty. · Корзина пуста.', 'demo-shop' ) . '</p>'
			. '<p><a class="button wc-backward" href="' . esc_url( home_url( '/shop/' ) ) . '">' . esc_html__( 'Return to shop', 'demo-shop' ) . '</a></p>';
	}
	ob_start();
	?>
	<div class="woocommerce alignwide">
		<form name="checkout" method="post" class="checkout woocommerce-checkout" action="<?php echo esc_url( home_url( '/checkout/' ) ); ?>">
			<div id="customer_details">
				<h2><?php esc_html_e( 'Billing details', 'demo-shop' ); ?></h2>
				<?php foreach ( demo_shop_checkout_fields() as $id => $field ) : ?>
					<p class="form-row" id="<?php echo esc_attr( $id ); ?>_field">
						<label for="<?php echo esc_attr( $id ); ?>"><?php echo esc_html( $field[0] ); ?>&nbsp;<abbr class="required" title="<?php esc_attr_e( 'required', 'demo-shop' ); ?>">*</abbr></label>
						<input type="<?php echo esc_attr( $field[1] ); ?>" class="input-text" name="<?php echo esc_attr( $id ); ?>" id="<?php echo esc_attr( $id ); ?>" autocomplete="<?php echo esc_attr( $field[2] ); ?>">
					</p>
				<?php endforeach; ?>
				<p class="form-row notes" id="order_comments_field">
					<label for="order_comments"><?php esc_html_e( 'Order notes (optional)', 'demo-shop' ); ?></label>
					<textarea class="input-text" name="order_comments" id="order_comments" rows="2"></textarea>
				</p>
			</div>
			<div id="order_review" class="woocommerce-checkout-review-order">
				<h2 id="order_review_heading"><?php esc_html_e( 'Your order', 'demo-shop' ); ?></h2>
				<?php echo demo_shop_review_table( $cart ); ?>
				<div id="payment" class="woocommerce-checkout-payment">
					<ul class="wc_payment_methods payment_methods methods">
					<?php foreach ( demo_shop_offered_payment_methods() as $id => $method ) : ?>
						<li class="wc_payment_method payment_method_<?php echo esc_attr( $id ); ?>">
							<input type="radio" class="input-radio" name="payment_method" id="payment_method_<?php echo esc_attr( $id ); ?>" value="<?php echo esc_attr( $id ); ?>" <?php checked( 'cod', $id ); ?>>
							<label for="payment_method_<?php echo esc_attr( $id ); ?>"><?php echo esc_html( $method['label'] ); ?></label>
							<div class="payment_box"><?php echo esc_html( $method['description'] ); ?></div>
						</li>
					<?php endforeach; ?>
					</ul>
					<noscript><?php esc_html_e( 'Please switch JavaScript on to place your order.', 'demo-shop' ); ?></noscript>
					<?php wp_nonce_field( 'demo-shop-checkout', 'woocommerce-process-checkout-nonce' ); ?>
					<button type="submit" class="button alt" name="woocommerce_checkout_place_order" id="place_order"><?php esc_html_e( 'Place order', 'demo-shop' ); ?></button>
				</div>
			</div>
		</form>
	</div>
	<?php
	return ob_get_clean();
}
add_shortcode( 'demo_shop_checkout', 'demo_shop_checkout_page' );

/**
 * The title of the page that thanks.
 *
 * @param string $title   Title.
 * @param int    $post_id Post.
 */
function demo_shop_order_received_title( $title, $post_id = 0 ) {
	if ( get_query_var( 'order-received' ) && in_the_loop() && is_page( 'checkout' ) && get_queried_object_id() === $post_id ) {
		return __( 'Order received', 'demo-shop' );
	}
	return $title;
}
add_filter( 'the_title', 'demo_shop_order_received_title', 10, 2 );

/** What the checkout's script asks for: /?wc-ajax=update_order_review and /?wc-ajax=checkout. */
function demo_shop_ajax() {
	// phpcs:ignore WordPress.Security.NonceVerification.Recommended
	$action = isset( $_GET['wc-ajax'] ) ? sanitize_key( wp_unslash( $_GET['wc-ajax'] ) ) : '';
	if ( ! in_array( $action, array( 'update_order_review', 'checkout' ), true ) ) {
		return;
	}
	nocache_headers();
	if ( ! check_ajax_referer( 'demo-shop-checkout', 'woocommerce-process-checkout-nonce', false ) ) {
		demo_shop_answer_failure( array( __( 'This page has expired. Reload it and try again.', 'demo-shop' ) ) );
	}
	'checkout' === $action ? demo_shop_ajax_checkout() : demo_shop_ajax_update_order_review();
}
add_action( 'template_redirect', 'demo_shop_ajax', 0 );

/**
 * Answer with what is wrong, and end.
 *
 * @param string[] $messages Plain text.
 */
function demo_shop_answer_failure( $messages ) {
	$list = '';
	foreach ( $messages as $message ) {
		$list .= '<li>' . esc_html( $message ) . '</li>';
	}
	wp_send_json(
		array(
			'result'   => 'failure',
			'messages' => '<ul class="woocommerce-error" role="alert">' . $list . '</ul>',
		)
	);
}

/** Another delivery: remember it and answer with the new totals. */
function demo_shop_ajax_update_order_review() {
	$methods = demo_shop_delivery_methods();
	// phpcs:ignore WordPress.Security.NonceVerification.Missing
	$chosen = isset( $_POST['shipping_method'][0] ) ? sanitize_key( wp_unslash( $_POST['shipping_method'][0] ) ) : '';
	if ( isset( $methods[ $chosen ] ) ) {
		$session             = demo_shop_session();
		$session['delivery'] = $chosen;
		demo_shop_save_session( $session );
	}
	wp_send_json(
		array(
			'result'    => 'success',
			'fragments' => array( '.woocommerce-checkout-review-order-table' => demo_shop_review_table( demo_shop_cart() ) ),
		)
	);
}

/** The button: check the form, place the order, empty the cart, answer with where to go. */
function demo_shop_ajax_checkout() {
	$values = array();
	$wrong  = array();
	foreach ( demo_shop_checkout_fields() as $id => $field ) {
		// phpcs:ignore WordPress.Security.NonceVerification.Missing
		$values[ $id ] = isset( $_POST[ $id ] ) ? trim( sanitize_text_field( wp_unslash( $_POST[ $id ] ) ) ) : '';
		if ( '' === $values[ $id ] ) {
			/* translators: %s: a field. */
			$wrong[] = sprintf( __( '%s is a required field.', 'demo-shop' ), $field[0] );
		}
	}
	if ( '' !== $values['billing_email'] && ! is_email( $values['billing_email'] ) ) {
		$wrong[] = __( 'Email address is not valid.', 'demo-shop' );
	}
	// phpcs:ignore WordPress.Security.NonceVerification.Missing
	$payment = isset( $_POST['payment_method'] ) ? sanitize_key( wp_unslash( $_POST['payment_method'] ) ) : '';
	if ( ! isset( demo_shop_offered_payment_methods()[ $payment ] ) ) {
		$wrong[] = __( 'Choose how to pay.', 'demo-shop' );
	}
	$cart = demo_shop_cart();
	if ( ! $cart['items'] ) {
		$wrong[] = __( 'Your cart is empty.', 'demo-shop' );
	}
	if ( $wrong ) {
		demo_shop_answer_failure( $wrong );
	}
	$order = demo_shop_place_order(
		array(
			'name'    => $values['billing_first_name'] . ' ' . $values['billing_last_name'],
			'email'   => $values['billing_email'],
			'phone'   => $values['billing_phone'],
			'address' => $values['billing_postcode'] . ', ' . $values['billing_city'] . ', ' . $values['billing_address_1'],
			'payment' => $payment,
			// phpcs:ignore WordPress.Security.NonceVerification.Missing
			'note'    => isset( $_POST['order_comments'] ) ? sanitize_textarea_field( wp_unslash( $_POST['order_comments'] ) ) : '',
		),
		$cart
	);
	if ( is_wp_error( $order ) ) {
		demo_shop_answer_failure( $order->get_error_messages() );
	}
	$session         = demo_shop_session();
	$session['cart'] = array();
	demo_shop_save_session( $session );
	$received = add_query_arg( 'key', $order->order_key, home_url( '/checkout/order-received/' . $order->id . '/' ) );
	$redirect = apply_filters( 'demo_shop_order_redirect', $received, $order );
	if ( is_wp_error( $redirect ) ) {
		demo_shop_answer_failure( $redirect->get_error_messages() );
	}
	wp_send_json(
		array(
			'result'   => 'success',
			'redirect' => $redirect,
		)
	);
}
