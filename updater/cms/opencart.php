<?php
// The PHP half of the OpenCart driver (opencart.py): one action a process, $REQUEST in, one answer out. Runs on PHP 5.6 and newer.
// OpenCart's own code runs in `patch`, `refresh` and `visit` alone; everything else reads files and the database.

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
    // OpenCart ends many of its controllers by exit, and always with code 0: only what it said counts.
    if ($UPDATER['then']) { call_user_func($UPDATER['then'], $text); }
    stop("the site ended PHP in step {$REQUEST['action']}", trim(substr(strip_tags($text), -1500)));
});

function done($value) { leave(); answer($value); }
function stop($what, $cause = '', $hint = '') { leave(); fail($what, $cause, $hint); }

// An answer ends PHP even inside a shutdown function, and those registered later never run: what holds credentials goes first.
function leave() {
    $GLOBALS['UPDATER']['answered'] = true;
    if (isset($GLOBALS['UPDATER']['shadow'])) { remove_tree($GLOBALS['UPDATER']['shadow']); }
}

// ------------------------------------------------------------------------------------------------------------- files

function entries($folder) { return is_dir($folder) ? array_values(array_diff((array) @scandir($folder), array('.', '..'))) : array(); }

function remove_tree($path) {
    if (is_link($path) || is_file($path)) { return @unlink($path); }
    foreach (entries($path) as $name) { remove_tree("$path/$name"); }
    return @rmdir($path);
}

function make_folder($path) { if (!is_dir($path) && !@mkdir($path, 0755, true)) { stop("cannot make the folder $path", '', 'compare the owner of the files with the ssh user'); } }

function write_file($path, $text, $mode = null) {
    make_folder(dirname($path));
    $new = "$path.updater-" . getmypid();
    if (@file_put_contents($new, $text) !== strlen($text)) { @unlink($new); stop("cannot write $path", 'no permission or no space'); }
    @chmod($new, is_file($path) ? fileperms($path) & 07777 : ($mode ?: 0644));
    if (!@rename($new, $path)) { @unlink($new); stop("cannot replace $path"); }
}

// Where a path below the docroot lies: storage may be outside of it, and goes by a name below it all the same.
function at($path) {
    global $docroot, $REQUEST;
    foreach ($REQUEST['elsewhere'] as $name => $folder) {
        if ($path === $name || strpos($path, "$name/") === 0) { return $folder . substr($path, strlen($name)); }
    }
    return "$docroot/$path";
}

// The site's own file, also while the gate stands in for it.
function config_file($folder) {
    global $REQUEST;
    return is_file("$folder/{$REQUEST['kept']}") ? "$folder/{$REQUEST['kept']}" : "$folder/config.php";
}

// Constants of one config.php. Values are PHP expressions: they are evaluated, in a process of their own, never parsed.
function read_config($folder) {
    foreach (array('HTTP_HOST' => 'localhost', 'SERVER_NAME' => 'localhost', 'REQUEST_URI' => '/', 'SERVER_PORT' => '443', 'HTTPS' => 'on', 'DOCUMENT_ROOT' => $GLOBALS['docroot']) as $name => $value) {
        if (!isset($_SERVER[$name])) { $_SERVER[$name] = $value; }
    }
    chdir($folder);
    ob_start();
    include config_file($folder);
    ob_end_clean();
    $all = get_defined_constants(true);
    return isset($all['user']) ? $all['user'] : array();
}

function version_of($docroot) {
    $text = (string) @file_get_contents("$docroot/index.php", false, null, 0, 20000);
    return preg_match('/^\s*define\(\s*[\'"]VERSION[\'"]\s*,\s*[\'"]([^\'"]+)[\'"]/m', $text, $match) ? $match[1] : null;
}

// Who made it, where index.php says so: ocStore does.
function core_of($docroot) {
    $text = (string) @file_get_contents("$docroot/index.php", false, null, 0, 20000);
    return preg_match('/^\s*define\(\s*[\'"]VERSION_CORE[\'"]\s*,\s*[\'"]([^\'"]+)[\'"]/m', $text, $match) ? $match[1] : '';
}

// ---------------------------------------------------------------------------------------------------------- database

function connect() {
    global $REQUEST;
    $database = $REQUEST['database'];
    if (!function_exists('mysqli_init')) { stop('PHP has no mysqli extension', '', 'set `php` in site.yml to the PHP that serves the site'); }
    mysqli_report(MYSQLI_REPORT_OFF);
    $link = mysqli_init();
    if (!@mysqli_real_connect($link, $database['host'], $database['user'], $database['password'], $database['name'], $database['port'] ?: 0, $database['socket'] ?: null)) {
        stop("cannot connect to the site's database", mysqli_connect_error(), 'compare the DB_ constants in config.php');
    }
    @mysqli_set_charset($link, 'utf8mb4');
    return $link;
}

