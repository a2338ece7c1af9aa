<?php
// A configuration as agencies leave it: expressions in place of values, and constants that no installer knows.
define('DIR_ROOT', %ROOT%);
define('SHOP_HOST', getenv('SHOP_HOST') ?: 'shop.example');
define('HTTP_SERVER', 'https://' . SHOP_HOST . '/');
define('HTTPS_SERVER', HTTP_SERVER);
%CATALOG%
define('DIR_APPLICATION', DIR_ROOT . '%FOLDER%/');
define('DIR_MODIFICATION', DIR_ROOT . 'store-7f3a/modification/');
define('DIR_IMAGE', DIR_ROOT . 'image/');
define('DIR_SYSTEM', DIR_ROOT . 'system/');
define('DIR_STORAGE', DIR_ROOT . 'store-7f3a/');
define('DIR_LANGUAGE', DIR_APPLICATION . 'language/');
define('DIR_TEMPLATE', DIR_APPLICATION . 'view/template/');
define('DIR_CONFIG', DIR_SYSTEM . 'config/');
define('DIR_CACHE', DIR_STORAGE . 'cache/');
define('DIR_DOWNLOAD', DIR_STORAGE . 'download/');
define('DIR_LOGS', DIR_STORAGE . 'logs/');
define('DIR_SESSION', DIR_STORAGE . 'session/');
define('DIR_UPLOAD', DIR_STORAGE . 'upload/');
define('DB_DRIVER', 'mysqli');
define('DB_HOSTNAME', 'localhost');
define('DB_USERNAME', 'shop');
define('DB_PASSWORD', 'demo-Only-' . "it's-a-\\-password");
define('DB_DATABASE', 'shop');
define('DB_PORT', '3306');
define('DB_PREFIX', 'ocx_');
define('AGENCY_FEED_KEY', 'demo-feed-key');
