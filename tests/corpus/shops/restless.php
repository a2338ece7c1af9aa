<?php
/**
 * Plugin Name: Restless
 * Description: What real shops have on their pages that moves by itself: banners that turn, a counter, a clock, shuffled products.
 */

defined( 'ABSPATH' ) || exit;

add_action(
	'wp_footer',
	function () {
		$visit = (int) get_option( 'restless_visits', 0 ) + 1;
		update_option( 'restless_visits', $visit );
		$two  = array( '#e8f0e4', '#f4e6dc' );
		$five = array( 'Tea', 'Porcelain', 'Honey', 'Shawls', 'Mugs' );
		?>
		<div class="restless alignwide" style="max-width:1140px;margin:20px auto;display:grid;gap:12px;font:16px/1.4 sans-serif">
			<div style="height:60px;background:<?php echo esc_attr( $two[ $visit % 2 ] ); ?>"></div>
			<div style="height:40px;overflow:hidden">This week: <?php echo esc_html( $five[ $visit % 5 ] ); ?></div>
			<div style="height:24px">You are visitor <?php echo (int) $visit; ?>. It is <?php echo esc_html( gmdate( 'H:i:s' ) ); ?>.</div>
			<div id="restless-carousel" style="height:80px;background:#ddd"></div>
		</div>
		<div id="restless-consent" style="position:fixed;left:0;bottom:0;width:240px;padding:6px;background:#333;color:#fff;font:12px sans-serif">
			We use cookies. <button type="button" onclick="this.parentNode.remove()">Fine</button>
		</div>
		<script>
			( function () {
				var shown = 0, colours = [ '#c9d6df', '#d8c9df', '#dfd8c9' ];
				setInterval( function () {
					document.getElementById( 'restless-carousel' ).style.background = colours[ ++shown % 3 ];
				}, 700 );
			}() );
		</script>
		<?php
	}
);

add_action(
	'wp_footer',
	function () {
		if ( ! is_singular( 'product' ) ) {
			return;
		}
		$others = get_posts( array( 'post_type' => 'product', 'posts_per_page' => 2, 'orderby' => 'rand', 'post__not_in' => array( get_the_ID() ) ) );
		echo '<section class="related" style="max-width:1140px;margin:0 auto;height:140px;overflow:hidden"><h2>Others also looked at</h2><ul>';
		foreach ( $others as $other ) {
			echo '<li class="product"><a href="' . esc_url( get_permalink( $other ) ) . '">' . esc_html( get_the_title( $other ) ) . '</a></li>';
		}
		echo '</ul></section>';
	},
	5
);