function query($link, $sql, $values = array()) {
    global $REQUEST;
    $in = array('`#' => '`' . $REQUEST['database']['prefix']);
    foreach ($values as $name => $value) { $in[":$name"] = "'" . mysqli_real_escape_string($link, (string) $value) . "'"; }
    $sql = strtr($sql, $in); // in one pass: a value may hold what looks like a name
    $result = mysqli_query($link, $sql);
    if ($result === false) { stop('a query failed', mysqli_error($link) . ': ' . substr($sql, 0, 500)); }
    if ($result === true) { return array(); }
    $rows = array();
    while ($row = mysqli_fetch_assoc($result)) { $rows[] = $row; }
    return $rows;
}

function has_table($link, $name) {
    global $REQUEST;
    return (bool) query($link, "SHOW TABLES LIKE '" . mysqli_real_escape_string($link, addcslashes($REQUEST['database']['prefix'] . $name, '_%\\')) . "'");
}

function columns($link, $table) {
    return has_table($link, $table) ? array_column(query($link, "SHOW COLUMNS FROM `#$table`"), 'Field') : array();
}

// What the last refresh in an ocmod.log found no place for, each as `modification: file: code`.
function not_found($log) {
    $runs = preg_split('/^\d{4}-\d\d-\d\d \d+:\d\d:\d\d - (?=MOD: )/m', $log);
    $found = array();
    $mod = $file = $code = '';
    foreach (explode("\n", (string) end($runs)) as $line) {
        if (preg_match('/^MOD: (.*)/', $line, $match)) { $mod = trim($match[1]); }
        if (preg_match('/^FILE: (?:\(sub modification\) )?(.*)/', $line, $match)) { $file = trim($match[1]); }
        if (preg_match('/^(?:CODE|REGEX): (.*)/', $line, $match)) { $code = trim($match[1]); }
        if (strpos($line, 'NOT FOUND') === 0) { $found[] = "$mod: $file: $code"; }
    }
    return array_values(array_unique($found));
}

// How many operations of each modification found their place in the last refresh of an ocmod.log. A file that is gone is not even named.
function applied($log) {
    $runs = preg_split('/^\d{4}-\d\d-\d\d \d+:\d\d:\d\d - (?=MOD: )/m', $log);
    $found = array();
    $mod = '';
    $asked = false;
    foreach (explode("\n", (string) end($runs)) as $line) {
        if (preg_match('/^MOD: (.*)/', $line, $match)) { $mod = trim($match[1]); $found[$mod] = isset($found[$mod]) ? $found[$mod] : 0; }
        if (preg_match('/^(CODE|REGEX): /', $line)) { $asked = true; }
        if ($asked && strpos($line, 'LINE: ') === 0) { $found[$mod]++; $asked = false; }
    }
    return $found;
}

// How many operations of each vqmod/xml/*.xml find their place. vQmod says what it misses, and only in a log that may be off; so it is
// looked for as vQmod 2 does: line by line, in the copy that OCMOD compiled where there is one, after what the files before have changed.
function vqmod_applied() {
    global $docroot, $REQUEST;
    if (!class_exists('DOMDocument')) { stop('PHP has no dom extension, without which vQmod compiles nothing', '', 'set `php` in site.yml to the PHP that serves the site'); }
    $replaces = array();
    if (is_file("$docroot/vqmod/pathReplaces.php")) { include "$docroot/vqmod/pathReplaces.php"; }
    $texts = $applied = array();
    foreach ((array) glob("$docroot/vqmod/xml/*.xml") as $xml) {
        $name = basename($xml);
        $applied[$name] = 0;
        $dom = new DOMDocument();
        if (!@$dom->load($xml)) { continue; }
        foreach ($dom->getElementsByTagName('file') as $file) {
            foreach (explode(',', $file->getAttribute('name')) as $each) {
                $path = $file->getAttribute('path') . $each;
                foreach ($replaces as $pair) { if (count($pair) === 2) { $path = preg_replace($pair[0], $pair[1], $path); } }
                foreach ((array) glob("$docroot/$path") as $target) {
                    $inside = substr($target, strlen($docroot) + 1);
                    $key = strpos($inside, "{$REQUEST['admin']}/") === 0 ? 'admin' . substr($inside, strlen($REQUEST['admin'])) : $inside;
                    $copy = at("{$REQUEST['storage']}/modification/$key");
                    $text = isset($texts[$inside]) ? $texts[$inside] : (string) @file_get_contents(is_file($copy) ? $copy : $target);
                    $count = vqmod_operations($file->getElementsByTagName('operation'), $text);
                    if ($count === null) { continue 4; }  // it gives up the whole of this XML file from here on
                    $applied[$name] += $count;
                    $texts[$inside] = $text;
                }
            }
        }
    }
    return $applied;
}

