<?php
// A database as SQL by PHP alone, exact and in constant memory: a clone's dump where the server has no client for it, and
// a promotion's copy of tables that cannot be copied inside the database. Knows no CMS. PHP 7.0 and newer.
// Unlike the client it writes FLOATs in full: the client's come back rounded.

/** One moment for all InnoDB tables, times in UTC, text in the encoding that holds all. The link is for this alone. */
function dump_begin($db) {
    $db->set_charset('utf8mb4') || $db->set_charset('utf8');
    foreach (array("SET SESSION sql_mode = ''", "SET SESSION time_zone = '+00:00'", 'SET SESSION net_write_timeout = 3600',
        'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */',
        'SAVEPOINT updater') as $sql) { dump_ask($db, $sql); }
}

/** Statements that give whoever loads the rest the same session. */
function dump_head() {
    return array('SET NAMES utf8mb4', "SET SESSION time_zone = '+00:00'", 'SET SESSION foreign_key_checks = 0, unique_checks = 0',
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'");
}

/** A table's definition, its rows unless told not to, its triggers. $emit(sql, whether the statement has semicolons inside). */
function dump_table($db, $table, $rows, $emit) {
    $quoted = dump_name($table);
    $emit("DROP TABLE IF EXISTS $quoted", false);
    $create = dump_rows($db, "SHOW CREATE TABLE $quoted");
    $emit($create[0]['Create Table'], false);
    if ($rows) { dump_values($db, $table, $emit); }
    foreach (dump_rows($db, 'SHOW TRIGGERS WHERE `Table` = ' . dump_text($db, $table)) as $trigger) {
        $it = dump_rows($db, 'SHOW CREATE TRIGGER ' . dump_name($trigger['Trigger']));
        $emit('SET SESSION sql_mode = ' . dump_text($db, $it[0]['sql_mode']), false);
        $emit($it[0]['SQL Original Statement'], true);
        $emit("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", false);
    }
    // Lets go of the table, so that nobody's ALTER waits for the whole dump.
    dump_ask($db, 'ROLLBACK TO SAVEPOINT updater');
}

function dump_values($db, $table, $emit) {
    $names = array(); $asked = array(); $kinds = array();
    foreach (dump_rows($db, 'SHOW COLUMNS FROM ' . dump_name($table)) as $column) {
        if (preg_match('/\b(VIRTUAL|STORED|PERSISTENT)\b/i', $column['Extra'])) { continue; }
        $name = dump_name($column['Field']);
        $type = strtolower(strtok($column['Type'], '( '));
        $kinds[] = dump_kind($type);
        $names[] = $name;
        // As a double it has digits enough to be the same FLOAT again.
        $asked[] = $type === 'float' ? "$name + 0e0" : $name;
    }
    if (!$names) { return; }
    $head = 'INSERT INTO ' . dump_name($table) . ' (' . implode(', ', $names) . ") VALUES\n";
    $result = $db->query('SELECT ' . implode(', ', $asked) . ' FROM ' . dump_name($table), MYSQLI_USE_RESULT);
    if ($result === false) { throw new Exception("the table $table cannot be read: {$db->error}"); }
    $tuples = array(); $size = 0;
    while (($row = $result->fetch_row()) !== null) {
        foreach ($row as $i => $value) {
            if ($value === null) { $row[$i] = 'NULL'; }
            elseif ($kinds[$i] === 'bytes') { $row[$i] = $value === '' ? "''" : '0x' . bin2hex($value); }
            elseif ($kinds[$i] === 'text') { $row[$i] = "'" . $db->real_escape_string($value) . "'"; }
        }
        $tuple = '(' . implode(',', $row) . ')';
        if ($tuples && $size + strlen($tuple) > 500000) { $emit($head . implode(",\n", $tuples), false); $tuples = array(); $size = 0; }
        $tuples[] = $tuple; $size += strlen($tuple) + 2;
    }
    // An unbuffered result that broke looks like one that ended.
    if ($db->errno) { throw new Exception("the table $table could not be read to its end: {$db->error}"); }
    $result->free();
    if ($tuples) { $emit($head . implode(",\n", $tuples), false); }
}

function dump_kind($type) {
    if (in_array($type, array('tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'float', 'double', 'year', 'bit'), true)) { return 'number'; }
    return preg_match('/blob$|binary$|^(geometry|point|linestring|polygon|multi|geometrycollection)/', $type) ? 'bytes' : 'text';
}

/** Views may need each other: first a table's shape under each name, then the views themselves. */
function dump_views($db, $views, $emit) {
    foreach ($views as $view) {
        $columns = array();
        foreach (dump_rows($db, 'SHOW COLUMNS FROM ' . dump_name($view)) as $column) { $columns[] = '1 AS ' . dump_name($column['Field']); }
        $emit('CREATE OR REPLACE VIEW ' . dump_name($view) . ' AS SELECT ' . implode(', ', $columns), false);
    }
    foreach ($views as $view) {
        $it = dump_rows($db, 'SHOW CREATE VIEW ' . dump_name($view));
        $emit('DROP VIEW IF EXISTS ' . dump_name($view), false);
        $emit($it[0]['Create View'], false);
    }
}

/** $kind: PROCEDURE, FUNCTION or EVENT. */
function dump_program($db, $kind, $name, $emit) {
    $it = dump_rows($db, "SHOW CREATE $kind " . dump_name($name));
    $text = $it[0]['Create ' . ucfirst(strtolower($kind))];
    if ($text === null) { throw new Exception("the body of $name cannot be read"); }
    $emit("DROP $kind IF EXISTS " . dump_name($name), false);
    $emit('SET SESSION sql_mode = ' . dump_text($db, $it[0]['sql_mode']), false);
    // An event starts by the clock of its session.
    if (isset($it[0]['time_zone'])) { $emit('SET SESSION time_zone = ' . dump_text($db, $it[0]['time_zone']), false); }
    $emit($text, true);
    $emit("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'", false);
}

function dump_ask($db, $sql) {
    $result = $db->query($sql);
    if ($result === false) { throw new Exception("the database refused: {$db->error}"); }
    return $result;
}

function dump_rows($db, $sql) {
    $all = array();
    $result = dump_ask($db, $sql);
    while ($row = $result->fetch_assoc()) { $all[] = $row; }
    return $all;
}

function dump_name($name) { return '`' . str_replace('`', '``', $name) . '`'; }
function dump_text($db, $text) { return "'" . $db->real_escape_string($text) . "'"; }

/** For a clone: all that was asked for, on stdout, packed where PHP can; its last lines say that it is whole. */
function dump_clone($request) {
    $say = function ($text, $last = false) { echo $text; };
    if (function_exists('deflate_init')) {
        $pack = deflate_init(ZLIB_ENCODING_GZIP, array('level' => 1));
        $say = function ($text, $last = false) use ($pack) { echo deflate_add($pack, $text, $last ? ZLIB_FINISH : ZLIB_NO_FLUSH); };
    }
    // DEFINERs name accounts that staging does not have.
    $emit = function ($sql, $compound) use ($say) {
        $sql = preg_replace('/\A(CREATE[^`(]*?) DEFINER=`(?:[^`]|``)*`@`(?:[^`]|``)*`/', '$1', $sql);
        $say($compound ? "DELIMITER ;;\n$sql;;\nDELIMITER ;\n" : "$sql;\n");
    };
    $c = $request['database'];
    mysqli_report(MYSQLI_REPORT_OFF);
    $db = mysqli_init();
    if (!@$db->real_connect($c['socket'] ? 'localhost' : $c['host'], $c['user'], $c['password'], $c['name'], (int) $c['port'], $c['socket'] ?: null)) {
        throw new Exception('the database does not answer: ' . mysqli_connect_error());
    }
    dump_begin($db);
    // Comments as the clients write them: staging parts a large dump by them.
    $begins = function ($table) use ($say) { $say('-- Table structure for table ' . strtr($table, "\r\n", '  ') . "\n"); };
    $say("-- MySQL dump by PHP\n");
    foreach (dump_head() as $sql) { $emit($sql, false); }
    foreach ($request['tables'] as $table) { $begins($table); dump_table($db, $table, true, $emit); }
    foreach ($request['empty'] as $table) { $begins($table); dump_table($db, $table, false, $emit); }
    $say("-- Dumping routines and what else needs all tables\n");
    dump_views($db, $request['views'], $emit);
    foreach ($request['routines'] as $name => $kind) { dump_program($db, $kind, $name, $emit); }
    foreach ($request['events'] as $name) { dump_program($db, 'EVENT', $name, $emit); }
    $say("-- Dump completed\n-- updater: complete\n", true);
}

if (isset($REQUEST)) {
    while (ob_get_level() > 0) { ob_end_clean(); }
    try { dump_clone($REQUEST); } catch (Exception $e) { fwrite(fopen('php://stderr', 'w'), $e->getMessage() . "\n"); exit(1); }
    exit(0);
}
