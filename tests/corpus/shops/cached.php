<?php
/**
 * Plugin Name: Cached
 * Description: A page cache of an unknown make: whole pages in a folder among the media, for visitors without a cart, served before any plugin is asked.
 */

defined( 'ABSPATH' ) || exit;

$cached_folder = WP_CONTENT_DIR . '/uploads/pages';
$cached_plain  = 'GET' === ( $_SERVER['REQUEST_METHOD'] ?? '' ) && empty( $_SERVER['QUERY_STRING'] ) && ! $_COOKIE && 'cli' !== PHP_SAPI;
$cached_file   = $cached_folder . '/' . md5( $_SERVER['REQUEST_URI'] ?? '' ) . '.html';

if ( $cached_plain && is_file( $cached_file ) ) {
	readfile( $cached_file );
	exit;
}
if ( $cached_plain ) {
	ob_start(
		function ( $page ) use ( $cached_folder, $cached_file ) {
			if ( 200 === http_response_code() && false !== strpos( $page, '</html>' ) && ! preg_grep( '/^set-cookie/i', headers_list() ) ) {
				wp_mkdir_p( $cached_folder );
				file_put_contents( $cached_file, $page );
			}
			return $page;
		}
	);
}
