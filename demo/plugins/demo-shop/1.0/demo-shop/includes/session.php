<?php
/**
 * A visitor's cart and notices: one row per visitor, found by the hash of a cookie.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

define( 'DEMO_SHOP_COOKIE', 'demo_shop_session' );

/** The row's key, or '' for a visitor who has none yet. The cookie itself is never stored. */
function demo_shop_session_key() {
	$cookie = isset( $_COOKIE[ DEMO_SHOP_COOKIE ] ) ? sanitize_key( wp_unslash( $_COOKIE[ DEMO_SHOP_COOKIE ] ) ) : '';
	return '' === $cookie ? '' : hash( 'sha256', $cookie );
}

/**
 * What is kept for this visitor.
 *
 * @return array{cart: array<int, int>, delivery: string, notices: string[]}
 */
function demo_shop_session() {
	global $wpdb;
	$empty = array(
		'cart'     => array(),
		'delivery' => 'courier',
		'notices'  => array(),
	);
	$key   = demo_shop_session_key();
	if ( '' === $key ) {
		return $empty;
	}
	$data = $wpdb->get_var(
		$wpdb->prepare( 'SELECT data FROM ' . demo_shop_table( 'sessions' ) . ' WHERE session_key = %s AND expires > %d', $key, time() )
	);
	return $data ? array_merge( $empty, (array) json_decode( $data, true ) ) : $empty;
}

/**
 * Keep it for two days. Must run before the first byte of the page: a new visitor is given a cookie.
 *
 * @param array $session As demo_shop_session() returns it.
 */
function demo_shop_save_session( $session ) {
	global $wpdb;
	$key = demo_shop_session_key();
	if ( '' === $key ) {
		$cookie                       = bin2hex( random_bytes( 16 ) );
		$_COOKIE[ DEMO_SHOP_COOKIE ] = $cookie;
		setcookie( DEMO_SHOP_COOKIE, $cookie, array( 'path' => '/', 'secure' => is_ssl(), 'httponly' => true, 'samesite' => 'Lax' ) );
		$key = demo_shop_session_key();
	}
	$wpdb->replace(
		demo_shop_table( 'sessions' ),
		array(
			'session_key' => $key,
			'data'        => wp_json_encode( $session ),
			'expires'     => time() + 2 * DAY_IN_SECONDS,
		)
	);
}

/**
 * Say something on the next page that the visitor sees.
 *
 * @param string $html Escaped HTML.
 */
function demo_shop_add_notice( $html ) {
	$session              = demo_shop_session();
	$session['notices'][] = $html;
	demo_shop_save_session( $session );
}

/** The waiting notices as HTML; each is shown once. */
function demo_shop_notices() {
	$session = demo_shop_session();
	if ( ! $session['notices'] ) {
		return '';
	}
	$html = '';
	foreach ( $session['notices'] as $notice ) {
		$html .= '<div class="woocommerce-message" role="alert">' . wp_kses_post( $notice ) . '</div>';
	}
	$session['notices'] = array();
	demo_shop_save_session( $session );
	return '<div class="woocommerce-notices-wrapper alignwide">' . $html . '</div>';
}
