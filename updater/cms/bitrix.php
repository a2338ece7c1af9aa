<?php
// The PHP half of the 1C-Bitrix driver (bitrix.py): one action a process, $REQUEST in, one answer out. Runs on PHP 7.1 and newer.
// Bitrix's own code runs in `visit`, and in the console that `ask` and `replay` call on production; everything else reads files and the database.

$UPDATER = array('then' => null);
register_shutdown_function(function () {
    global $UPDATER, $REQUEST;
    if (!empty($UPDATER['answered'])) { return; }
    $error = error_get_last();
    if ($error && ($error['type'] & (E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR))) {
        stop("PHP failed in step {$REQUEST['action']}", "{$error['message']} in {$error['file']}:{$error['line']}", 'read the message: it names the file');
    }
    $text = '';
    while (ob_get_level() > 0) { $text = ob_get_clean() . $text; }
    if ($UPDATER['then']) { call_user_func($UPDATER['then'], $text); }
    stop("the site ended PHP in step {$REQUEST['action']}", trim(substr(strip_tags($text), -1500)));
});

function done($value) { $GLOBALS['UPDATER']['answered'] = true; answer($value); }
function stop($what, $cause = '', $hint = '') { $GLOBALS['UPDATER']['answered'] = true; fail($what, $cause, $hint); }

// ------------------------------------------------------------------------------------------------------------- files

function entries($folder) { return is_dir($folder) ? array_values(array_diff((array) @scandir($folder), array('.', '..'))) : array(); }

function remove_tree($path) {
    if (is_link($path) || is_file($path)) { return @unlink($path); }
    foreach (entries($path) as $name) { remove_tree("$path/$name"); }
    return @rmdir($path);
}

// Emptied, never removed; .htaccess and the settings of composite pages begin with a dot and stay.
function purge($docroot, $folders) {
    foreach ($folders as $folder) {
        $root = "$docroot/$folder";
        if (!is_dir($root) || is_link($root)) { continue; }
        foreach (entries($root) as $name) { if ($name[0] !== '.' && $name !== 'index.php') { remove_tree("$root/$name"); } }
    }
}

// The site's own file, also while the gate stands in for it.
function connection_file($docroot) {
    global $REQUEST;
    $kept = "$docroot/{$REQUEST['kept']}";
    return is_file($kept) ? $kept : "$docroot/bitrix/php_interface/dbconn.php";
}

// What a version file says of itself, by the text: it is read on the server as it is, and includes nothing.
function version_in($file, $pattern) {
    $text = is_file($file) ? (string) @file_get_contents($file, false, null, 0, 20000) : '';
    return preg_match($pattern, $text, $match) ? $match[1] : null;
}

function main_version($docroot) {
    return version_in("$docroot/bitrix/modules/main/classes/general/version.php", '/[\'"]SM_VERSION[\'"]\s*,\s*[\'"]([^\'"]+)[\'"]/');
}

// The folder of a module below the docroot, '' when there is none. Modules of one's own may lie in /local.
function module_folder($docroot, $id) {
    foreach (array("bitrix/modules/$id", "local/modules/$id") as $path) { if (is_dir("$docroot/$path")) { return $path; } }
    return '';
}

function module_version($docroot, $id) {
    if ($id === 'main') { return main_version($docroot); }
    $folder = module_folder($docroot, $id);
    return $folder === '' ? null : version_in("$docroot/$folder/install/version.php", '/[\'"]VERSION[\'"]\s*(?:=>|\]\s*=)\s*[\'"]([^\'"]+)[\'"]/');
}

// ---------------------------------------------------------------------------------------------------------- database

function connect() {
    global $REQUEST;
    $database = $REQUEST['database'];
    if (!function_exists('mysqli_init')) { stop('PHP has no mysqli extension', '', 'set `php` in site.yml to the PHP that serves the site'); }
    mysqli_report(MYSQLI_REPORT_OFF);
    $link = mysqli_init();
    if (!@mysqli_real_connect($link, $database['host'], $database['user'], $database['password'], $database['name'], $database['port'] ?: 0, $database['socket'] ?: null)) {
        stop("cannot connect to the site's database", mysqli_connect_error(), 'compare bitrix/.settings.php and bitrix/php_interface/dbconn.php');
    }
    @mysqli_set_charset($link, 'utf8mb4');
    return $link;
}

