<?php
// The PHP half of the WordPress driver (wordpress.py): one action a process, $REQUEST in, one answer out. Runs on PHP 5.6 and newer.
// Three ways to look at a site, from the most robust: read its files (read_*), load core without plugins (boot_core), boot it whole (boot_site).

// A fatal error or a plugin's exit must become an answer: PHP's exit code and WordPress's own error page prove nothing. Registered first, it also
// runs before WordPress's recovery mode, which would send mail.
$UPDATER = array('exit_ok' => false, 'died' => '');
register_shutdown_function(function () {
    global $UPDATER, $REQUEST;
    $UPDATER['ending'] = true;
    if (!empty($UPDATER['answered'])) { return; }
    $error = error_get_last();
    if ($error && ($error['type'] & (E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR))) {
        fail("PHP failed in step {$REQUEST['action']}", "{$error['message']} in {$error['file']}:{$error['line']}", 'read the message: it names the file of the plugin or theme');
    }
    if ($UPDATER['died'] !== '') { fail("WordPress refused to go on in step {$REQUEST['action']}", $UPDATER['died']); }
    if ($UPDATER['exit_ok']) { finish(array('ok' => true, 'exited' => true)); return; }
    $text = '';
    while (ob_get_level() > 0) { $text = ob_get_clean() . $text; }
    fail("the site ended PHP in step {$REQUEST['action']}", trim(substr(strip_tags($text), -1500)));
});

function done($value) {
    $GLOBALS['UPDATER']['answered'] = true;
    answer($value);
}

function stop($what, $cause = '', $hint = '') {
    $GLOBALS['UPDATER']['answered'] = true;
    fail($what, $cause, $hint);
}

// The answer of a step that booted the site: given after WordPress's own `shutdown` hooks, where plugins finish their work (and may still fail).
function finish($value) {
    $GLOBALS['UPDATER']['answered'] = true;
    remove_action('shutdown', 'wp_ob_end_flush_all', 1);
    register_shutdown_function(function () use ($value) { answer($value); });
    if (empty($GLOBALS['UPDATER']['ending'])) { exit(0); }
}

// ------------------------------------------------------------------------------------------------------- by files

// Names in a folder; none when there is no such folder.
function entries($folder) {
    return is_dir($folder) ? array_values(array_diff((array) @scandir($folder), array('.', '..'))) : array();
}

function read_version_file($docroot) {
    $text = (string) @file_get_contents("$docroot/wp-includes/version.php");
    $found = array();
    foreach (array('wp_version', 'required_php_version', 'wp_local_package') as $name) {
        $found[$name] = preg_match('/^\s*\$' . $name . '\s*=\s*[\'"]([^\'"]+)[\'"]/m', $text, $match) ? $match[1] : null;
    }
    $found['wp_db_version'] = preg_match('/^\s*\$wp_db_version\s*=\s*(\d+)/m', $text, $match) ? (int) $match[1] : null;
    return $found;
}

// As WordPress's get_file_data(): the first 8 KiB, CR as LF, comment marks around the value taken off.
function read_header($file, $names) {
    $text = str_replace("\r", "\n", (string) @file_get_contents($file, false, null, 0, 8192));
    $found = array();
    foreach ($names as $key => $name) {
        $found[$key] = preg_match('/^(?:[ \t]*<\?php)?[ \t\/*#@]*' . preg_quote($name, '/') . ':(.*)$/mi', $text, $match)
            ? trim(preg_replace('/\s*(?:\*\/|\?>).*/', '', $match[1])) : '';
    }
    return $found;
}

$PLUGIN_HEADERS = array('name' => 'Plugin Name', 'version' => 'Version', 'php' => 'Requires PHP', 'core' => 'Requires at least');
$THEME_HEADERS = array('name' => 'Theme Name', 'version' => 'Version', 'php' => 'Requires PHP', 'core' => 'Requires at least', 'template' => 'Template');

// slug => main file below the plugins folder; a folder with several headers is one component: the file named like it, else the first.
function read_plugins($docroot) {
    global $PLUGIN_HEADERS;
    $found = array();
    $root = "$docroot/wp-content/plugins";
    foreach (entries($root) as $entry) {
        if ($entry[0] === '.') { continue; }
        if (is_dir("$root/$entry")) {
            $files = array();
            foreach (entries("$root/$entry") as $name) {
                if (substr($name, -4) === '.php') { $files["$entry/$name"] = $name === "$entry.php" ? 0 : 1; }
            }
            asort($files);
            $files = array_keys($files);
        } else {
            $files = substr($entry, -4) === '.php' ? array($entry) : array();
        }
        $headers = array();
        foreach ($files as $file) {
            $header = read_header("$root/$file", $PLUGIN_HEADERS);
            if ($header['name'] !== '') { $headers[$file] = $header; }
        }
        if ($headers) {
            $file = key($headers);
            $found[] = array(
                'slug' => is_dir("$root/$entry") ? $entry : substr($entry, 0, -4), 'file' => $file, 'files' => array_keys($headers),
                'path' => "wp-content/plugins/$entry",
            ) + $headers[$file];
        }
    }
    return $found;
}

function read_themes($docroot) {
    global $THEME_HEADERS;
    $found = array();
    $root = "$docroot/wp-content/themes";
    foreach (entries($root) as $entry) {
        if ($entry[0] === '.' || !is_file("$root/$entry/style.css")) { continue; }
        $header = read_header("$root/$entry/style.css", $THEME_HEADERS);
        if ($header['name'] !== '') { $found[] = array('slug' => $entry, 'path' => "wp-content/themes/$entry") + $header; }
    }
    return $found;
}

