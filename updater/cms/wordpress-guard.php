<?php
/*
Plugin Name: Updater staging guard
Description: Keeps a staging copy quiet and still. Staging only: never part of a release.
*/
if (!defined('ABSPATH')) { exit; }
// Cron and automatic updates are off: what changes between two pictures is the update under test and nothing else.
foreach (array('DISABLE_WP_CRON' => true, 'AUTOMATIC_UPDATER_DISABLED' => true, 'WPMS_ON' => true, 'WPMS_MAILER' => 'mail') as $name => $value) {
    if (!defined($name)) { define($name, $value); }
}
$GLOBALS['updater_own_hosts'] = json_decode('%HOSTS%', true);

// Update checks are refused here, at once. Every other foreign call goes on to the stack's sink, which logs it as evidence and refuses it;
// the short time-out is for the case that it does not. What it answers from a recording bears a certificate that the stack trusts, and
// WordPress's own list of authorities does not.
add_filter('pre_http_request', function ($answer, $args, $url) {
    $host = strtolower((string) parse_url($url, PHP_URL_HOST));
    if (preg_match('/(^|\.)(wordpress\.org|w\.org)$/', $host)) {
        return new WP_Error('http_request_not_executed', 'blocked on staging: ' . $host);
    }
    return $answer;
}, PHP_INT_MAX, 3);
add_filter('http_request_args', function ($args, $url) {
    $host = strtolower((string) parse_url($url, PHP_URL_HOST));
    if (!in_array($host, $GLOBALS['updater_own_hosts'], true)) { $args['timeout'] = min(3, isset($args['timeout']) ? $args['timeout'] : 3); }
    $trusted = '/etc/ssl/certs/ca-certificates.crt';
    if (is_readable($trusted)) { $args['sslcertificates'] = $trusted; }
    return $args;
}, PHP_INT_MAX, 2);
foreach (array('update_core', 'update_plugins', 'update_themes') as $name) {
    add_filter("pre_site_transient_$name", function () use ($name) {
        $quiet = new stdClass();
        $quiet->last_checked = time();
        $quiet->version_checked = $GLOBALS['wp_version'];
        $quiet->updates = $quiet->response = $quiet->translations = $quiet->no_update = $quiet->checked = array();
        return $quiet;
    });
}

// Mail takes PHP's own way out (the stack's trap stands there), whatever an SMTP plugin configured.
add_action('phpmailer_init', function ($mailer) {
    $mailer->isMail();
    $mailer->SMTPAuth = false;
    $mailer->Password = '';
}, PHP_INT_MAX);

// WooCommerce can leave its mail to a queue that does not run here.
add_filter('woocommerce_defer_transactional_emails', '__return_false', PHP_INT_MAX);

// Only gateways that take no money from anybody, and those whose service answers from a recording. All that would be offered is told to
// the tests by an element that no customer sees.
add_filter('woocommerce_available_payment_gateways', function ($gateways) {
    $GLOBALS['updater_gateways'] = array();
    foreach ((array) $gateways as $id => $gateway) {
        $title = is_object($gateway) && method_exists($gateway, 'get_title') ? trim(wp_strip_all_tags($gateway->get_title())) : '';
        $GLOBALS['updater_gateways'][] = $title === '' ? (string) $id : "$id ($title)";
    }
    $left_on = array_merge(array('cod', 'bacs', 'cheque'), json_decode('%PAYMENTS%', true));
    return array_intersect_key((array) $gateways, array_flip($left_on));
}, PHP_INT_MAX);
add_action('wp_footer', function () {
    if (isset($GLOBALS['updater_gateways'])) {
        echo '<script type="application/json" id="updater-payment-methods">', json_encode($GLOBALS['updater_gateways'], JSON_HEX_TAG), '</script>';
    }
}, PHP_INT_MAX);
add_filter('woocommerce_webhook_should_deliver', '__return_false', PHP_INT_MAX);

// What is shuffled stands still.
add_filter('woocommerce_product_related_posts_shuffle', '__return_false', PHP_INT_MAX);
add_filter('woocommerce_related_products', function ($ids) { sort($ids); return $ids; }, PHP_INT_MAX);
// Those are the products that are shown; WooCommerce shuffles them once more as it shows them, and upsells and cross-sells too.
foreach (array('woocommerce_upsells_orderby', 'woocommerce_cross_sells_orderby') as $filter) {
    add_filter($filter, function ($orderby) { return $orderby === 'rand' ? 'id' : $orderby; }, PHP_INT_MAX);
}
add_filter('woocommerce_output_related_products_args', function ($args) {
    return isset($args['orderby']) && $args['orderby'] === 'rand' ? array('orderby' => 'id') + $args : $args;
}, PHP_INT_MAX);
// `get_posts` passes by every filter of a query, and by no action.
add_action('pre_get_posts', function ($query) {
    $orderby = $query->get('orderby');
    $names = is_array($orderby) ? array_keys($orderby) : explode(' ', (string) $orderby);
    if (preg_grep('/^rand\b/i', $names)) { $query->set('orderby', 'ID'); }
}, PHP_INT_MAX);
add_filter('posts_orderby', function ($orderby) {
    global $wpdb;
    return preg_replace('/\bRAND\s*\([^)]*\)/i', "{$wpdb->posts}.ID", (string) $orderby);
}, PHP_INT_MAX);

// A customer and a coupon for the test orders of every shop. No row holds them before they are used, and production never has them.
add_filter('authenticate', function ($user, $name, $password) {
    if ($name !== 'smoke-test-customer@example.com' || !function_exists('wc_create_new_customer')) { return $user; }
    $known = get_user_by('email', $name);
    if (!$known) {
        $id = wc_create_new_customer($name, '', $password);
        $known = is_wp_error($id) ? $id : get_user_by('id', $id);
    }
    return $known;
}, 5, 3);
add_filter('woocommerce_get_shop_coupon_data', function ($data, $code) {
    return $code === 'updater-smoke-test' ? array('discount_type' => 'percent', 'amount' => 10) : $data;
}, PHP_INT_MAX, 2);
// The account's page has another address in each language.
add_action('template_redirect', function () {
    if (isset($_GET['updater-account']) && function_exists('wc_get_page_permalink')) {
        wp_safe_redirect(wc_get_page_permalink('myaccount'));
        exit;
    }
}, 0);
