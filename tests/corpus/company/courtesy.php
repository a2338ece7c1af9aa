<?php
/**
 * Plugin Name: Courtesy
 * Description: Thanks the reader below each post.
 * Version: 1.0
 */

defined( 'ABSPATH' ) || exit;

add_filter( 'the_content', function ( $text ) {
	return is_singular( 'post' ) ? $text . '<p>Thank you for reading.</p>' : $text;
} );