function read_extras($docroot) {
    global $PLUGIN_HEADERS;
    $found = array();
    foreach ((array) @glob("$docroot/wp-content/mu-plugins/*.php") as $file) {
        $header = read_header($file, $PLUGIN_HEADERS);
        $name = basename($file);
        $found[] = array('kind' => 'must-use', 'slug' => $name, 'path' => "wp-content/mu-plugins/$name") + $header;
    }
    $dropins = array('advanced-cache.php', 'db.php', 'db-error.php', 'install.php', 'maintenance.php', 'object-cache.php', 'php-error.php', 'fatal-error-handler.php');
    foreach ($dropins as $name) {
        if (is_file("$docroot/wp-content/$name")) {
            $found[] = array('kind' => 'drop-in', 'slug' => $name, 'path' => "wp-content/$name") + read_header("$docroot/wp-content/$name", $PLUGIN_HEADERS);
        }
    }
    return $found;
}

// wp-config.php with `wp-settings.php` never reached: the code is the site's own, evaluated up to that line with its own __FILE__ and __DIR__.
function read_config($docroot) {
    $path = "$docroot/wp-config.php";
    if (!is_file($path)) {
        $path = dirname($docroot) . '/wp-config.php';
        if (!is_file($path) || is_file(dirname($docroot) . '/wp-settings.php')) { return null; }
    }
    $source = @file_get_contents($path);
    if ($source === false) { stop("cannot read $path", 'no permission', 'let the ssh user read wp-config.php'); }
    if (!function_exists('token_get_all')) { stop('PHP has no tokenizer extension', '', 'set `php` in site.yml to a PHP that has it'); }
    $code = '';
    $statement = null;
    foreach (token_get_all($source) as $token) {
        $id = is_array($token) ? $token[0] : null;
        $text = is_array($token) ? $token[1] : $token;
        if ($id === T_FILE) { $text = var_export($path, true); }
        if ($id === T_DIR) { $text = var_export(dirname($path), true); }
        if ($statement === null && in_array($id, array(T_REQUIRE, T_REQUIRE_ONCE, T_INCLUDE, T_INCLUDE_ONCE), true)) { $statement = ''; }
        if ($statement === null) { $code .= $text; continue; }
        $statement .= $text;
        if ($text === ';') {
            $code .= strpos($statement, 'wp-settings.php') === false ? $statement : 'return;';
            $statement = null;
        }
    }
    foreach (array('HTTP_HOST' => 'localhost', 'SERVER_NAME' => 'localhost', 'REQUEST_URI' => '/', 'SERVER_PORT' => '443', 'HTTPS' => 'on') as $name => $value) {
        if (!isset($_SERVER[$name])) { $_SERVER[$name] = $value; }
    }
    $evaluate = function () use ($code) {
        ob_start();
        eval('?>' . $code); // ends at the `return;` that stands in wp-settings.php's place
        ob_end_clean();
        return isset($table_prefix) ? $table_prefix : null;
    };
    $prefix = $evaluate();
    $constants = get_defined_constants(true);
    return array('path' => $path, 'prefix' => $prefix, 'constants' => isset($constants['user']) ? $constants['user'] : array());
}

// What the drop-in of an object cache talks to, by the constants that its kinds read: null without one.
function object_cache($docroot) {
    $dropin = "$docroot/wp-content/object-cache.php";
    if (!is_file($dropin)) { return null; }
    $config = read_config($docroot);
    $constant = function ($name, $default) use ($config) { return isset($config['constants'][$name]) ? $config['constants'][$name] : $default; };
    $text = strtolower((string) file_get_contents($dropin));
    if (strpos($text, 'redis') !== false) {
        $its = (array) $constant('WP_REDIS_CONFIG', array()); // Object Cache Pro keeps all in one
        $of = function ($name, $default) use ($its, $constant) { return isset($its[$name]) ? $its[$name] : $constant('WP_REDIS_' . strtoupper($name), $default); };
        $host = preg_replace('~^(tcp|unix|tls)://~', '', (string) $of('host', '127.0.0.1'));
        $path = (string) $constant('WP_REDIS_PATH', $host !== '' && $host[0] === '/' ? $host : '');
        $password = (array) $of('password', array());
        return array(
            'kind' => 'redis', 'host' => $host, 'port' => (int) $of('port', 6379), 'socket' => $path === '' ? null : $path, 'database' => (int) $of('database', 0),
            'user' => count($password) > 1 ? (string) $password[0] : '', 'password' => (string) end($password),
        );
    }
    if (strpos($text, 'memcache') !== false) { return array('kind' => 'memcached'); }
    return array('kind' => 'unknown');
}

// ---------------------------------------------------------------------------------------------- by database, no WordPress

function connect($database) {
    if (!function_exists('mysqli_init')) { stop('PHP has no mysqli extension', '', 'set `php` in site.yml to the PHP that serves the site'); }
    mysqli_report(MYSQLI_REPORT_OFF);
    $link = mysqli_init();
    $ok = @mysqli_real_connect($link, $database['host'], $database['user'], $database['password'], $database['name'], $database['port'] ?: 0, $database['socket'] ?: null);
    if (!$ok) { stop("cannot connect to the site's database", mysqli_connect_error(), 'compare DB_HOST, DB_USER and DB_PASSWORD in wp-config.php'); }
    @mysqli_set_charset($link, 'utf8mb4');
    return $link;
}

function rows($link, $sql) {
    $result = mysqli_query($link, $sql);
    if ($result === false) { stop('a query failed', mysqli_error($link) . ": $sql"); }
    $rows = array();
    while ($row = mysqli_fetch_assoc($result)) { $rows[] = $row; }
    return $rows;
}

function one($link, $sql) {
    $found = rows($link, $sql);
    return $found ? reset($found[0]) : null;
}

function table_exists($link, $table) {
    return (bool) rows($link, "SHOW TABLES LIKE '" . mysqli_real_escape_string($link, addcslashes($table, '_%\\')) . "'");
}

function option($link, $prefix, $name) {
    return one($link, "SELECT option_value FROM `{$prefix}options` WHERE option_name = '" . mysqli_real_escape_string($link, $name) . "'");
}

function quoted($name) { return '`' . str_replace('`', '``', $name) . '`'; }

