<?php
define( 'DB_NAME', 'shop' );
define( 'DB_USER', 'shop' );
define( 'DB_PASSWORD', 'demo-Only-password-7c1' );
define( 'DB_HOST', 'localhost' );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', '' );

// Throw-away values of a demo; a real shop takes its own from https://api.wordpress.org/secret-key/1.1/salt/.
define( 'AUTH_KEY', 'demo-2f0a9b6c1d' );
define( 'SECURE_AUTH_KEY', 'demo-81c5e7f3aa' );
define( 'LOGGED_IN_KEY', 'demo-5d9917b0e4' );
define( 'NONCE_KEY', 'demo-c3f24a7718' );
define( 'AUTH_SALT', 'demo-0be6d1f95c' );
define( 'SECURE_AUTH_SALT', 'demo-94a3cc07e2' );
define( 'LOGGED_IN_SALT', 'demo-e81f5b3d60' );
define( 'NONCE_SALT', 'demo-77d0a2c49b' );

$table_prefix = 'sh_';

define( 'WP_DEBUG', false );
define( 'WP_POST_REVISIONS', 3 );
define( 'FS_METHOD', 'direct' );

if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
