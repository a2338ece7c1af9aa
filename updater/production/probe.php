<?php
// What the shop's database says of itself (updater/production/probe.py). Credentials come in $REQUEST, never in an argument.
$c = $REQUEST['database'];
$socket = $c['socket'] !== null && $c['socket'] !== '' ? $c['socket'] : null;
if (extension_loaded('mysqli')) {
    mysqli_report(MYSQLI_REPORT_OFF);
    $link = mysqli_init();
    $host = $socket !== null ? 'localhost' : $c['host'];
    if (!@$link->real_connect($host, $c['user'], $c['password'], $c['name'], (int) $c['port'], $socket)) {
        fail('the database refuses the shop\'s own credentials', mysqli_connect_error(), 'check the CMS\'s settings file on the server');
    }
    $link->set_charset('utf8mb4');
    $ask = function ($sql) use ($link) {
        $result = $link->query($sql);
        if ($result === false) { return null; }
        $rows = array();
        while ($result !== true && ($row = $result->fetch_row()) !== null) { $rows[] = $row; }
        return $rows;
    };
    $last = function () use ($link) { return $link->error; };
} elseif (extension_loaded('pdo_mysql')) {
    try {
        $where = $socket !== null ? 'unix_socket=' . $socket : 'host=' . $c['host'] . ';port=' . (int) $c['port'];
        $link = new PDO("mysql:$where;dbname=" . $c['name'] . ';charset=utf8mb4', $c['user'], $c['password'], array(PDO::ATTR_ERRMODE => PDO::ERRMODE_SILENT));
    } catch (PDOException $e) {
        fail('the database refuses the shop\'s own credentials', $e->getMessage(), 'check the CMS\'s settings file on the server');
    }
    $ask = function ($sql) use ($link) {
        $result = $link->query($sql);
        return $result === false ? null : $result->fetchAll(PDO::FETCH_NUM);
    };
    $last = function () use ($link) { $info = $link->errorInfo(); return (string) $info[2]; };
} else {
    fail('this php has neither mysqli nor pdo_mysql', PHP_BINARY, 'set `php` in site.yml to the binary that the web server\'s version belongs to');
}
$name = function ($text) { return '`' . str_replace('`', '``', $text) . '`'; };
$one = function ($sql) use ($ask) { $rows = $ask($sql); return $rows ? $rows[0] : array(); };
$tables = array();
$found = $ask('SHOW FULL TABLES');
if ($found === null) { fail('the database does not list its tables', $last()); }
foreach ($found as $row) { $tables[(string) $row[0]] = array('type' => $row[1], 'engine' => null, 'bytes' => 0); }
foreach ((array) $ask("SELECT TABLE_NAME, ENGINE, COALESCE(DATA_LENGTH + INDEX_LENGTH, 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()") as $row) {
    if (isset($tables[$row[0]])) { $tables[$row[0]]['engine'] = $row[1]; $tables[$row[0]]['bytes'] = (int) $row[2]; }
}
$definitions = array();
foreach ($REQUEST['definitions'] as $table) {
    $row = $one('SHOW CREATE TABLE ' . $name($table));
    // Without the SHOW VIEW grant a view works, and is neither shown nor dumped.
    if (!isset($row[1]) && isset($tables[$table]) && $tables[$table]['type'] === 'VIEW') { continue; }
    if (!isset($row[1])) { fail("the definition of table $table cannot be read", $last()); }
    $text = preg_replace('/ AUTO_INCREMENT=\d+/', '', $row[1]);
    $text = preg_replace('/ DEFINER=`(?:[^`]|``)*`@`(?:[^`]|``)*`/', '', $text);
    $definitions[$table] = hash('sha256', $text);
}
// A routine whose body is not shown to this user would end the dump with an error.
$routines = array();
foreach ((array) $ask('SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()') as $row) {
    $body = $one('SHOW CREATE ' . $row[0] . ' ' . $name($row[1]));
    $routines[] = array($row[1], isset($body[2]), $row[0]);
}
$events = array();
foreach ((array) $ask('SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()') as $row) { $events[] = $row[0]; }
$triggers = array();
foreach ((array) $ask('SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()') as $row) { $triggers[] = $row; }
$grants = array();
foreach ((array) $ask('SHOW GRANTS') as $row) { $grants[] = preg_replace("/IDENTIFIED BY.*?(?= REQUIRE| WITH|$)/", '', $row[0]); }
$server = $one('SELECT @@version, @@version_comment, @@sql_mode, @@socket, @@max_allowed_packet');
if (!$server) { fail('the database does not tell its version', $last()); }
$schema = $one('SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE()');
answer(array(
    'version' => $server[0], 'comment' => $server[1], 'sql_mode' => $server[2], 'socket' => $server[3], 'max_allowed_packet' => (int) $server[4],
    'charset' => isset($schema[0]) ? $schema[0] : '', 'collation' => isset($schema[1]) ? $schema[1] : '',
    'tables' => (object) $tables, 'definitions' => (object) $definitions, 'grants' => $grants,
    'routines' => $routines, 'events' => $events, 'triggers' => $triggers,
));
