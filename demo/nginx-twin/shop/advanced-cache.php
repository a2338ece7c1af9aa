<?php
/**
 * A page cache: what a visitor without a cart was shown once is shown to the others, until somebody empties the folder.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

( function () {
	$method = isset( $_SERVER['REQUEST_METHOD'] ) ? $_SERVER['REQUEST_METHOD'] : '';
	$place  = isset( $_SERVER['REQUEST_URI'] ) ? $_SERVER['REQUEST_URI'] : '';
	$known  = preg_grep( '/^(wordpress_logged_in|demo_shop_session)/', array_keys( $_COOKIE ) );
	if ( 'GET' !== $method || $known || preg_match( '~\?|/(wp-|cart|checkout|feed)|\.(xml|txt)$~', $place ) ) {
		return;
	}
	$file = WP_CONTENT_DIR . '/cache/pages/' . hash( 'sha256', $_SERVER['HTTP_HOST'] . $place ) . '.html';
	if ( is_file( $file ) ) {
		header( 'X-Page-Cache: hit' );
		readfile( $file );
		exit;
	}
	ob_start(
		function ( $page ) use ( $file ) {
			if ( 200 === http_response_code() && false !== stripos( $page, '</html>' ) ) {
				if ( ! is_dir( dirname( $file ) ) ) {
					mkdir( dirname( $file ), 0755, true );
				}
				file_put_contents( "$file.new", $page );
				rename( "$file.new", $file );
			}
			return $page;
		}
	);
} )();
