<?php
/**
 * The cart: add, change, remove, and its page.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/**
 * Ways of delivery and what each costs, in roubles.
 *
 * @return array<string, array{label: string, price: float}>
 */
function demo_shop_delivery_methods() {
	return array(
		'courier' => array(
			'label' => __( 'Courier · Курьером до двери', 'demo-shop' ),
			'price' => 350.0,
		),
		'post'    => array(
			'label' => __( 'Post · Почта России', 'demo-shop' ),
			'price' => 190.0,
		),
	);
}

/**
 * The cart with prices of this moment.
 *
 * @return array{items: array, subtotal: float, delivery: string, delivery_price: float, total: float}
 */
function demo_shop_cart() {
	$session  = demo_shop_session();
	$methods  = demo_shop_delivery_methods();
	$delivery = isset( $methods[ $session['delivery'] ] ) ? $session['delivery'] : 'courier';
	$items    = array();
	$subtotal = 0.0;
	foreach ( $session['cart'] as $product_id => $quantity ) {
		if ( 'product' !== get_post_type( $product_id ) || 'publish' !== get_post_status( $product_id ) ) {
			continue;
		}
		$price     = demo_shop_price( $product_id );
		$items[]   = array(
			'product_id' => (int) $product_id,
			'name'       => get_the_title( $product_id ),
			'quantity'   => (int) $quantity,
			'price'      => $price,
			'subtotal'   => $price * $quantity,
		);
		$subtotal += $price * $quantity;
	}
	return array(
		'items'          => $items,
		'subtotal'       => $subtotal,
		'delivery'       => $delivery,
		'delivery_price' => $methods[ $delivery ]['price'],
		'total'          => $subtotal + $methods[ $delivery ]['price'],
	);
}

/**
 * Add to cart, from the form on a product page.
 *
 * No nonce: the form changes nothing but the visitor's own cart, and must work on a page that a cache served.
 */
function demo_shop_handle_add_to_cart() {
	// phpcs:ignore WordPress.Security.NonceVerification.Missing
	$product_id = isset( $_POST['add-to-cart'] ) ? absint( $_POST['add-to-cart'] ) : 0;
	if ( ! $product_id || 'product' !== get_post_type( $product_id ) ) {
		return;
	}
	// phpcs:ignore WordPress.Security.NonceVerification.Missing
	$quantity = isset( $_POST['quantity'] ) ? max( 1, absint( $_POST['quantity'] ) ) : 1;
	$session  = demo_shop_session();
	$wanted   = $quantity + ( isset( $session['cart'][ $product_id ] ) ? (int) $session['cart'][ $product_id ] : 0 );
	$have     = demo_shop_stock( $product_id );
	if ( $wanted > $have ) {
		/* translators: %d: pieces in stock. */
		demo_shop_add_notice( esc_html( sprintf( __( 'Only %d in stock.', 'demo-shop' ), $have ) ) );
	} else {
		$session['cart'][ $product_id ] = $wanted;
		demo_shop_save_session( $session );
		demo_shop_add_notice(
			'<a href="' . esc_url( home_url( '/cart/' ) ) . '" class="button wc-forward">' . esc_html__( 'View cart', 'demo-shop' ) . '</a> '
			/* translators: %s: product. */
			. esc_html( sprintf( __( '“%s” has been added to your cart.', 'demo-shop' ), get_the_title( $product_id ) ) )
		);
	}
	wp_safe_redirect( get_permalink( $product_id ) );
	exit;
}
add_action( 'template_redirect', 'demo_shop_handle_add_to_cart' );

/** Change quantities or remove a line, from the cart page. */
function demo_shop_handle_cart() {
	if ( ! isset( $_POST['update_cart'] ) && ! isset( $_GET['remove_item'] ) ) {
		return;
	}
	$nonce = isset( $_REQUEST['_wpnonce'] ) ? sanitize_key( wp_unslash( $_REQUEST['_wpnonce'] ) ) : '';
	if ( ! wp_verify_nonce( $nonce, 'demo-shop-cart' ) ) {
		wp_die( esc_html__( 'This page has expired. Go back, reload it and try again.', 'demo-shop' ), '', array( 'response' => 403 ) );
	}
	$session = demo_shop_session();
	if ( isset( $_GET['remove_item'] ) ) {
		unset( $session['cart'][ absint( $_GET['remove_item'] ) ] );
	}
	if ( isset( $_POST['quantity'] ) && is_array( $_POST['quantity'] ) ) {
		foreach ( array_map( 'absint', wp_unslash( $_POST['quantity'] ) ) as $product_id => $quantity ) {
			$quantity = min( $quantity, demo_shop_stock( $product_id ) );
			if ( $quantity > 0 ) {
				$session['cart'][ absint( $product_id ) ] = $quantity;
			} else {
				unset( $session['cart'][ absint( $product_id ) ] );
			}
		}
	}
	$session['notices'][] = esc_html__( 'Cart updated.', 'demo-shop' );
	demo_shop_save_session( $session );
	wp_safe_redirect( home_url( '/cart/' ) );
	exit;
}
add_action( 'template_redirect', 'demo_shop_handle_cart' );

