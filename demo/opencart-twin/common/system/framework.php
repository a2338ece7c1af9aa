<?php
// Boots what APPLICATION (4.x) or start() (3.x) names: the storefront, or one patch of the installer.
$twin = isset($application_config) ? $application_config : strtolower(APPLICATION);
$request = (object) array('get' => $_GET, 'post' => $_POST, 'server' => $_SERVER);
$route = isset($_GET['route']) ? preg_replace('/[^a-zA-Z0-9_\/.]/', '', $_GET['route']) : '';
if ($twin === 'install') {
    // As the installer: it reads config.php by its lines, never by including it. 3.x evaluates them, 4.x takes what stands in quotes.
    foreach (file(DIR_OPENCART . 'config.php') as $line) {
        if (strpos($line, 'DB_') === false) { continue; }
        if (!defined('APPLICATION') || VERSION[0] === '3') {
            eval($line);
        } elseif (preg_match("/define\('(.*)',\s+[\"'](.*)[\"']\)/", $line, $match)) {
            define($match[1], $match[2]);
        }
    }
}
if (!defined('DB_DATABASE')) { exit('no database is configured'); }
$db = new TwinDb(DB_HOSTNAME, DB_USERNAME, DB_PASSWORD, DB_DATABASE, defined('DB_PORT') ? DB_PORT : 3306);
if ($twin === 'install') {
    list($class, $file, $method) = twin_patch($route);
    require $file;
    $patch = new $class;
    $patch->db = $db;
    $patch->request = $request;
    header('Content-Type: application/json');
    echo json_encode($patch->$method());
    return;
}
require twin_file(DIR_APPLICATION . 'shop.php');
(new TwinShop($db, $request))->serve($route ?: 'common/home');
