<?php
/**
 * Plugin Name: Feed note
 * Description: Names the shop in its feed.
 * Version: 1.0
 */

defined( 'ABSPATH' ) || exit;

add_filter( 'the_content_feed', function ( $text ) {
	return $text . ' · ' . get_bloginfo( 'name' );
} );