// ------------------------------------------------------------------------------------------------------ booting WordPress

function prepare_server($path) {
    global $REQUEST;
    $url = parse_url($REQUEST['url']);
    $https = isset($url['scheme']) && $url['scheme'] === 'https';
    $base = isset($url['path']) ? rtrim($url['path'], '/') : '';
    // A query that no page cache has seen: one would answer with a page that it kept, and end PHP.
    $_GET['updater'] = md5(uniqid('', true));
    $query = 'updater=' . $_GET['updater'];
    $set = array(
        'HTTP_HOST' => $url['host'] . (isset($url['port']) ? ':' . $url['port'] : ''), 'SERVER_NAME' => $url['host'],
        'SERVER_PORT' => isset($url['port']) ? (string) $url['port'] : ($https ? '443' : '80'), 'SERVER_PROTOCOL' => 'HTTP/1.1', 'SERVER_ADDR' => '127.0.0.1',
        'REMOTE_ADDR' => '127.0.0.1', 'REQUEST_METHOD' => 'GET', 'REQUEST_URI' => "$base$path?$query", 'QUERY_STRING' => $query, 'HTTP_USER_AGENT' => 'updater',
        'DOCUMENT_ROOT' => $REQUEST['docroot'], 'PHP_SELF' => $base . ($path === '/' ? '/index.php' : $path), 'SCRIPT_NAME' => $base . ($path === '/' ? '/index.php' : $path),
        'SCRIPT_FILENAME' => $REQUEST['docroot'] . ($path === '/' ? '/index.php' : $path),
    );
    foreach ($set as $name => $value) { $_SERVER[$name] = $value; }
    if ($https) { $_SERVER['HTTPS'] = 'on'; $_SERVER['HTTP_X_FORWARDED_PROTO'] = 'https'; } else { unset($_SERVER['HTTPS']); }
    unset($_SERVER['SERVER_SOFTWARE']); // no Apache seen, so that nothing rewrites .htaccess
    chdir($REQUEST['docroot'] . (strpos($path, '/wp-admin/') === 0 ? '/wp-admin' : ''));
    $limit = ini_get('memory_limit');
    if ($limit !== '-1' && (int) $limit < 512) { @ini_set('memory_limit', '512M'); }
}

// Filters that stand before any plugin loads: no mail, no HTTP; WP_Error at once, so that nothing hangs. (plugin.php takes over a $wp_filter that is set.)
// $calls: let HTTP pass, on staging, where the sink answers it and writes it down.
function quiet_filters($calls = false) {
    global $wp_filter;
    $add = function ($hook, $function, $priority) use (&$wp_filter) {
        $wp_filter[$hook][$priority][] = array('function' => $function, 'accepted_args' => 3);
    };
    $wp_filter = array();
    $add('pre_wp_mail', function () { return false; }, PHP_INT_MAX);
    if (!$calls) {
        $add('pre_http_request', function ($answer, $args = null, $url = '') {
            return new WP_Error('http_request_not_executed', 'updater: no requests during an update: ' . $url);
        }, PHP_INT_MAX);
    }
    $note = function ($message) {
        $text = is_object($message) && method_exists($message, 'get_error_message') ? $message->get_error_message() : (string) $message;
        $GLOBALS['UPDATER']['died'] = trim(strip_tags($text)) ?: 'wp_die() without a message';
        exit(1);
    };
    foreach (array('wp_die_handler', 'wp_die_ajax_handler', 'wp_die_json_handler', 'wp_die_xml_handler') as $hook) {
        $add($hook, function () use ($note) { return $note; }, PHP_INT_MAX);
    }
    $add('wp_fatal_error_handler_enabled', function () { return false; }, PHP_INT_MAX);
    return $add;
}

function constant_once($name, $value) { if (!defined($name)) { define($name, $value); } }

// Core without plugins, must-use plugins and theme: works on a site whose plugins are broken, and lets no plugin's hook touch the database.
// WP_INSTALLING is core's own switch for that; it also keeps transients out of the database and passes .maintenance.
function boot_core() {
    global $REQUEST;
    prepare_server('/wp-admin/update-core.php');
    quiet_filters();
    constant_once('WP_INSTALLING', true);
    constant_once('WPMU_PLUGIN_DIR', '/nonexistent/updater-no-mu-plugins');
    constant_once('WP_ADMIN', true);
    constant_once('FS_METHOD', 'direct');
    constant_once('DISABLE_WP_CRON', true);
    constant_once('AUTOMATIC_UPDATER_DISABLED', true);
    ob_start();
    return $REQUEST['docroot'] . '/wp-load.php';
}

// The whole site, as a visit to $path. Returns the file to load: it must be required in global scope, as WordPress expects.
function boot_site($path, $user = null, $calls = false) {
    global $REQUEST;
    prepare_server($path);
    $add = quiet_filters($calls);
    constant_once('DISABLE_WP_CRON', true);
    constant_once('AUTOMATIC_UPDATER_DISABLED', true);
    if ($user) { $add('determine_current_user', function () use ($user) { return $user; }, PHP_INT_MAX); }
    $add('wp_redirect', function ($location) { $GLOBALS['UPDATER']['exit_ok'] = true; return $location; }, PHP_INT_MAX);
    ob_start();
    return $REQUEST['docroot'] . '/wp-load.php';
}

function administrator() {
    global $REQUEST;
    $database = $REQUEST['database'];
    $link = connect($database);
    $prefix = $database['prefix'];
    return (int) one($link, "SELECT user_id FROM `{$prefix}usermeta` WHERE meta_key = '" . mysqli_real_escape_string($link, $prefix . 'capabilities')
        . "' AND meta_value LIKE '%\"administrator\";b:1%' ORDER BY user_id LIMIT 1");
}

function remove_tree($path) {
    if (is_link($path) || is_file($path)) { return @unlink($path); }
    foreach (entries($path) as $name) { remove_tree("$path/$name"); }
    return @rmdir($path);
}

