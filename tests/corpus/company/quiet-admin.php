<?php
/**
 * Plugin Name: Quiet admin
 * Description: Takes news out of the dashboard.
 * Version: 1.0
 */

defined( 'ABSPATH' ) || exit;

add_action( 'wp_dashboard_setup', function () {
	remove_meta_box( 'dashboard_primary', 'dashboard', 'side' );
} );
