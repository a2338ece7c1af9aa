<?php
/**
 * Plugin Name: Page age
 * Description: Says when a page was written, to those who look at its source.
 * Version: 1.0
 */

defined( 'ABSPATH' ) || exit;

add_action( 'wp_footer', function () {
	if ( is_page() ) {
		echo '<!-- written ' . esc_html( get_the_date( 'Y' ) ) . " -->\n";
	}
} );