function messages_of($error) {
    if (is_wp_error($error)) {
        $texts = array();
        foreach ($error->get_error_codes() as $code) {
            $data = $error->get_error_data($code);
            $texts[] = $error->get_error_message($code) . (is_scalar($data) && $data !== '' ? " ($data)" : '');
        }
        return $texts;
    }
    return array();
}

// Hooks of cron and of Action Scheduler that bring a database to its code. Nothing else is run: mail and HTTP are off in a migration, so that
// running a newsletter's or a webhook's job here would mark it done without having sent it. What is due otherwise runs after opening, as always.
function is_migration_hook($hook) {
    $core = array('wp_split_shared_term_batch', 'wp_update_comment_type_batch', 'wp_update_user_counts', 'wp_delete_temp_updater_backups', 'upgrader_scheduled_cleanup');
    if (in_array($hook, $core, true)) { return true; }
    if (preg_match('/^wp_(version_check|update_plugins|update_themes|maybe_auto_update)$|mail|send|newsletter|notif|webhook|import|export|feed|price|stock/i', $hook)) { return false; }
    return (bool) preg_match('/(up(grade|date)_?(db|database|routine|callback|task|batch)|(db|database|data|schema)_?(up(grade|date)|migrat)|run_update|migrat(e|ion|or)|_upgrade$|_upgrader?_)/i', $hook);
}

/** Those of the folders that are links: name => the folder itself, '' when there is none. */
function linked($docroot, $names) {
    $found = array();
    foreach ($names as $name) {
        if (is_link("$docroot/$name")) { $found[$name] = is_dir("$docroot/$name") ? (string) realpath("$docroot/$name") : ''; }
    }
    return $found;
}

// ---------------------------------------------------------------------------------------------------------------- actions

$docroot = isset($REQUEST['docroot']) ? rtrim($REQUEST['docroot'], '/') : '';
$REQUEST['docroot'] = $docroot;