/** Notices are taken out of the session before the page begins, while a cookie can still be set. */
function demo_shop_collect_notices() {
	if ( demo_shop_is_shop_page() ) {
		$GLOBALS['demo_shop_notices'] = demo_shop_notices();
	}
}
add_action( 'template_redirect', 'demo_shop_collect_notices', 20 );

/** The notices of this page. */
function demo_shop_the_notices() {
	return isset( $GLOBALS['demo_shop_notices'] ) ? $GLOBALS['demo_shop_notices'] : '';
}

/** [demo_shop_cart]: the cart page. */
function demo_shop_cart_page() {
	$cart = demo_shop_cart();
	ob_start();
	echo demo_shop_the_notices();
	if ( ! $cart['items'] ) {
		echo '<p class="cart-empty woocommerce-info">' . esc_html__( 'Your cart is empty. · Корзина пуста.', 'demo-shop' ) . '</p>';
		echo '<p><a class="button wc-backward" href="' . esc_url( home_url( '/shop/' ) ) . '">' . esc_html__( 'Return to shop', 'demo-shop' ) . '</a></p>';
		return ob_get_clean();
	}
	$methods = demo_shop_delivery_methods();
	?>
	<div class="woocommerce alignwide">
		<form class="woocommerce-cart-form" action="<?php echo esc_url( home_url( '/cart/' ) ); ?>" method="post">
			<?php wp_nonce_field( 'demo-shop-cart' ); ?>
			<table class="shop_table cart woocommerce-cart-form__contents">
				<thead>
					<tr>
						<th class="product-name" colspan="2"><?php esc_html_e( 'Product', 'demo-shop' ); ?></th>
						<th class="product-price"><?php esc_html_e( 'Price', 'demo-shop' ); ?></th>
						<th class="product-quantity"><?php esc_html_e( 'Quantity', 'demo-shop' ); ?></th>
						<th class="product-subtotal"><?php esc_html_e( 'Subtotal', 'demo-shop' ); ?></th>
						<th class="product-remove"><span class="screen-reader-text"><?php esc_html_e( 'Remove', 'demo-shop' ); ?></span></th>
					</tr>
				</thead>
				<tbody>
				<?php foreach ( $cart['items'] as $item ) : ?>
					<?php $remove = wp_nonce_url( add_query_arg( 'remove_item', $item['product_id'], home_url( '/cart/' ) ), 'demo-shop-cart' ); ?>
					<tr class="woocommerce-cart-form__cart-item cart_item">
						<td class="product-thumbnail"><?php echo demo_shop_picture( $item['product_id'], 'thumbnail', '64px' ); ?></td>
						<td class="product-name"><a href="<?php echo esc_url( get_permalink( $item['product_id'] ) ); ?>"><?php echo esc_html( $item['name'] ); ?></a></td>
						<td class="product-price"><?php echo demo_shop_price_html( $item['price'] ); ?></td>
						<td class="product-quantity">
							<label class="screen-reader-text" for="quantity_<?php echo (int) $item['product_id']; ?>"><?php esc_html_e( 'Quantity', 'demo-shop' ); ?></label>
							<input type="number" class="input-text qty text" id="quantity_<?php echo (int) $item['product_id']; ?>" name="quantity[<?php echo (int) $item['product_id']; ?>]" value="<?php echo (int) $item['quantity']; ?>" min="0" step="1">
						</td>
						<td class="product-subtotal"><?php echo demo_shop_price_html( $item['subtotal'] ); ?></td>
						<td class="product-remove"><a href="<?php echo esc_url( $remove ); ?>" class="remove" aria-label="<?php esc_attr_e( 'Remove this item', 'demo-shop' ); ?>">&times;</a></td>
					</tr>
				<?php endforeach; ?>
				</tbody>
			</table>
			<button type="submit" class="button" name="update_cart" value="1"><?php esc_html_e( 'Update cart', 'demo-shop' ); ?></button>
		</form>
		<div class="cart-collaterals">
			<div class="cart_totals">
				<h2><?php esc_html_e( 'Cart totals', 'demo-shop' ); ?></h2>
				<table class="shop_table">
					<tr class="cart-subtotal"><th><?php esc_html_e( 'Subtotal', 'demo-shop' ); ?></th><td><?php echo demo_shop_price_html( $cart['subtotal'] ); ?></td></tr>
					<tr class="woocommerce-shipping-totals shipping"><th><?php esc_html_e( 'Delivery', 'demo-shop' ); ?></th><td><?php echo esc_html( $methods[ $cart['delivery'] ]['label'] ); ?>: <?php echo demo_shop_price_html( $cart['delivery_price'] ); ?></td></tr>
					<tr class="order-total"><th><?php esc_html_e( 'Total', 'demo-shop' ); ?></th><td><strong><?php echo demo_shop_price_html( $cart['total'] ); ?></strong></td></tr>
				</table>
				<div class="wc-proceed-to-checkout">
					<a href="<?php echo esc_url( home_url( '/checkout/' ) ); ?>" class="checkout-button button alt wc-forward"><?php esc_html_e( 'Proceed to checkout', 'demo-shop' ); ?></a>
				</div>
			</div>
		</div>
	</div>
	<?php
	return ob_get_clean();
}
add_shortcode( 'demo_shop_cart', 'demo_shop_cart_page' );
