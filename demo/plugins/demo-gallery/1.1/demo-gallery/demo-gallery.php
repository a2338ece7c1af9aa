<?php
/**
 * Plugin Name: Demo Gallery
 * Description: The newest pictures of chosen pages as a gallery: [demo_gallery ids="1,2,3"].
 * Version: 1.1
 * Requires at least: 6.0
 * Requires PHP: 7.4
 * Author: The updater's demo
 * License: GPL-2.0-or-later
 *
 * @package DemoGallery
 */

defined( 'ABSPATH' ) || exit;

/**
 * [demo_gallery ids="1,2,3"]: pictures of the media library side by side.
 *
 * @param array|string $attributes ids: attachments, separated by commas.
 */
function demo_gallery( $attributes ) {
	$attributes = shortcode_atts( array( 'ids' => '' ), $attributes, 'demo_gallery' );
	$html       = '';
	$picture    = array(
		'sizes'   => '(max-width: 760px) 100vw, 370px',
		'loading' => 'eager',
	);
	foreach ( wp_parse_id_list( $attributes['ids'] ) as $id ) {
		if ( ! wp_attachment_is_image( $id ) ) {
			continue; // A picture that was deleted since leaves no empty frame.
		}
		$html .= '<figure class="demo-gallery__item">' . wp_get_attachment_image( $id, 'large', false, $picture )
			. '<figcaption>' . esc_html( wp_get_attachment_caption( $id ) ) . '</figcaption></figure>';
	}
	return '<div class="demo-gallery alignwide">' . $html . '</div>';
}
add_shortcode( 'demo_gallery', 'demo_gallery' );

/** The gallery's style, on pages that show one. */
function demo_gallery_style() {
	if ( is_singular() && has_shortcode( get_post()->post_content, 'demo_gallery' ) ) {
		wp_enqueue_style( 'demo-gallery', plugins_url( 'assets/gallery.css', __FILE__ ), array(), '1.1' );
	}
}
add_action( 'wp_enqueue_scripts', 'demo_gallery_style' );