switch ($REQUEST['action']) {

case 'recognise':
    $trees = array();
    $home = rtrim((string) getenv('HOME'), '/');
    for ($folder = $docroot, $i = 0; $i < 4 && $folder !== '/' && $folder !== ''; $folder = dirname($folder), $i++) {
        if ($folder === $home && $folder !== $docroot) { break; } // a home folder under Git holds settings of a person, not the site
        if (file_exists("$folder/.git")) { $trees[] = array('git', $folder); }
        foreach (array('composer.json', 'composer.lock') as $name) {
            if (is_file("$folder/$name")) { $trees[] = array($name, $folder, (string) @file_get_contents("$folder/$name", false, null, 0, 2000000)); }
        }
        if (is_file("$folder/config/application.php") || is_file("$folder/web/app/mu-plugins/bedrock-autoloader.php") || is_file("$folder/app/mu-plugins/bedrock-autoloader.php")) {
            $trees[] = array('bedrock', $folder);
        }
    }
    $dropins = array();
    foreach ($REQUEST['doors'] as $path) {
        if (is_file("$docroot/$path") && strpos((string) file_get_contents("$docroot/$path"), '.maintenance') === false) { $dropins[] = $path; }
    }
    $version = read_version_file($docroot);
    $index = (string) @file_get_contents("$docroot/index.php", false, null, 0, 20000);
    done(array(
        'exists' => is_dir($docroot), 'core' => $version['wp_version'] !== null && is_file("$docroot/wp-load.php"), 'version' => $version['wp_version'],
        'php' => PHP_VERSION, 'trees' => $trees, 'config' => is_file("$docroot/wp-config.php") || (is_file(dirname($docroot) . '/wp-config.php') && !is_file(dirname($docroot) . '/wp-settings.php')),
        'below' => preg_match('#[\'"]/?([\w./-]+)/wp-blog-header\.php#', $index, $match) && trim($match[1], '/') !== '' ? trim($match[1], '/') : null,
        'dropins' => $dropins, 'links' => (object) linked($docroot, array('wp-content', 'wp-content/plugins', 'wp-content/themes')),
    ));

case 'config':
    $config = read_config($docroot);
    if ($config === null) { stop('no wp-config.php', "looked in $docroot and one folder up", 'finish the installation of WordPress first'); }
    $wanted = array('DB_NAME', 'DB_USER', 'DB_PASSWORD', 'DB_HOST', 'DB_CHARSET', 'MULTISITE', 'SUBDOMAIN_INSTALL', 'WP_HOME', 'WP_SITEURL', 'WP_CONTENT_DIR',
        'WP_PLUGIN_DIR', 'UPLOADS', 'WP_DEBUG', 'WP_DEBUG_LOG', 'CUSTOM_USER_TABLE', 'CUSTOM_USER_META_TABLE');
    $found = array_intersect_key($config['constants'], array_flip($wanted));
    done(array('path' => $config['path'], 'prefix' => $config['prefix'], 'constants' => (object) $found, 'error_log' => (string) ini_get('error_log'),
        'object_cache' => object_cache($docroot)));

case 'site':
    $link = connect($REQUEST['database']);
    $prefix = $REQUEST['database']['prefix'];
    if (!table_exists($link, "{$prefix}options")) {
        stop("the database has no table {$prefix}options", "database {$REQUEST['database']['name']}", 'compare $table_prefix in wp-config.php');
    }
    done(array('home' => option($link, $prefix, 'home'), 'siteurl' => option($link, $prefix, 'siteurl'), 'db_version' => option($link, $prefix, 'db_version')));

case 'inventory':
    $link = connect($REQUEST['database']);
    $prefix = $REQUEST['database']['prefix'];
    $active = @unserialize((string) option($link, $prefix, 'active_plugins'), array('allowed_classes' => false));
    done(array(
        'core' => read_version_file($docroot), 'php' => PHP_VERSION, 'active' => is_array($active) ? array_values($active) : array(),
        'template' => option($link, $prefix, 'template'), 'stylesheet' => option($link, $prefix, 'stylesheet'),
        'plugins' => read_plugins($docroot), 'themes' => read_themes($docroot), 'extras' => read_extras($docroot),
    ));

case 'version':
    // A fresh process, files only: what a success message said is worth nothing. Clears what the upgrader left, as the last one out.
    if (!empty($REQUEST['clean'])) {
        foreach (entries("$docroot/wp-content/upgrade") as $name) { remove_tree("$docroot/wp-content/upgrade/$name"); }
        foreach ($REQUEST['clean'] as $path) { remove_tree("$docroot/$path"); }
    }
    $version = null;
    if ($REQUEST['kind'] === 'core') {
        $found = read_version_file($docroot);
        $version = $found['wp_version'];
    } else {
        foreach ($REQUEST['kind'] === 'plugin' ? read_plugins($docroot) : read_themes($docroot) as $component) {
            if ($component['slug'] === $REQUEST['slug']) { $version = $component['version']; }
        }
    }
    $left = array();
    foreach (array('.maintenance', 'wp-content/upgrade-temp-backup') as $path) {
        if (file_exists("$docroot/$path")) { $left[] = $path; }
    }
    done(array('version' => $version, 'left' => $left, 'upgrade' => entries("$docroot/wp-content/upgrade")));

case 'apply':
    $kind = $REQUEST['kind'];
    $slug = $REQUEST['slug'];
    $had_upgrade = is_dir("$docroot/wp-content/upgrade");
    if (!is_file($REQUEST['package'])) { stop("no such package: {$REQUEST['package']}"); }
    $main = null;
    if ($kind === 'plugin') {
        foreach (read_plugins($docroot) as $plugin) { if ($plugin['slug'] === $slug) { $main = $plugin['file']; } }
        if ($main === null) { stop("plugin $slug is not installed"); }
    }
    require boot_core();
    require_once ABSPATH . 'wp-admin/includes/admin.php';
    require_once ABSPATH . 'wp-admin/includes/class-wp-upgrader.php';
    // The activation state is not the upgrader's business: it would switch an active plugin off and ask a browser to switch it on again.
    add_filter('pre_option_active_plugins', '__return_empty_array', PHP_INT_MAX);
    $said = array();
    add_filter('update_feedback', function ($text) use (&$said) {
        $said[] = is_wp_error($text) ? implode('; ', messages_of($text)) : (string) $text;
        return $text;
    });
    remove_all_actions('upgrader_process_complete');
    // What an upgrade normally records in the database is the migration's business, in production as here.
    foreach (array('auto_core_update_failed', 'auto_plugin_theme_update_emails') as $name) {
        add_filter("pre_option_$name", '__return_empty_array', PHP_INT_MAX);
    }
    $skin = new Automatic_Upgrader_Skin();
    if ($kind === 'core') {
        // Core_Upgrader deletes the package it unpacked: give it a copy.
        $copy = tempnam(sys_get_temp_dir(), 'updater');
        if (!$copy || !copy($REQUEST['package'], $copy)) { stop('cannot copy the package', sys_get_temp_dir(), 'free some space on the server'); }
        register_shutdown_function(function () use ($copy) { @unlink($copy); });
        $packages = (object) array('full' => $copy, 'no_content' => '', 'new_bundled' => '', 'partial' => '', 'rollback' => '');
        $offer = (object) array(
            'response' => 'upgrade', 'download' => $copy, 'locale' => get_locale(), 'packages' => $packages, 'current' => $REQUEST['version'], 'version' => $REQUEST['version'],
            'php_version' => '', 'mysql_version' => '', 'new_bundled' => '0', 'partial_version' => '',
        );
        $upgrader = new Core_Upgrader($skin);
        $result = $upgrader->upgrade($offer, array('pre_check_md5' => false, 'attempt_rollback' => false, 'allow_relaxed_file_ownership' => true));
    } else {
        $transient = $kind === 'plugin' ? 'update_plugins' : 'update_themes';
        $key = $kind === 'plugin' ? $main : $slug;
        $offer = array('slug' => $slug, 'plugin' => $main, 'theme' => $slug, 'new_version' => $REQUEST['version'], 'package' => $REQUEST['package'], 'url' => '');
        add_filter("pre_site_transient_$transient", function () use ($kind, $key, $offer) {
            $value = new stdClass();
            $value->last_checked = time();
            $value->response = array($key => $kind === 'plugin' ? (object) $offer : $offer);
            $value->checked = $value->no_update = $value->translations = array();
            return $value;
        }, PHP_INT_MAX);
        $upgrader = $kind === 'plugin' ? new Plugin_Upgrader($skin) : new Theme_Upgrader($skin);
        $result = $upgrader->upgrade($key);
    }
    $said = array_merge($said, $skin->get_upgrade_messages());
    foreach (array($result, $skin->result) as $value) { $said = array_merge($said, messages_of($value)); }
    $texts = array();
    foreach ($said as $text) {
        $text = trim(html_entity_decode(strip_tags($text), ENT_QUOTES, 'UTF-8'));
        if ($text !== '' && end($texts) !== $text) { $texts[] = $text; }
    }
    done(array('ok' => $result && !is_wp_error($result), 'messages' => $texts, 'had_upgrade' => $had_upgrade));

case 'migrate-core':
    prepare_server('/wp-admin/upgrade.php');
    quiet_filters();
    constant_once('WP_INSTALLING', true);
    constant_once('DISABLE_WP_CRON', true);
    ob_start();
    require "$docroot/wp-load.php";
    require_once ABSPATH . 'wp-admin/includes/admin.php';
    require_once ABSPATH . 'wp-admin/includes/upgrade.php';
    require_once ABSPATH . 'wp-admin/includes/update-core.php';
    require ABSPATH . WPINC . '/version.php';
    $before = (int) get_option('db_version');
    if ($before !== (int) $wp_db_version) {
        wp_cache_flush();
        wp_upgrade();
        // Core's updater does this after its files; here files and database are two steps.
        if (function_exists('_upgrade_core_deactivate_incompatible_plugins')) { _upgrade_core_deactivate_incompatible_plugins(); }
        wp_cache_flush();
    }
    $after = (int) $wpdb->get_var("SELECT option_value FROM {$wpdb->options} WHERE option_name = 'db_version'");
    if ($after !== (int) $wp_db_version) { stop('the database of WordPress was not upgraded', "db_version is $after, the code needs $wp_db_version. {$wpdb->last_error}"); }
    done(array('ok' => true, 'from' => $before, 'to' => $after));

case 'visit-front':
    constant_once('WP_USE_THEMES', true);
    require boot_site('/');
    remove_action('template_redirect', 'redirect_canonical');
    wp();
    $UPDATER['exit_ok'] = true;
    require ABSPATH . WPINC . '/template-loader.php';
    finish(array('ok' => true));

case 'visit-admin':
    $user = administrator();
    if (!$user) { stop('the site has no administrator'); }
    // A login cookie would need a session row: being that user is enough, for the capability checks run as always.
    if (!function_exists('auth_redirect')) { function auth_redirect() {} }
    $pagenow = basename($REQUEST['page']);
    boot_site('/wp-admin/' . $REQUEST['page'], $user);
    constant_once('WP_ADMIN', true);
    require "$docroot/wp-admin/admin.php";
    finish(array('ok' => true, 'user' => $user));

case 'visit-rest':
    constant_once('REST_REQUEST', true);
    require boot_site('/wp-json/');
    foreach (array('/', '/wp/v2/types') as $route) {
        $response = rest_get_server()->dispatch(new WP_REST_Request('GET', $route));
        if ($response->get_status() >= 500) { stop("REST route $route answered {$response->get_status()}", wp_json_encode($response->get_data())); }
    }
    finish(array('ok' => true));

case 'run-cron':
    constant_once('DOING_CRON', true);
    require boot_site('/wp-cron.php');
    $ran = array();
    for ($round = 0; $round < 200; $round++) {
        $next = null;
        // One-off events that an update scheduled for the next minutes are part of it: do not wait for them.
        foreach ((array) _get_cron_array() as $timestamp => $hooks) {
            if (!is_numeric($timestamp) || $timestamp > time() + 900) { continue; }
            foreach ((array) $hooks as $hook => $events) {
                foreach ((array) $events as $event) {
                    if ($next === null && empty($event['schedule']) && is_migration_hook($hook)) { $next = array($timestamp, $hook, $event['args']); }
                }
            }
        }
        if ($next === null) { break; }
        wp_unschedule_event($next[0], $next[1], $next[2]);
        do_action_ref_array($next[1], $next[2]);
        $ran[] = $next[1];
    }
    if ($round === 200) { stop('cron did not become quiet', implode(', ', array_unique($ran))); }
    finish(array('ok' => true, 'ran' => $ran));

case 'migrate-woocommerce':
    require boot_site('/');
    if (!class_exists('WC_Install')) { done(array('ok' => true, 'woocommerce' => false)); }
    if (defined('WC_ABSPATH') && is_file(WC_ABSPATH . 'includes/wc-update-functions.php')) { include_once WC_ABSPATH . 'includes/wc-update-functions.php'; }
    $current = (string) get_option('woocommerce_db_version');
    $ran = array();
    foreach (WC_Install::get_db_update_callbacks() as $version => $callbacks) {
        if ($current === '' || version_compare($current, $version, '>=')) { continue; }
        foreach ($callbacks as $callback) {
            for ($again = true, $round = 0; $again === true; $round++) {
                if ($round > 10000) { stop("WooCommerce's update $callback does not end"); }
                $again = call_user_func($callback);
                $ran[] = is_string($callback) ? $callback : 'callback';
            }
        }
        // As WooCommerce itself does between versions: a run that is cut off goes on from here.
        WC_Install::update_db_version($version);
    }
    if ($current === '' || version_compare($current, WC()->version, '<')) { WC_Install::update_db_version(); }
    // They have been run: what WooCommerce queued for later would run them a second time in the open shop.
    foreach (array('woocommerce_run_update_callback', 'woocommerce_update_db_to_current_version') as $hook) {
        if ($ran && function_exists('as_unschedule_all_actions')) { as_unschedule_all_actions($hook); }
    }
    finish(array('ok' => true, 'ran' => array_values(array_unique($ran))));

case 'run-queue':
    require boot_site('/');
    if (!class_exists('ActionScheduler_QueueRunner') || !function_exists('as_get_scheduled_actions')) { done(array('ok' => true, 'queue' => false)); }
    $count = function ($status) { return count(as_get_scheduled_actions(array('status' => $status, 'per_page' => -1), 'ids')); };
    $failed_before = $count('failed');
    $ran = array();
    for ($round = 0; $round < 500; $round++) {
        $worked = false;
        foreach (as_get_scheduled_actions(array('status' => 'pending', 'date' => gmdate('Y-m-d H:i:s', time() + 900), 'date_compare' => '<=', 'per_page' => -1), OBJECT) as $id => $action) {
            if (!is_migration_hook($action->get_hook()) || ($action->get_schedule() && $action->get_schedule()->is_recurring())) { continue; }
            ActionScheduler_QueueRunner::instance()->process_action($id, 'updater');
            $ran[] = $action->get_hook();
            $worked = true;
        }
        if (!$worked) { break; }
    }
    if ($round === 500) { stop('Action Scheduler did not become quiet', implode(', ', array_unique($ran))); }
    if ($count('failed') > $failed_before) { stop('an action of the update failed', implode(', ', array_unique($ran)), 'look at Tools → Scheduled Actions'); }
    finish(array('ok' => true, 'ran' => $ran));

case 'run-jobs':
    // Staging only: each planned job once, whatever its time, as far as `seconds` reach. What begins and what ends goes to stderr line by line, since a job
    // may end PHP; `had` are those of earlier processes. A job that asks to be run again at once is, `again` times at most.
    constant_once('DOING_CRON', true);
    require boot_site('/wp-cron.php', null, true);
    $UPDATER['exit_ok'] = true;
    $until = microtime(true) + $REQUEST['seconds'];
    $taken = array_fill_keys($REQUEST['had'], $REQUEST['of_a_name']);
    $stderr = fopen('php://stderr', 'wb');
    // What is no UTF-8, as a message of an old plugin, json_encode() would refuse.
    $plain = function ($text) { return is_string($text) && !preg_match('//u', $text) ? preg_replace('/[^ -~]/', '?', $text) : $text; };
    $tell = function ($what) use ($stderr, $plain) { fwrite($stderr, "\nupdater-job " . json_encode(array_map($plain, $what)) . "\n"); };
    $left = array();
    $run = function ($name, $work, $due) use ($until, $tell, &$taken, &$left, $REQUEST) {
        if (in_array($name, $REQUEST['never'], true)) { return; }
        $taken[$name] = isset($taken[$name]) ? $taken[$name] + 1 : 1;
        if ($taken[$name] > $REQUEST['of_a_name']) { return; }
        if (microtime(true) > $until) { $left[$name] = true; return; }
        $tell(array('begun' => $name));
        $begun = microtime(true);
        $idle = !has_action($name);
        $error = '';
        $rounds = 0;
        do {
            try {
                $error = (string) $work();
            } catch (Exception $thrown) {
                $error = get_class($thrown) . ': ' . $thrown->getMessage();
            } catch (Throwable $thrown) {
                $error = get_class($thrown) . ': ' . $thrown->getMessage();
            }
        } while ($error === '' && ++$rounds < $REQUEST['again'] && microtime(true) < $until && $due());
        if ($rounds === $REQUEST['again']) { $error = "it asks to be run again at once, and did $rounds times: it never ends"; }
        // Where nothing listens, Action Scheduler throws: what a release did away with and had planned before is left over, not broken.
        $tell(array('ended' => $name, 'error' => $idle ? '' : $error, 'idle' => $idle, 'seconds' => round(microtime(true) - $begun, 3)));
    };
    foreach ((array) _get_cron_array() as $timestamp => $hooks) {
        foreach (is_numeric($timestamp) ? (array) $hooks : array() as $hook => $events) {
            foreach ((array) $events as $event) {
                $once = empty($event['schedule']);
                $run((string) $hook, function () use (&$timestamp, $hook, $event, $once) {
                    if ($once) { wp_unschedule_event($timestamp, $hook, $event['args']); }
                    do_action_ref_array($hook, $event['args']);
                }, function () use ($hook, $event, &$timestamp, $once) {
                    $next = wp_next_scheduled($hook, $event['args']);
                    if (!$once || !$next || $next > time()) { return false; }
                    $timestamp = $next;
                    return true;
                });
            }
        }
    }
    if (class_exists('ActionScheduler_QueueRunner') && function_exists('as_get_scheduled_actions')) {
        $failure = '';
        foreach (array('action_scheduler_failed_execution', 'action_scheduler_failed_validation') as $hook) {
            add_action($hook, function ($id, $thrown) use (&$failure) { $failure = get_class($thrown) . ': ' . $thrown->getMessage(); }, 10, 2);
        }
        $pending = array('status' => 'pending', 'per_page' => 500, 'orderby' => 'date');
        foreach (as_get_scheduled_actions($pending, OBJECT) as $id => $action) {
            $run((string) $action->get_hook(), function () use (&$id, &$failure) {
                $failure = '';
                ActionScheduler_QueueRunner::instance()->process_action($id, 'updater');
                return $failure;
            }, function () use (&$id, $action) {
                if ($action->get_schedule() && $action->get_schedule()->is_recurring()) { return false; }
                $same = array('hook' => $action->get_hook(), 'args' => $action->get_args(), 'status' => 'pending', 'per_page' => 1, 'orderby' => 'none');
                $next = as_get_scheduled_actions($same + array('date' => gmdate('Y-m-d H:i:s'), 'date_compare' => '<='), 'ids');
                if (!$next) { return false; }
                $id = reset($next);
                return true;
            });
        }
    }
    finish(array('ok' => true, 'left' => array_keys($left)));

case 'flush-rewrite':
    require boot_site('/');
    flush_rewrite_rules(false); // soft: .htaccess is a file, and files travel in the release
    finish(array('ok' => true, 'rules' => count((array) get_option('rewrite_rules'))));

case 'verify':
    require boot_site('/');
    require ABSPATH . WPINC . '/version.php';
    $wrong = array();
    $database = (int) $wpdb->get_var("SELECT option_value FROM {$wpdb->options} WHERE option_name = 'db_version'");
    if ($database !== (int) $wp_db_version) { $wrong[] = "db_version is $database, the code needs $wp_db_version"; }
    if (class_exists('WC_Install')) {
        $version = (string) get_option('woocommerce_db_version');
        $needed = array_keys(WC_Install::get_db_update_callbacks());
        usort($needed, 'version_compare');
        if ($needed && version_compare($version, end($needed), '<')) { $wrong[] = "woocommerce_db_version is $version, the code needs " . end($needed); }
        if (function_exists('WC') && version_compare((string) get_option('woocommerce_version'), WC()->version, '<')) {
            $wrong[] = 'woocommerce_version is ' . get_option('woocommerce_version') . ', the code is ' . WC()->version;
        }
    }
    foreach ($REQUEST['versions'] as $wanted) {
        list($kind, $slug, $version) = $wanted;
        $found = null;
        if ($kind === 'core') { $found = $wp_version; }
        foreach ($kind === 'plugin' ? read_plugins($docroot) : ($kind === 'theme' ? read_themes($docroot) : array()) as $component) {
            if ($component['slug'] === $slug) { $found = $component['version']; }
        }
        if ($found !== $version) { $wrong[] = "$kind $slug is " . ($found === null ? 'missing' : $found) . ", expected $version"; }
    }
    if ($wrong) { stop('the migration is not complete', implode('; ', $wrong)); }
    done(array('ok' => true, 'db_version' => $database));

case 'orders':
    $link = connect($REQUEST['database']);
    $prefix = $REQUEST['database']['prefix'];
    $orders = array();
    $count = 0;
    $stock = array();
    $table = $REQUEST['table'];
    $hpos = table_exists($link, "{$prefix}wc_orders");
    if ($table) {
        $name = quoted($prefix . $table['table']);
        $order = quoted($table['created'] ?: $table['id']);
        $id = quoted($table['id']);
        $status = $table['status'] ? quoted($table['status']) : "''";
        $orders = rows($link, "SELECT $id AS id, $status AS status, " . quoted($table['total']) . ' AS total, ' . quoted($table['email']) . " AS email FROM $name ORDER BY $order DESC, $id DESC LIMIT 20");
        $count = one($link, "SELECT COUNT(*) FROM $name");
    } elseif ($hpos && (option($link, $prefix, 'woocommerce_custom_orders_table_enabled') === 'yes')) {
        $where = "type = 'shop_order' AND status NOT IN ('trash', 'auto-draft', 'wc-checkout-draft')";
        $orders = rows($link, "SELECT id, status, total_amount AS total, billing_email AS email FROM `{$prefix}wc_orders` WHERE $where ORDER BY id DESC LIMIT 20");
        $count = one($link, "SELECT COUNT(*) FROM `{$prefix}wc_orders` WHERE $where");
    } else {
        $where = "post_type = 'shop_order' AND post_status NOT IN ('trash', 'auto-draft', 'wc-checkout-draft')";
        $meta = function ($key) use ($prefix) { return "(SELECT MAX(meta_value) FROM `{$prefix}postmeta` m WHERE m.post_id = p.ID AND m.meta_key = '$key')"; };
        $orders = rows($link, 'SELECT p.ID AS id, p.post_status AS status, ' . $meta('_order_total') . ' AS total, ' . $meta('_billing_email') . " AS email FROM `{$prefix}posts` p WHERE $where ORDER BY p.ID DESC LIMIT 20");
        $count = one($link, "SELECT COUNT(*) FROM `{$prefix}posts` WHERE $where");
    }
    $of_products = "p.post_type IN ('product', 'product_variation') AND p.post_status = 'publish'";
    foreach (rows($link, "SELECT p.ID AS id, m.meta_value AS stock FROM `{$prefix}posts` p JOIN `{$prefix}postmeta` m ON m.post_id = p.ID AND m.meta_key = '_stock' WHERE $of_products AND m.meta_value IS NOT NULL AND m.meta_value <> ''") as $row) {
        $stock[$row['id']] = $row['stock'];
    }
    $products = (int) one($link, "SELECT COUNT(*) FROM `{$prefix}posts` WHERE post_type = 'product' AND post_status = 'publish'");
    done(array('orders' => $orders, 'count' => (int) $count, 'stock' => (object) $stock, 'products' => $products));

case 'purge':
    // Files and sockets only, never WordPress itself: this also runs after a rollback from a broken release.
    $emptied = array();
    foreach ($REQUEST['folders'] as $folder) {
        $root = "$docroot/$folder";
        if (!is_dir($root) || is_link($root)) { continue; }
        foreach (entries($root) as $name) {
            if (!in_array($name, array('.htaccess', 'index.html', 'index.php'), true)) { remove_tree("$root/$name"); }
        }
        $emptied[] = $folder;
    }
    $unpurged = array();
    $cache = object_cache($docroot);
    if ($cache) {
        $talk = function ($address, $lines, $until) {
            $socket = @stream_socket_client($address, $number, $message, 3);
            if (!$socket) { return "$address: $message"; }
            stream_set_timeout($socket, 5);
            foreach ($lines as $line) {
                fwrite($socket, "$line\r\n");
                $reply = trim((string) fgets($socket));
                if (strpos($reply, $until) !== 0) { fclose($socket); return "$address: $reply"; }
            }
            fclose($socket);
            return '';
        };
        if ($cache['kind'] === 'redis') {
            // Words with their lengths: a password may hold anything.
            $command = function () {
                $words = func_get_args();
                $text = '*' . count($words);
                foreach ($words as $word) { $text .= "\r\n$" . strlen($word) . "\r\n$word"; }
                return $text;
            };
            $lines = array();
            if ($cache['password'] !== '') { $lines[] = $cache['user'] !== '' ? $command('AUTH', $cache['user'], $cache['password']) : $command('AUTH', $cache['password']); }
            $lines[] = $command('SELECT', (string) $cache['database']);
            $lines[] = $command('FLUSHDB');
            $error = $talk($cache['socket'] !== null ? "unix://{$cache['socket']}" : "tcp://{$cache['host']}:{$cache['port']}", $lines, '+OK');
            if ($error !== '') { $unpurged[] = $error; } else { $emptied[] = 'redis'; }
        } elseif ($cache['kind'] === 'memcached') {
            $error = $talk('tcp://127.0.0.1:11211', array('flush_all'), 'OK');
            if ($error !== '') { $unpurged[] = $error; } else { $emptied[] = 'memcached'; }
        } else {
            $unpurged[] = 'wp-content/object-cache.php of an unknown kind';
        }
    }
    // Between two visits of a migration: what cannot be emptied was said before the shop was closed, and is no failure of an update.
    if ($unpurged && !empty($REQUEST['tolerant'])) { $unpurged = array(); }
    if ($unpurged) { stop('an object cache could not be emptied', implode('; ', $unpurged), 'empty it by hand'); }
    done(array('ok' => true, 'emptied' => $emptied));

default:
    stop("unknown action {$REQUEST['action']}");
}