// Applied to the text of one file; their number, or null where one that must find its place does not.
function vqmod_operations($operations, &$text) {
    $new = $text;
    $count = 0;
    foreach ($operations as $operation) {
        $search = $operation->getElementsByTagName('search')->item(0);
        $add = $operation->getElementsByTagName('add')->item(0);
        if (!$search || !$add) { continue; }
        $unless = $operation->getElementsByTagName('ignoreif')->item(0);
        if ($unless && vqmod_hit($unless, $new)) { $count++; continue; }
        $put = $add->getAttribute('trim') === 'true' ? trim($add->nodeValue) : $add->nodeValue;
        $position = $add->getAttribute('position') ?: $search->getAttribute('position');
        if ($position === 'top' || $position === 'bottom') { $new = $position === 'top' ? $put . $new : $new . $put; $count++; continue; }
        $hit = false;
        $lines = explode("\n", $new);
        foreach ($lines as $number => $line) {
            if (!vqmod_hit($search, $line)) { continue; }
            $hit = true;
            $sought = vqmod_text($search);
            $regex = $search->getAttribute('regex') === 'true';
            switch ($position) {
                case 'before': $lines[$number] = "$put\n$line"; break;
                case 'after': $lines[$number] = "$line\n$put"; break;
                case 'ibefore': $lines[$number] = str_replace($sought, $put . $sought, $line); break;
                case 'iafter': $lines[$number] = str_replace($sought, $sought . $put, $line); break;
                default: $lines[$number] = $regex ? preg_replace($sought, $put, $line) : str_replace($sought, $put, $line);
            }
        }
        $new = implode("\n", $lines);
        if ($hit) { $count++; continue; }
        if (!in_array($operation->getAttribute('error'), array('skip', 'log'), true)) { return null; }
    }
    $text = $new;
    return $count;
}

function vqmod_text($node) { return $node->getAttribute('trim') === 'false' ? $node->nodeValue : trim($node->nodeValue); }

function vqmod_hit($node, $text) {
    $sought = vqmod_text($node);
    if ($sought === '') { return false; }
    return $node->getAttribute('regex') === 'true' ? @preg_match($sought, $text) === 1 : strpos($text, $sought) !== false;
}

// What is less than it was, told as `name: 2 of 3 operations`.
function fewer($before, $now) {
    $found = array();
    foreach ((array) $before as $name => $count) {
        $is = isset($now[$name]) ? $now[$name] : 0;
        if ($is < $count) { $found[] = "$name: $is of $count operations"; }
    }
    return $found;
}

function quoted($name) { return '`' . str_replace('`', '``', $name) . '`'; }

// ------------------------------------------------------------------------------------------------- OpenCart's own code

// A document root of the installer's own: links to everything, and configuration files that it may parse and rewrite as it likes. The
// site's files are neither read by it (they hold expressions, or are the gate) nor written; no installer is ever below the public root.
// 4.x takes what stands between the quotes as it is, 3.x evaluates the line; 3.x knows no other name for the admin than admin.
function shadow($constants) {
    global $docroot, $REQUEST;
    $three = $REQUEST['three'];
    $root = sys_get_temp_dir() . '/updater-opencart-' . uniqid(getmypid(), true);
    if (!@mkdir($root, 0700)) { stop("cannot make the folder $root"); }
    $GLOBALS['UPDATER']['shadow'] = $root;
    $admin = $three ? 'admin' : $REQUEST['admin'];
    foreach (entries($docroot) as $name) {
        if ($name !== 'install' && $name !== $REQUEST['admin'] && strpos($name, 'config') !== 0 && $name[0] !== '.') { symlink("$docroot/$name", "$root/$name"); }
    }
    mkdir("$root/$admin");
    foreach (array('config.php', "$admin/config.php") as $path) {
        $text = "<?php\n";
        foreach ($constants as $name => $value) {
            $text .= "define('$name', '" . ($three ? addcslashes((string) $value, "\\'") : $value) . "');\n";
        }
        file_put_contents("$root/$path", $text);
    }
    foreach ($REQUEST['installer'] as $path => $data) { make_folder(dirname("$root/$path")); file_put_contents("$root/$path", base64_decode($data)); }
    return "$root/";
}

function as_web($url) {
    $parts = parse_url($url);
    $https = isset($parts['scheme']) && $parts['scheme'] === 'https';
    $host = $parts['host'] . (isset($parts['port']) ? ':' . $parts['port'] : '');
    foreach (array('HTTP_HOST' => $host, 'SERVER_NAME' => $parts['host'], 'SERVER_PORT' => $https ? '443' : '80', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REMOTE_ADDR' => '127.0.0.1',
        'REQUEST_METHOD' => 'GET', 'REQUEST_URI' => '/install/index.php', 'SCRIPT_NAME' => '/install/index.php', 'PHP_SELF' => '/install/index.php', 'DOCUMENT_ROOT' => $GLOBALS['docroot'],
        'HTTP_ACCEPT_LANGUAGE' => 'en', 'HTTP_USER_AGENT' => 'updater') as $name => $value) { $_SERVER[$name] = $value; }
    $_SERVER['HTTPS'] = $https ? 'on' : '';
}

// -------------------------------------------------------------------------------------------------------------- actions

$docroot = rtrim($REQUEST['docroot'], '/');