function query($link, $sql, $values = array()) {
    $in = array();
    foreach ($values as $name => $value) { $in[":$name"] = "'" . mysqli_real_escape_string($link, (string) $value) . "'"; }
    $sql = strtr($sql, $in); // in one pass: a value may hold what looks like a name
    $result = mysqli_query($link, $sql);
    if ($result === false) { stop('a query failed', mysqli_error($link) . ': ' . substr($sql, 0, 500)); }
    if ($result === true) { return array(); }
    $rows = array();
    while ($row = mysqli_fetch_assoc($result)) { $rows[] = $row; }
    return $rows;
}

function has_table($link, $name) { return (bool) query($link, 'SHOW TABLES LIKE :name', array('name' => addcslashes($name, '_%\\'))); }

function columns($link, $table) { return has_table($link, $table) ? array_column(query($link, "SHOW COLUMNS FROM `$table`"), 'Field') : array(); }

function quoted($name) { return '`' . str_replace('`', '``', $name) . '`'; }

function option($link, $module, $name) {
    $rows = query($link, 'SELECT VALUE FROM b_option WHERE MODULE_ID = :module AND NAME = :name', array('module' => $module, 'name' => $name));
    return $rows ? (string) $rows[0]['VALUE'] : null;
}

// UPDATE does nothing where the row is missing, and which key the table has depends on the release.
function set_option($link, $module, $name, $value) {
    $place = array('module' => $module, 'name' => $name, 'value' => $value);
    if (option($link, $module, $name) === null) { query($link, 'INSERT INTO b_option (MODULE_ID, NAME, VALUE) VALUES (:module, :name, :value)', $place); }
    query($link, 'UPDATE b_option SET VALUE = :value WHERE MODULE_ID = :module AND NAME = :name', $place);
}

// ------------------------------------------------------------------------------------------------------- the console

// As bitrix.py calls it in staging, by the same rules; here for production, where nothing may wait for another machine. Files of its own
// lie where PHP was started: in the run's private folder.
function console($docroot, $answer, $arguments) {
    if (!function_exists('proc_open')) { stop('PHP may not start the console', 'proc_open is disabled in its php.ini', 'allow it for the command line'); }
    $errors = tempnam(getcwd(), 'updater-');
    // yes(1) gives the answer: a closed stdin installs.
    $line = 'cd ' . escapeshellarg("$docroot/bitrix") . ' && yes ' . escapeshellarg($answer) . ' 2>/dev/null | '
        . escapeshellarg(PHP_BINARY ?: 'php') . ' -d display_errors=stderr bitrix.php ' . implode(' ', array_map('escapeshellarg', $arguments));
    $process = proc_open($line, array(array('file', '/dev/null', 'r'), array('pipe', 'w'), array('file', $errors, 'w')), $pipes);
    if (!is_resource($process)) { stop('the console could not be started'); }
    $text = stream_get_contents($pipes[1]);
    fclose($pipes[1]);
    $code = proc_close($process);
    $said = (string) file_get_contents($errors);
    unlink($errors);
    if ($code !== 0) { stop("the console ended with exit code $code", substr(trim(preg_replace('/\s+/', ' ', "$said $text")), -500)); }
    return $text;
}

// Module => version of what it would install, '' where it renewed itself instead. It is told no.
function would_install($docroot, $arguments) {
    global $REQUEST;
    $text = console($docroot, 'no', $arguments);
    if (strpos($text, $REQUEST['words']['again']) !== false) { return ''; }
    $listed = strstr($text, $REQUEST['words']['headline']);
    if ($listed !== false && preg_match_all('/^\W*([A-Za-z0-9_.]+) \((\d[\d.]*)\)\s*$/m', $listed, $found)) { return array_combine($found[1], $found[2]); }
    if ($listed === false && strpos($text, $REQUEST['words']['nothing']) !== false) { return array(); }
    stop('the console answered in a way that is not known here', substr(trim(preg_replace('/\s+/', ' ', $text)), -500));
}

function told($versions) {
    $all = array();
    foreach ($versions as $module => $version) { $all[] = "$module $version"; }
    return $all ? implode(', ', $all) : 'nothing';
}

// A file for -i, gone when PHP ends.
function pins_file($pins) {
    $file = tempnam(getcwd(), 'updater-');
    register_shutdown_function(function () use ($file) { @unlink($file); });
    if (file_put_contents($file, json_encode($pins)) === false) { stop('the versions cannot be written down', $file); }
    return $file;
}

