<?php
// One-time file: tells what the web's own PHP is (updater/production/web.py). Silent without its token; should nobody be left to remove it, dead after the 300 s of web.py.
if (time() > __EXPIRES__ || !isset($_SERVER['HTTP_X_UPDATER_TOKEN'])
    || !hash_equals('__TOKEN_SHA256__', hash('sha256', $_SERVER['HTTP_X_UPDATER_TOKEN']))) {
    header($_SERVER['SERVER_PROTOCOL'] . ' 404 Not Found');
    exit;
}
header('Content-Type: application/json');
header('Cache-Control: no-store, private');
$reset = null;
if (isset($_GET['reset'])) { $reset = function_exists('opcache_reset') ? @opcache_reset() : false; }
$status = function_exists('opcache_get_status') ? @opcache_get_status(false) : false;
$ini = array();
foreach (ini_get_all(null, false) as $key => $value) { $ini[$key] = $value === null ? '' : (string) $value; }
echo json_encode(array(
    'version' => PHP_VERSION, 'sapi' => PHP_SAPI, 'software' => isset($_SERVER['SERVER_SOFTWARE']) ? (string) $_SERVER['SERVER_SOFTWARE'] : '',
    'extensions' => get_loaded_extensions(), 'ini' => $ini,
    'user' => function_exists('posix_geteuid') ? posix_geteuid() : null, 'file' => __FILE__,
    'opcache' => is_array($status) && !empty($status['opcache_enabled']), 'reset' => $reset,
), JSON_PARTIAL_OUTPUT_ON_ERROR);
