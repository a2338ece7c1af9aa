<?php
/**
 * Products: a post type with price and stock in post meta, a catalogue and a product page.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/** The post type, with addresses like /product/samovar-tula/. */
function demo_shop_register_products() {
	register_post_type(
		'product',
		array(
			'labels'       => array(
				'name'          => __( 'Products', 'demo-shop' ),
				'singular_name' => __( 'Product', 'demo-shop' ),
			),
			'public'       => true,
			'menu_icon'    => 'dashicons-products',
			'show_in_rest' => true,
			'supports'     => array( 'title', 'editor', 'excerpt', 'thumbnail', 'page-attributes' ),
			'rewrite'      => array(
				'slug'       => 'product',
				'with_front' => false,
			),
		)
	);
}
add_action( 'init', 'demo_shop_register_products' );

/**
 * An amount of money as HTML, like 12 490,00 ₽.
 *
 * @param float $amount Roubles.
 */
function demo_shop_price_html( $amount ) {
	return '<span class="woocommerce-Price-amount amount"><bdi>' . esc_html( number_format( (float) $amount, 2, ',', "\u{a0}" ) )
		. '&nbsp;<span class="woocommerce-Price-currencySymbol">&#8381;</span></bdi></span>';
}

/**
 * An amount of money as plain text, for mail.
 *
 * @param float $amount Roubles.
 */
function demo_shop_price_text( $amount ) {
	return number_format( (float) $amount, 2, ',', ' ' ) . ' ₽';
}

/**
 * What one piece costs, in roubles.
 *
 * @param int $product_id Product.
 */
function demo_shop_price( $product_id ) {
	return round( (float) get_post_meta( $product_id, '_price', true ), 2 );
}

/**
 * Pieces in stock.
 *
 * @param int $product_id Product.
 */
function demo_shop_stock( $product_id ) {
	return max( 0, (int) get_post_meta( $product_id, '_stock', true ) );
}

/**
 * Take pieces out of stock. One statement, so that two customers never get the last piece.
 *
 * @param int $product_id Product.
 * @param int $quantity   Pieces.
 * @return bool False when there are not enough left.
 */
function demo_shop_take_from_stock( $product_id, $quantity ) {
	global $wpdb;
	$taken = $wpdb->query(
		$wpdb->prepare(
			"UPDATE $wpdb->postmeta SET meta_value = CAST(meta_value AS SIGNED) - %d
			WHERE post_id = %d AND meta_key = '_stock' AND CAST(meta_value AS SIGNED) >= %d",
			$quantity,
			$product_id,
			$quantity
		)
	);
	wp_cache_delete( $product_id, 'post_meta' );
	return 1 === $taken;
}

/**
 * Published products in the shop's own order.
 *
 * @param int $limit At most so many; -1 for all.
 * @return WP_Post[]
 */
function demo_shop_products( $limit = -1 ) {
	return get_posts(
		array(
			'post_type'      => 'product',
			'posts_per_page' => $limit,
			'orderby'        => array(
				'menu_order' => 'ASC',
				'ID'         => 'ASC',
			),
		)
	);
}

/**
 * A product's picture. It says how wide it is shown, because WordPress can only guess.
 *
 * @param int|WP_Post $product Product.
 * @param string      $size    Which of the media library's sizes.
 * @param string      $sizes   The sizes attribute.
 */
function demo_shop_picture( $product, $size, $sizes ) {
	return get_the_post_thumbnail(
		$product,
		$size,
		array(
			'sizes'   => $sizes,
			'loading' => 'eager',
		)
	);
}

/**
 * A grid of products.
 *
 * @param WP_Post[] $products Products.
 */
function demo_shop_grid( $products ) {
	ob_start();
	?>
	<div class="woocommerce alignwide">
		<ul class="products columns-3">
			<?php foreach ( $products as $product ) : ?>
				<li class="product type-product post-<?php echo (int) $product->ID; ?>">
					<a class="woocommerce-LoopProduct-link" href="<?php echo esc_url( get_permalink( $product ) ); ?>">
						<?php echo demo_shop_picture( $product, 'medium_large', '(max-width: 760px) 50vw, 370px' ); ?>
						<h2 class="woocommerce-loop-product__title"><?php echo esc_html( get_the_title( $product ) ); ?></h2>
						<span class="price"><?php echo demo_shop_price_html( demo_shop_price( $product->ID ) ); ?></span>
					</a>
				</li>
			<?php endforeach; ?>
		</ul>
	</div>
	<?php
	return ob_get_clean();
}

/** [demo_shop_catalogue]: every product. */
function demo_shop_catalogue() {
	return demo_shop_grid( demo_shop_products() );
}
add_shortcode( 'demo_shop_catalogue', 'demo_shop_catalogue' );

/** [demo_shop_featured]: the first three, for the home page. */
function demo_shop_featured() {
	return demo_shop_grid( demo_shop_products( 3 ) );
}
add_shortcode( 'demo_shop_featured', 'demo_shop_featured' );

/**
 * The product page comes from the plugin, whatever the theme.
 *
 * @param string $template What WordPress found.
 */
function demo_shop_product_template( $template ) {
	return is_singular( 'product' ) ? DEMO_SHOP_DIR . 'templates/single-product.php' : $template;
}
add_filter( 'single_template', 'demo_shop_product_template' );

/** Whether this page is one of the shop's. */
function demo_shop_is_shop_page() {
	return is_front_page() || is_singular( 'product' ) || is_page( array( 'shop', 'cart', 'checkout' ) );
}

/**
 * The classes that themes style shops by.
 *
 * @param string[] $classes Body classes.
 */
function demo_shop_body_class( $classes ) {
	if ( demo_shop_is_shop_page() ) {
		$classes[] = 'woocommerce';
		$classes[] = 'woocommerce-page';
	}
	foreach ( array( 'cart', 'checkout' ) as $page ) {
		if ( is_page( $page ) ) {
			$classes[] = 'woocommerce-' . $page;
		}
	}
	return $classes;
}
add_filter( 'body_class', 'demo_shop_body_class' );

/** Style everywhere (the header shows the cart), the checkout's script on the checkout. */
function demo_shop_assets() {
	wp_enqueue_style( 'demo-shop', plugins_url( 'assets/shop.css', DEMO_SHOP_FILE ), array(), DEMO_SHOP_VERSION );
	if ( is_page( 'checkout' ) ) {
		wp_enqueue_script( 'demo-shop-checkout', plugins_url( 'assets/checkout.js', DEMO_SHOP_FILE ), array(), DEMO_SHOP_VERSION, true );
		wp_localize_script( 'demo-shop-checkout', 'demo_shop', array( 'ajax_url' => home_url( '/?wc-ajax=' ) ) );
	}
}
add_action( 'wp_enqueue_scripts', 'demo_shop_assets' );