function installed_versions($docroot) {
    $found = array();
    foreach (query(connect(), 'SELECT ID FROM b_module') as $row) { $found[$row['ID']] = module_version($docroot, $row['ID']); }
    return array_filter($found);
}

// One module with what it brings along, round by round: see what would come, refuse what was not tested, let it come, see that versions moved.
function replay_module($docroot, $module, $pins) {
    global $REQUEST;
    $arguments = array('update:modules', '-m', $module, '-i', pins_file($pins));
    for ($round = 0; $round < $REQUEST['rounds']; $round++) {
        $offered = would_install($docroot, $arguments);
        if ($offered === '') { continue; }
        if (!$offered) { return; }
        if (array_diff_assoc($offered, $pins)) { stop("the console would install something else than was tested for $module", told($offered) . '; tested: ' . told($pins)); }
        $before = installed_versions($docroot);
        $text = console($docroot, 'yes', $arguments);
        if (installed_versions($docroot) === $before && strpos($text, $REQUEST['words']['again']) === false) { stop("$module did not change", 'the console ended well, and every module is as it was'); }
    }
    stop("$module is never done", "after $REQUEST[rounds] rounds the console still offers something");
}

function as_web($url, $docroot) {
    $parts = parse_url($url);
    $https = isset($parts['scheme']) && $parts['scheme'] === 'https';
    $host = $parts['host'] . (isset($parts['port']) ? ':' . $parts['port'] : '');
    foreach (array('HTTP_HOST' => $host, 'SERVER_NAME' => $parts['host'], 'SERVER_PORT' => $https ? '443' : '80', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REMOTE_ADDR' => '127.0.0.1',
        'REQUEST_METHOD' => 'GET', 'REQUEST_URI' => '/', 'SCRIPT_NAME' => '/index.php', 'PHP_SELF' => '/index.php', 'SCRIPT_FILENAME' => "$docroot/index.php",
        'DOCUMENT_ROOT' => $docroot, 'HTTP_ACCEPT_LANGUAGE' => 'ru', 'HTTP_USER_AGENT' => 'updater', 'QUERY_STRING' => '') as $name => $value) { $_SERVER[$name] = $value; }
    $_SERVER['HTTPS'] = $https ? 'on' : '';
}

// -------------------------------------------------------------------------------------------------------------- actions

$docroot = rtrim($REQUEST['docroot'], '/');