switch ($REQUEST['action']) {

case 'recognise':
    $admins = array();
    foreach (entries($docroot) as $name) {
        $file = config_file("$docroot/$name");
        if (is_file($file) && preg_match('/define\(\s*[\'"](HTTP_CATALOG|DIR_CATALOG)[\'"]|[\'"]Admin[\'"]/', (string) @file_get_contents($file))) { $admins[] = $name; }
    }
    $trees = array();
    $home = rtrim((string) getenv('HOME'), '/');
    for ($folder = $docroot, $i = 0; $i < 3 && $folder !== '/' && $folder !== ''; $folder = dirname($folder), $i++) {
        if ($folder === $home && $folder !== $docroot) { break; }
        if (file_exists("$folder/.git")) { $trees[] = $folder; }
    }
    $config = config_file($docroot);
    done(array(
        'core' => version_of($docroot) !== null && is_file("$docroot/system/startup.php") && is_dir("$docroot/catalog"), 'version' => version_of($docroot),
        'config' => is_file($config) && filesize($config) > 0, 'admins' => $admins, 'trees' => $trees, 'installer' => is_dir("$docroot/install"),
        'vqmod' => is_file("$docroot/vqmod/vqmod.php"),
    ));

case 'config':
    $folder = $docroot . ($REQUEST['folder'] === '' ? '' : "/{$REQUEST['folder']}");
    $GLOBALS['UPDATER']['then'] = function ($text) use ($folder) { stop("$folder/config.php ends PHP", $text, 'run it with the php of the web server: `php` in site.yml'); };
    $constants = read_config($folder);
    $two = !isset($constants['DIR_STORAGE']) && isset($constants['DIR_CACHE']);
    $real = $two ? realpath(dirname($constants['DIR_CACHE'])) : (isset($constants['DIR_STORAGE']) ? realpath($constants['DIR_STORAGE']) : false);
    $scattered = array();
    foreach ($two ? array('CACHE', 'DOWNLOAD', 'LOGS', 'MODIFICATION', 'UPLOAD') : array() as $name) {
        $is = isset($constants["DIR_$name"]) ? realpath($constants["DIR_$name"]) : false;
        if ($is === false || $is !== "$real/" . strtolower($name)) { $scattered[] = "DIR_$name"; }
    }
    // 2.3 looks for libraries beside the docroot, and goes without them where there are none.
    $vendor = $two && is_file("$docroot/system/../../vendor/autoload.php") ? realpath("$docroot/../vendor") : '';
    done(array('constants' => (object) $constants, 'storage' => $real === false ? '' : $real, 'root' => realpath($docroot), 'error_log' => (string) ini_get('error_log'),
        'scattered' => $scattered, 'vendor' => $vendor));

case 'not-found':
    // Production's own log: what a modification has not found for years is no fault of the update.
    $log = $REQUEST['log'];
    $text = is_file($log) ? (string) file_get_contents($log) : '';
    done(array('known' => $text === '' ? null : array_map('sha1', not_found($text)), 'applied' => (object) applied($text)));

case 'vqmod':
    $now = vqmod_applied();
    $known = array_diff_key(isset($REQUEST['known']) ? $REQUEST['known'] : array(), array_flip(isset($REQUEST['brought']) ? $REQUEST['brought'] : array()));
    $lost = fewer($known, $now);
    foreach (isset($REQUEST['brought']) ? $REQUEST['brought'] : array() as $name) {
        if (empty($now[$name])) { $lost[] = "$name: finds no place at all"; }
    }
    if ($lost) { stop('vQmod changes less than before', implode('; ', array_slice($lost, 0, 5)), 'ask the maker of that XML file for a version that fits'); }
    done(array('ok' => true, 'applied' => (object) $now));

case 'inventory':
    $link = connect();
    $found = array();
    $install = columns($link, 'extension_install');
    if (in_array('version', $install, true)) {
        $enabled = array();
        foreach (query($link, 'SELECT DISTINCT extension FROM `#extension`') as $row) { $enabled[] = $row['extension']; }
        foreach (query($link, 'SELECT code, name, version, status FROM `#extension_install` ORDER BY extension_install_id') as $row) {
            if ($row['code'] !== 'opencart' && preg_match('/^[A-Za-z0-9_.-]+$/', $row['code']) && is_dir("$docroot/extension/{$row['code']}")) {
                $found[] = array('slug' => $row['code'], 'name' => $row['name'], 'version' => $row['version'], 'active' => in_array($row['code'], $enabled, true), 'path' => "extension/{$row['code']}");
            }
        }
    }
    if (!in_array('version', $install, true) && has_table($link, 'modification')) {
        foreach (query($link, 'SELECT code, name, version, status FROM `#modification` ORDER BY modification_id') as $row) {
            // Any maker's words, also in Cyrillic; files are named by it.
            if ($row['code'] === '' || strpbrk($row['code'], "/\\\0") !== false) { continue; }
            $found[] = array('slug' => $row['code'], 'name' => $row['name'], 'version' => $row['version'], 'active' => (bool) $row['status'], 'path' => '');
        }
    }
    done(array('version' => version_of($docroot), 'core' => core_of($docroot), 'php' => PHP_VERSION, 'extensions' => $found));

case 'error-logs':
    // An administrator may name the file.
    $names = array('error.log');
    foreach (query(connect(), "SELECT DISTINCT `value` FROM `#setting` WHERE `key` = 'config_error_filename'") as $row) { $names[] = basename($row['value']); }
    done(array('names' => array_values(array_unique(array_filter($names)))));

case 'guard':
    // Rows of staging's own copy, before its checkpoint: what differs afterwards is the update's.
    $link = connect();
    $offline = array('payment_cod', 'cod', 'payment_free_checkout', 'free_checkout');
    foreach (query($link, "SELECT DISTINCT `code` FROM `#setting` WHERE `key` LIKE '%\\_status' AND (`code` LIKE 'payment\\_%')") as $row) {
        if (!in_array($row['code'], $offline, true)) { query($link, "UPDATE `#setting` SET `value` = '0' WHERE `code` = :code AND `key` = :key", array('code' => $row['code'], 'key' => "{$row['code']}_status")); }
    }
    // 2.3 keeps them under their bare code.
    foreach (has_table($link, 'extension') ? query($link, "SELECT DISTINCT code FROM `#extension` WHERE type = 'payment'") : array() as $row) {
        if (!in_array($row['code'], $offline, true)) { query($link, "UPDATE `#setting` SET `value` = '0' WHERE `code` = :code AND `key` = :key", array('code' => $row['code'], 'key' => "{$row['code']}_status")); }
    }
    // PHP's own way out, where the stack's trap stands; 3.x logs an error for an engine of ''.
    query($link, "UPDATE `#setting` SET `value` = 'mail' WHERE `key` IN ('config_mail_engine', 'config_mail_protocol')");
    query($link, "UPDATE `#setting` SET `value` = '' WHERE `key` LIKE 'config\\_mail\\_smtp\\_%'");
    query($link, "UPDATE `#setting` SET `value` = '0' WHERE `key` = 'config_maintenance'");
    // A page over a failed query answers 200: its log is how we know.
    query($link, "UPDATE `#setting` SET `value` = '1' WHERE `key` = 'config_error_log'");
    if (has_table($link, 'cron')) { query($link, 'UPDATE `#cron` SET status = 0'); }
    foreach ($REQUEST['folders'] as $folder) { make_folder(at($folder)); }
    done(array('ok' => true));

case 'overlay':
    if (!class_exists('ZipArchive')) { stop('PHP has no zip extension', '', 'switch it on, or set `php` in site.yml to a PHP that has it'); }
    $zip = new ZipArchive();
    $opened = $zip->open($REQUEST['package']);
    if ($opened !== true) { stop('the package cannot be opened', "ZipArchive says $opened"); }
    foreach ($REQUEST['members'] as $path => $member) {
        if ($zip->locateName($member) === false) { stop('the package is not what was read before', "no $member"); }
    }
    foreach ($REQUEST['members'] as $path => $member) {
        $text = $zip->getFromName($member);
        if ($text === false) { stop('the package is damaged', $member); }
        if (!is_file(at($path)) || file_get_contents(at($path)) !== $text) { write_file(at($path), $text); }
    }
    foreach ($REQUEST['stale'] as $path) {
        if (is_file(at($path)) || is_link(at($path))) {
            if (!@unlink(at($path))) { stop("cannot remove $path of the old release"); }
            for ($folder = dirname($path); $folder !== '.' && @rmdir(at($folder)); $folder = dirname($folder)) {}
        }
    }
    if ($REQUEST['archive']) { write_file(at($REQUEST['archive']), file_get_contents($REQUEST['package'])); }
    done(array('ok' => true));

case 'read-back':
    // A fresh process: every file has the bytes of the package, and the core says its own version.
    $wrong = array();
    $zip = new ZipArchive();
    if ($zip->open($REQUEST['package']) !== true) { stop('the package cannot be opened'); }
    foreach ($REQUEST['members'] as $path => $member) {
        if (!is_file(at($path)) || file_get_contents(at($path)) !== $zip->getFromName($member)) { $wrong[] = $path; }
    }
    done(array('wrong' => $wrong, 'version' => version_of($docroot)));

case 'patch':
    // One patch of the installer. It says JSON with `text`, `next` or `success`; anything else is a failure, whatever the exit code.
    $constants = (array) $REQUEST['constants'];
    $root = shadow($constants);
    as_web($REQUEST['url']);
    $folders = array('DIR_OPENCART' => $root, 'DIR_APPLICATION' => "{$root}install/", 'DIR_SYSTEM' => "$docroot/system/", 'DIR_EXTENSION' => "$docroot/extension/", 'DIR_IMAGE' => "$docroot/image/",
        'DIR_STORAGE' => $constants['DIR_STORAGE'], 'DIR_LANGUAGE' => "{$root}install/language/", 'DIR_TEMPLATE' => "{$root}install/view/template/", 'DIR_CONFIG' => "$docroot/system/config/",
        'DIR_DATABASE' => "$docroot/system/database/");
    foreach (array('CACHE' => 'cache', 'DOWNLOAD' => 'download', 'LOGS' => 'logs', 'SESSION' => 'session', 'UPLOAD' => 'upload', 'MODIFICATION' => 'modification') as $name => $folder) {
        $folders["DIR_$name"] = rtrim($constants['DIR_STORAGE'], '/') . "/$folder/";
        // Patch 1 of 4.x would make what is missing with a mode that nobody can enter.
        if ($name !== 'MODIFICATION' || $REQUEST['three']) { make_folder($folders["DIR_$name"]); }
    }
    foreach (array('backup', 'marketplace') as $folder) { make_folder(rtrim($constants['DIR_STORAGE'], '/') . "/$folder"); }
    foreach ($folders as $name => $value) { define($name, $value); }
    define('APPLICATION', 'Install');
    define('VERSION', version_of($docroot));
    define('HTTP_SERVER', rtrim($REQUEST['url'], '/') . '/install/');
    define('HTTP_OPENCART', rtrim($REQUEST['url'], '/') . '/');
    $_GET = $_REQUEST = $REQUEST['query'];
    $_SERVER['QUERY_STRING'] = http_build_query($_GET);
    $UPDATER['log'] = @filesize($folders['DIR_LOGS'] . 'error.log') ?: 0;
    $UPDATER['then'] = function ($text) use ($folders) {
        global $UPDATER, $REQUEST;
        $said = null;
        $logged = (string) @file_get_contents($folders['DIR_LOGS'] . 'error.log', false, null, $UPDATER['log']);
        if (preg_match('/\{.*\}\s*$/s', $text, $match)) { $said = json_decode($match[0], true); }
        if (!is_array($said) || !array_intersect_key($said, array('text' => 1, 'next' => 1, 'success' => 1))) {
            $cause = is_array($said) && isset($said['error']) ? $said['error'] : trim(substr(strip_tags($text), -800) . ' ' . substr($logged, -800));
            stop("patch {$REQUEST['patch']} did not say that it is done", is_string($cause) ? $cause : json_encode($cause), 'read the message: it is the installer\'s own');
        }
        if (!empty($said['error'])) { stop("patch {$REQUEST['patch']} failed", is_string($said['error']) ? $said['error'] : json_encode($said['error'])); }
        if (preg_match('/(Unknown column|doesn\'t exist|SQL syntax|Fatal error)[^\n]*/i', $logged, $match)) { stop("patch {$REQUEST['patch']} logged an error", $match[0]); }
        done(array('ok' => true, 'said' => $said));
    };
    chdir("{$root}install");
    ob_start();
    require DIR_SYSTEM . 'startup.php';
    if ($REQUEST['three']) { start('install'); } else { require DIR_SYSTEM . 'framework.php'; }
    exit(0);

case 'note':
    // What the patches do not keep. In a file of the cache folder, which is emptied whatever becomes of the promotion: a table would
    // outlive a migration that was cut off, and the next one would put back what it says.
    $link = connect();
    if (!$REQUEST['three']) {
        // 4.1 compiles them into extension/ocmod/, by rules that were read and never tried.
        $on = has_table($link, 'modification') ? query($link, 'SELECT name FROM `#modification` WHERE status = 1') : array();
        if ($on) { stop('OpenCart 4 with modifications (OCMOD) switched on is not supported yet', implode(', ', array_column($on, 'name')), 'update the core by hand, or switch them off first'); }
    }
    $note = array('modification' => array());
    foreach ($REQUEST['three'] && has_table($link, 'modification') ? query($link, 'SELECT modification_id, status FROM `#modification`') : array() as $row) {
        $note['modification'][$row['modification_id']] = (int) $row['status'];
    }
    foreach (array('setting', 'event') as $table) {
        $last = has_table($link, $table) ? query($link, "SELECT MAX({$table}_id) AS n FROM `#$table`") : array(array('n' => 0));
        $note[$table] = (int) $last[0]['n'];
    }
    write_file(at($REQUEST['note']), json_encode($note), 0600);
    done(array('ok' => true));

case 'put-back':
    $note = json_decode((string) @file_get_contents(at($REQUEST['note'])), true);
    if (!is_array($note)) { stop("what was noted before the patches is gone: {$REQUEST['note']}", 'the patches emptied the cache folder, or something else did'); }
    $link = connect();
    foreach ($note['modification'] as $id => $status) { query($link, 'UPDATE `#modification` SET status = ' . (int) $status . ' WHERE modification_id = ' . (int) $id); }
    // 1005 and 1007 of 3.x add theme_default_product_limit = 20 beside the shop's own, and of two rows OpenCart takes the later.
    query($link, "DELETE added FROM `#setting` added JOIN `#setting` own ON own.setting_id <= {$note['setting']} AND own.store_id = added.store_id
        AND own.`code` = added.`code` AND own.`key` = added.`key` WHERE added.setting_id > {$note['setting']}");
    // 5 of 4.x adds events by a code that the shop has under another: the same action would run twice, and mail each customer twice.
    if (has_table($link, 'event')) {
        query($link, "DELETE added FROM `#event` added JOIN `#event` own ON own.event_id <= {$note['event']}
            AND own.`trigger` = added.`trigger` AND own.`action` = added.`action` WHERE added.event_id > {$note['event']}");
    }
    done(array('ok' => true));

case 'extension':
    // The rows that OpenCart's own upload writes, for a version that lies in the files already: it has no way to update.
    $link = connect();
    $new = $REQUEST['extension'];
    if ($REQUEST['three']) {
        query($link, 'UPDATE `#modification` SET version = :version, xml = :xml, name = :name WHERE code = :code',
            array('version' => $new['version'], 'xml' => base64_decode($new['xml']), 'name' => $new['name'], 'code' => $new['code']));
        done(array('ok' => true));
    }
    $row = query($link, 'SELECT extension_install_id AS id FROM `#extension_install` WHERE code = :code', array('code' => $new['code']));
    if (!$row) { stop("the extension {$new['code']} is not installed"); }
    $id = (int) $row[0]['id'];
    query($link, "UPDATE `#extension_install` SET version = :version, name = :name WHERE extension_install_id = $id", array('version' => $new['version'], 'name' => $new['name']));
    $have = array_column(query($link, "SELECT path FROM `#extension_path` WHERE extension_install_id = $id"), 'path');
    foreach (array_diff($have, $new['paths']) as $path) { query($link, "DELETE FROM `#extension_path` WHERE extension_install_id = $id AND path = :path", array('path' => $path)); }
    foreach (array_diff($new['paths'], $have) as $path) { query($link, "INSERT INTO `#extension_path` SET extension_install_id = $id, path = :path", array('path' => $path)); }
    done(array('ok' => true));

case 'refresh':
    // OCMOD of 3.x, by OpenCart's own controller with the rights of an administrator. It redirects whatever happened: its log is the answer.
    // It would close the shop by a row meanwhile, and a shop whose refresh dies would stay closed: it is given a model that writes nothing.
    as_web($REQUEST['url']);
    read_config("$docroot/{$REQUEST['admin']}");
    define('VERSION', version_of($docroot));
    $link = connect();
    $UPDATER['log'] = @filesize(DIR_LOGS . 'ocmod.log') ?: 0;
    $UPDATER['then'] = function ($text) use ($link) {
        global $UPDATER, $REQUEST;
        clearstatcache();
        $size = @filesize(DIR_LOGS . 'ocmod.log') ?: 0;
        $log = (string) @file_get_contents(DIR_LOGS . 'ocmod.log', false, null, $size < $UPDATER['log'] ? 0 : $UPDATER['log']);
        $lost = array();
        foreach ($REQUEST['known'] === array('*') ? array() : not_found($log) as $each) {
            if (!in_array(sha1($each), (array) $REQUEST['known'], true)) { $lost[] = $each; }
        }
        if ($lost && $REQUEST['known'] === null) {
            stop('a modification finds nothing to change, and ocmod.log on production does not say whether it did before', implode('; ', array_slice($lost, 0, 5)),
                'press Refresh on the Modifications page of the admin once, then run again');
        }
        if ($lost) { stop('a modification finds nothing to change any more', implode('; ', array_slice($lost, 0, 5)), 'ask its maker for a version that fits this OpenCart'); }
        $less = $REQUEST['known'] === array('*') ? array() : fewer(array_intersect_key($REQUEST['applied'], applied($log)), applied($log)); // not of one that was switched off
        if ($less) { stop('a modification changes less than before', implode('; ', array_slice($less, 0, 5)), 'ask its maker for a version that fits this OpenCart: a file that it changes may be gone'); }
        $enabled = query($link, 'SELECT COUNT(*) AS n FROM `#modification` WHERE status = 1');
        $made = is_dir(DIR_MODIFICATION) ? count(array_diff(entries(DIR_MODIFICATION), array('index.html'))) : 0;
        if ($enabled[0]['n'] > 0 && !$made && !not_found($log)) { stop('modifications were not compiled', trim(substr(strip_tags($text), -500)) ?: "nothing lies in " . DIR_MODIFICATION); }
        done(array('ok' => true, 'enabled' => (int) $enabled[0]['n'], 'log' => substr($log, 0, 2000)));
    };
    ob_start();
    require DIR_SYSTEM . 'startup.php';
    $registry = new Registry();
    $config = new Config();
    $config->load('default');
    $config->load('admin');
    foreach (query($link, 'SELECT `key`, `value`, serialized FROM `#setting` WHERE store_id = 0') as $row) { $config->set($row['key'], $row['serialized'] ? json_decode($row['value'], true) : $row['value']); }
    $registry->set('config', $config);
    $registry->set('log', new Log($config->get('error_filename') ?: 'error.log'));
    $registry->set('event', new Event($registry));
    $registry->set('load', new Loader($registry));
    $registry->set('request', new Request());
    $registry->set('response', new Response());
    $registry->set('db', new DB(DB_DRIVER, DB_HOSTNAME, DB_USERNAME, DB_PASSWORD, DB_DATABASE, defined('DB_PORT') ? DB_PORT : null));
    $registry->set('cache', new Cache('file', 3600));
    $registry->set('url', new Url(HTTP_SERVER, defined('HTTPS_SERVER') ? HTTPS_SERVER : HTTP_SERVER));
    $registry->set('language', new Language('en-gb'));
    $registry->set('document', new Document());
    $session = new stdClass();
    $session->data = array('user_token' => 'updater', 'token' => 'updater');
    $registry->set('session', $session);
    $registry->set('user', new UpdaterUser());
    $registry->set('model_setting_setting', new UpdaterSettings());
    // 2.3 has it in another place.
    $three = is_file(DIR_APPLICATION . 'controller/marketplace/modification.php');
    require DIR_APPLICATION . 'controller/' . ($three ? 'marketplace' : 'extension') . '/modification.php';
    $class = $three ? 'ControllerMarketplaceModification' : 'ControllerExtensionModification';
    $controller = new $class($registry);
    $controller->refresh();
    exit(0);

case 'visit':
    // The front page as a visitor asks for it, by the site's own code: compiled templates and caches are there before the doors open.
    as_web($REQUEST['url']);
    foreach (array('REQUEST_URI' => '/', 'SCRIPT_NAME' => '/index.php', 'PHP_SELF' => '/index.php', 'SCRIPT_FILENAME' => "$docroot/index.php") as $name => $value) { $_SERVER[$name] = $value; }
    $UPDATER['then'] = function ($text) {
        // Shops by language or city send a visitor on from here.
        if (http_response_code() >= 300 && http_response_code() < 400) { done(array('ok' => true, 'bytes' => 0)); }
        if (stripos($text, '</html>') === false) {
            $said = trim(strip_tags($text));  // OpenCart 4 prints what went wrong first, and a long way down to it after
            stop('the front page is not whole', strlen($said) > 700 ? substr($said, 0, 500) . ' … ' . substr($said, -150) : $said);
        }
        done(array('ok' => true, 'bytes' => strlen($text)));
    };
    chdir($docroot);
    ob_start();
    require "$docroot/index.php";
    exit(0);

case 'verify':
    $link = connect();
    $wrong = array();
    foreach ($REQUEST['versions'] as $wanted) {
        list($kind, $slug, $version) = $wanted;
        if ($kind === 'core') {
            $found = version_of($docroot);
        } else {
            $table = $REQUEST['three'] ? 'modification' : 'extension_install';
            $row = query($link, "SELECT version FROM `#$table` WHERE code = :code", array('code' => $slug));
            $found = $row ? $row[0]['version'] : null;
        }
        if ($found !== $version) { $wrong[] = "$kind $slug is " . ($found === null ? 'missing' : $found) . ", expected $version"; }
    }
    if (is_dir("$docroot/install")) { $wrong[] = 'the installer is still there'; }
    if ($wrong) { stop('the migration is not complete', implode('; ', $wrong)); }
    done(array('ok' => true));

case 'orders':
    $link = connect();
    $table = $REQUEST['table'];
    if ($table) {
        $name = quoted($REQUEST['database']['prefix'] . $table['table']);
        $order = quoted($table['created'] ?: $table['id']);
        $id = quoted($table['id']);
        $orders = query($link, "SELECT $id AS id, " . quoted($table['total']) . ' AS total, ' . quoted($table['email']) . " AS email FROM $name ORDER BY $order DESC, $id DESC LIMIT 20");
        $count = query($link, "SELECT COUNT(*) AS n FROM $name");
    } else {
        // Status 0 is a checkout that somebody left: no order yet.
        // What the customer saw is in the currency of the order.
        $orders = query($link, 'SELECT order_id AS id, total * currency_value AS total, email FROM `#order` WHERE order_status_id > 0 ORDER BY order_id DESC LIMIT 20');
        $count = query($link, 'SELECT COUNT(*) AS n FROM `#order` WHERE order_status_id > 0');
    }
    $stock = array();
    foreach (query($link, 'SELECT product_id, quantity FROM `#product` WHERE status = 1') as $row) { $stock[$row['product_id']] = $row['quantity']; }
    done(array('orders' => $orders, 'count' => (int) $count[0]['n'], 'stock' => (object) $stock, 'products' => count($stock)));

case 'purge':
    // Files only, never OpenCart itself: this also runs after a rollback from a broken release.
    foreach ($REQUEST['folders'] as $folder) {
        $root = at($folder);
        if (!is_dir($root) || is_link($root)) { continue; }
        foreach (entries($root) as $name) { if (!in_array($name, array('.htaccess', 'index.html'), true)) { remove_tree("$root/$name"); } }
    }
    foreach ($REQUEST['files'] as $path) { if (is_file(at($path))) { @unlink(at($path)); } }
    done(array('ok' => true));

default:
    stop("unknown action {$REQUEST['action']}");
}

// Where the refresh would write config_maintenance. OpenCart's loader makes no second model of that name.
class UpdaterSettings {
    public function editSettingValue($code = '', $key = '', $value = '', $store_id = 0) {}
}

// The administrator that the refresh asks for: an own login would need a session row and a password.
class UpdaterUser {
    public function hasPermission($key, $value) { return true; }
    public function isLogged() { return true; }
    public function getId() { return 0; }
    public function getUserName() { return 'updater'; }
    public function getGroupId() { return 1; }
}
