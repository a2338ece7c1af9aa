<?php
/**
 * Plugin Name: Demo Shop
 * Description: A small shop: catalogue, cart, checkout with delivery and offline payment, orders by e-mail.
 * Version: 1.0
 * Requires at least: 6.0
 * Requires PHP: 7.4
 * Author: The updater's demo
 * License: GPL-2.0-or-later
 * Text Domain: demo-shop
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

define( 'DEMO_SHOP_VERSION', '1.0' );
define( 'DEMO_SHOP_FILE', __FILE__ );
define( 'DEMO_SHOP_DIR', plugin_dir_path( __FILE__ ) );

require DEMO_SHOP_DIR . 'includes/install.php';
require DEMO_SHOP_DIR . 'includes/products.php';
require DEMO_SHOP_DIR . 'includes/session.php';
require DEMO_SHOP_DIR . 'includes/cart.php';
require DEMO_SHOP_DIR . 'includes/orders.php';
require DEMO_SHOP_DIR . 'includes/checkout.php';
require DEMO_SHOP_DIR . 'includes/admin.php';