switch ($REQUEST['action']) {

case 'recognise':
    $trees = array();
    $home = rtrim((string) getenv('HOME'), '/');
    for ($folder = $docroot, $i = 0; $i < 3 && $folder !== '/' && $folder !== ''; $folder = dirname($folder), $i++) {
        if ($folder === $home && $folder !== $docroot) { break; }
        if (file_exists("$folder/.git")) { $trees[] = $folder; }
    }
    done(array('version' => main_version($docroot), 'connection' => is_file(connection_file($docroot)), 'settings' => is_file("$docroot/bitrix/.settings.php"),
        'trees' => $trees, 'linked' => is_link("$docroot/bitrix"), 'composite' => is_file("$docroot/bitrix/html_pages/.enabled")));

case 'old-credentials':
    // Values are PHP expressions: evaluated, in a process of their own, never parsed.
    $UPDATER['then'] = function ($text) { stop('bitrix/php_interface/dbconn.php ends PHP', $text, 'run it with the php of the web server: `php` in site.yml'); };
    $_SERVER['DOCUMENT_ROOT'] = $docroot;
    ob_start();
    include connection_file($docroot);
    ob_end_clean();
    $found = array();
    foreach (array('host' => 'DBHost', 'user' => 'DBLogin', 'password' => 'DBPassword', 'name' => 'DBName') as $key => $name) { $found[$key] = isset($$name) ? (string) $$name : null; }
    done($found);

case 'new-credentials':
    $UPDATER['then'] = function ($text) { stop('bitrix/.settings.php ends PHP', $text, 'run it with the php of the web server: `php` in site.yml'); };
    $_SERVER['DOCUMENT_ROOT'] = $docroot;
    $settings = array();
    foreach (array('bitrix/.settings.php', 'local/.settings.php', 'bitrix/.settings_extra.php', 'local/.settings_extra.php') as $path) {
        $said = is_file("$docroot/$path") ? include "$docroot/$path" : null;
        if (is_array($said)) { $settings = array_merge($settings, $said); }
    }
    $connection = isset($settings['connections']['value']['default']) ? (array) $settings['connections']['value']['default'] : array();
    $found = array();
    foreach (array('host' => 'host', 'user' => 'login', 'password' => 'password', 'name' => 'database') as $key => $name) { $found[$key] = isset($connection[$name]) ? (string) $connection[$name] : null; }
    $cache = isset($settings['cache']['value']['type']) ? $settings['cache']['value']['type'] : 'files';
    if (is_array($cache)) { $cache = isset($cache['class_name']) ? $cache['class_name'] : 'a class of its own'; }
    $log = isset($settings['exception_handling']['value']['log']['settings']['file']) ? (string) $settings['exception_handling']['value']['log']['settings']['file'] : '';
    done(array('connection' => $found, 'cache' => (string) $cache, 'log' => $log, 'error_log' => (string) ini_get('error_log')));

case 'address':
    $link = connect();
    $names = array();
    foreach (query($link, "SELECT SERVER_NAME FROM b_lang WHERE ACTIVE = 'Y' ORDER BY DEF DESC, SORT") as $row) { $names[] = (string) $row['SERVER_NAME']; }
    $names[] = (string) option($link, 'main', 'server_name');
    $names = array_values(array_filter($names));
    done(array('name' => $names ? $names[0] : 'localhost'));

case 'inventory':
    $found = array();
    foreach (query(connect(), 'SELECT ID FROM b_module ORDER BY ID') as $row) {
        $id = $row['ID'];
        if (!preg_match('/^[A-Za-z0-9_.]+$/', $id)) { continue; }
        $version = module_version($docroot, $id);
        if ($version !== null) { $found[] = array('id' => $id, 'version' => $version, 'path' => module_folder($docroot, $id)); }
    }
    done(array('version' => main_version($docroot), 'php' => PHP_VERSION, 'modules' => $found));

case 'guard':
    // Rows of staging's own copy, before its checkpoint: what differs afterwards is the update's. No file of the site is made or changed.
    $link = connect();
    set_option($link, 'main', 'update_devsrv', 'Y');
    set_option($link, 'main', 'check_agents', 'N');
    set_option($link, 'main', 'agents_use_crontab', 'N');
    set_option($link, 'main', 'site_stopped', 'N');
    if (has_table($link, 'b_event')) { query($link, "DELETE FROM b_event WHERE SUCCESS_EXEC = 'N'"); }
    if (in_array('ACTION_FILE', columns($link, 'b_sale_pay_system_action'), true)) {
        foreach (query($link, "SELECT ID, ACTION_FILE FROM b_sale_pay_system_action WHERE ACTIVE = 'Y'") as $row) {
            // A name, or in older shops the path of a folder of that name.
            if (!in_array(basename((string) $row['ACTION_FILE']), $REQUEST['offline'], true)) { query($link, "UPDATE b_sale_pay_system_action SET ACTIVE = 'N' WHERE ID = :id", array('id' => $row['ID'])); }
        }
    }
    // Options are kept in managed_cache: without this the site goes on as if nothing had been set.
    purge($docroot, $REQUEST['caches']);
    // Left out of the clone: the console unpacks there.
    foreach ($REQUEST['folders'] as $folder) { if (!is_dir("$docroot/$folder") && !@mkdir("$docroot/$folder", 0755, true)) { stop("cannot make the folder $docroot/$folder"); } }
    if (option($link, 'main', 'update_devsrv') !== 'Y') { stop('the developer flag (main/update_devsrv) does not stay set', '', 'look for a trigger on b_option'); }
    done(array('ok' => true));

case 'developer':
    $link = connect();
    done(array('flag' => option($link, 'main', 'update_devsrv') === 'Y', 'site' => (string) option($link, 'main', 'update_site')));

case 'versions':
    done((object) installed_versions($docroot));

case 'ask':
    // In the open shop, and the one call before the gate: whether exactly the tested versions can be had now. Installs nothing.
    $due = array_diff_assoc($REQUEST['pins'], installed_versions($docroot));
    if (!$due) { stop('every module is at the version that was tested already'); }
    $offered = would_install($docroot, array('update:modules', '-m', implode(',', array_keys($due)), '-i', pins_file($REQUEST['pins'])));
    if ($offered === '') { stop('the console renewed itself, and installed nothing', 'the copy that was tested began with an older one', 'updater run'); }
    if (array_diff_assoc($offered, $due) || array_diff_assoc($due, $offered)) { stop('the vendor does not offer what was tested', 'offered: ' . told($offered) . '; tested: ' . told($due)); }
    done(array('ok' => true));

case 'replay':
    $before = installed_versions($docroot);
    foreach ($REQUEST['updates'] as $update) { replay_module($docroot, $update['module'], $update['pins']); }
    $wrong = array_diff_assoc(array_merge($before, $REQUEST['pins']), $now = installed_versions($docroot)) + array_diff_key($now, $before, $REQUEST['pins']);
    if ($wrong) { stop('the replay did not bring the versions that were tested', told(array_intersect_key($now, $wrong)) . '; tested: ' . told($REQUEST['pins'])); }
    done(array('ok' => true));

case 'visit':
    // The front page as a visitor asks for it, by the site's own code: caches are there before the doors open.
    as_web($REQUEST['url'], $docroot);
    $UPDATER['then'] = function ($text) {
        // Shops by language or city send a visitor on from here.
        if (http_response_code() >= 300 && http_response_code() < 400) { done(array('ok' => true, 'bytes' => 0)); }
        if (stripos($text, '</html>') === false) { stop('the front page is not whole', substr(strip_tags($text), -500)); }
        done(array('ok' => true, 'bytes' => strlen($text)));
    };
    chdir($docroot);
    ob_start();
    require "$docroot/index.php";
    exit(0);

case 'verify':
    $wrong = array();
    $installed = array_column(query(connect(), 'SELECT ID FROM b_module'), 'ID');
    foreach ($REQUEST['versions'] as $id => $version) {
        $found = module_version($docroot, $id);
        if (!in_array($id, $installed, true)) { $wrong[] = "$id is not installed any more"; }
        elseif ($found !== $version) { $wrong[] = "$id is " . ($found === null ? 'missing' : $found) . ", expected $version"; }
    }
    if ($wrong) { stop('the update is not complete', implode('; ', $wrong)); }
    done(array('ok' => true));

case 'orders':
    $link = connect();
    $table = $REQUEST['table'];
    if ($table) {
        $name = quoted($table['table']);
        $order = quoted($table['created'] ?: $table['id']);
        $id = quoted($table['id']);
        $orders = query($link, "SELECT $id AS id, " . quoted($table['total']) . ' AS total, ' . quoted($table['email']) . " AS email FROM $name ORDER BY $order DESC, $id DESC LIMIT 20");
        $count = query($link, "SELECT COUNT(*) AS n FROM $name");
    } elseif (!has_table($link, 'b_sale_order')) {
        done(array('orders' => array(), 'count' => 0, 'stock' => (object) array(), 'products' => 0));
    } else {
        // The address that the customer typed is a property of the order; a guest's account may carry another one.
        $typed = in_array('CODE', columns($link, 'b_sale_order_props_value'), true)
            ? "(SELECT v.VALUE FROM b_sale_order_props_value v WHERE v.ORDER_ID = o.ID AND v.CODE = 'EMAIL' LIMIT 1)" : 'NULL';
        $orders = query($link, "SELECT o.ID AS id, o.PRICE AS total, COALESCE($typed, u.EMAIL, '') AS email FROM b_sale_order o LEFT JOIN b_user u ON u.ID = o.USER_ID ORDER BY o.ID DESC LIMIT 20");
        $count = query($link, 'SELECT COUNT(*) AS n FROM b_sale_order');
    }
    $stock = array();
    if (has_table($link, 'b_catalog_product')) {
        foreach (query($link, "SELECT p.ID, p.QUANTITY FROM b_catalog_product p JOIN b_iblock_element e ON e.ID = p.ID WHERE e.ACTIVE = 'Y'") as $row) { $stock[$row['ID']] = $row['QUANTITY']; }
    }
    done(array('orders' => $orders, 'count' => (int) $count[0]['n'], 'stock' => (object) $stock, 'products' => count($stock)));

case 'purge':
    // Files only, never Bitrix itself: this also runs after a rollback from a broken release.
    purge($docroot, $REQUEST['caches']);
    done(array('ok' => true));

default:
    stop("unknown action {$REQUEST['action']}");
}
