<?php
/**
 * A product's page.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

get_header();
while ( have_posts() ) :
	the_post();
	$demo_shop_stock = demo_shop_stock( get_the_ID() );
	?>
	<article <?php post_class( 'woocommerce product demo-shop-product alignwide' ); ?>>
		<?php echo demo_shop_the_notices(); ?>
		<div class="woocommerce-product-gallery"><?php echo demo_shop_picture( get_the_ID(), 'large', '(max-width: 760px) 100vw, 550px' ); ?></div>
		<div class="summary entry-summary">
			<h1 class="product_title entry-title"><?php the_title(); ?></h1>
			<p class="price"><?php echo demo_shop_price_html( demo_shop_price( get_the_ID() ) ); ?></p>
			<div class="woocommerce-product-details__short-description"><?php the_excerpt(); ?></div>
			<?php if ( $demo_shop_stock > 0 ) : ?>
				<?php /* translators: %d: pieces. */ ?>
				<p class="stock in-stock"><?php echo esc_html( sprintf( __( '%d in stock · в наличии', 'demo-shop' ), $demo_shop_stock ) ); ?></p>
				<form class="cart" action="<?php the_permalink(); ?>" method="post">
					<label class="screen-reader-text" for="quantity"><?php esc_html_e( 'Quantity', 'demo-shop' ); ?></label>
					<input type="number" id="quantity" class="input-text qty text" name="quantity" value="1" min="1" max="<?php echo (int) $demo_shop_stock; ?>" step="1">
					<button type="submit" name="add-to-cart" value="<?php the_ID(); ?>" class="single_add_to_cart_button button alt"><?php esc_html_e( 'Add to cart', 'demo-shop' ); ?></button>
				</form>
			<?php else : ?>
				<p class="stock out-of-stock"><?php esc_html_e( 'Out of stock · нет в наличии', 'demo-shop' ); ?></p>
			<?php endif; ?>
			<p class="product_meta"><span class="sku_wrapper"><?php esc_html_e( 'SKU:', 'demo-shop' ); ?> <span class="sku"><?php echo esc_html( get_post_meta( get_the_ID(), '_sku', true ) ); ?></span></span></p>
		</div>
		<div class="woocommerce-tabs"><h2><?php esc_html_e( 'Description', 'demo-shop' ); ?></h2><?php the_content(); ?></div>
	</article>
	<?php
endwhile;
get_footer();
