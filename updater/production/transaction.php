<?php
// The PHP half of transaction.sh: hashes, tables and HTTP, where a shell would have to parse names. Knows no CMS.
// Usage: php -f transaction.php -- <run folder> <verb> [argument]. The last line printed is the reason when it fails.
// Runs on PHP 7.0 and newer: it meets the server's own.
error_reporting(E_ALL & ~E_WARNING & ~E_NOTICE & ~E_DEPRECATED);
set_time_limit(0);
$RUN = $argv[1];
$plan = json_decode(file_get_contents("$RUN/plan/plan.json"), true);
if (!is_array($plan)) { fail('the plan cannot be read'); }
$DOCROOT = base64_decode($plan['docroot']);

function fail($why) { echo str_replace(array("\r", "\n"), ' ', $why), "\n"; exit(1); }

/** Write whole or not at all. */
function keep($file, $text) {
    global $RUN;
    $temporary = "$RUN/$file.tmp";
    if (file_put_contents($temporary, $text) !== strlen($text) || !rename($temporary, "$RUN/$file")) { fail("cannot write $file"); }
}

// ----------------------------------------------------------------------------------------------------- the tree

/** sha256, `link:<target>`, `dir` (whatever it holds) or null: the words of the release. */
function fingerprint($path) {
    if (is_link($path)) { return 'link:' . readlink($path); }
    if (is_dir($path)) { return 'dir'; }
    if (!file_exists($path)) { return null; }
    $hash = hash_file('sha256', $path);
    return $hash === false ? 'unreadable' : $hash;
}

/** path => array(before, after); names travel as base64 because they may be no UTF-8. */
function changed() {
    global $plan;
    $all = array();
    foreach ($plan['changed'] as $row) {
        $all[base64_decode($row[0])] = array(
            $row[1] === null ? null : base64_decode($row[1]), $row[2] === null ? null : base64_decode($row[2]));
    }
    return $all;
}

/** number => path below the docroot, as in plan/units/. */
function units() {
    global $RUN;
    $all = array();
    foreach (scandir("$RUN/plan/units") as $name) {
        if ($name[0] !== '.') { $all[$name] = file_get_contents("$RUN/plan/units/$name"); }
    }
    return $all;
}

function below($path, $unit) { return $path === $unit || strncmp($path, "$unit/", strlen($unit) + 1) === 0; }

/** array(number, rest below the unit, '' for the unit itself). */
function unit_of($path, $units) {
    foreach ($units as $number => $unit) {
        if (below($path, $unit)) { return array($number, (string) substr($path, strlen($unit) + 1)); }
    }
    fail("refused: no unit covers $path");
}

function inside($number, $rest) { global $RUN; return "$RUN/new/$number" . ($rest === '' ? '' : "/$rest"); }

function there($path) { return is_link($path) || file_exists($path); }

function delete_tree($path) {
    if (is_link($path) || is_file($path)) { return unlink($path); }
    foreach (scandir($path) as $name) {
        if ($name !== '.' && $name !== '..' && !delete_tree("$path/$name")) { return false; }
    }
    return rmdir($path);
}

/** Every file and link below: rest => path. */
function walk($root, $rest, &$found) {
    $path = $rest === '' ? $root : "$root/$rest";
    if (is_link($path) || is_file($path)) { $found[$rest] = $path; return; }
    if (!is_dir($path)) { return; }
    $names = scandir($path);
    if ($names === false) { fail("refused: cannot read folder $path"); }
    foreach ($names as $name) {
        if ($name !== '.' && $name !== '..') { walk($root, $rest === '' ? $name : "$rest/$name", $found); }
    }
}

/** Paths whose fingerprint is not what it should be; a folder that is empty in the release may hold nothing more or less. */
function differing($side) {
    $wrong = array();
    foreach (changed() as $path => $pair) {
        $is = fingerprint(live($path));
        // An absent path that is a folder now holds carried files.
        if ($is !== $pair[$side] && !($is === 'dir' && ($pair[$side] === null || $pair[$side] === 'dir'))) { $wrong[] = $path; }
    }
    return $wrong;
}

/** array(name below the docroot, folder outside it) each. A plan that an older program left has none. */
function elsewhere() {
    global $plan;
    return array_map(function ($pair) { return array_map('base64_decode', $pair); }, isset($plan['elsewhere']) ? $plan['elsewhere'] : array());
}

/** Where a path of the release lies: a folder outside the docroot goes by a name below it. */
function live($path) {
    global $DOCROOT;
    foreach (elsewhere() as $pair) {
        if (below($path, $pair[0])) { return $pair[1] . substr($path, strlen($pair[0])); }
    }
    return "$DOCROOT/$path";
}

/** The folder that a unit must not leave. */
function root_of($unit) {
    global $DOCROOT;
    foreach (elsewhere() as $pair) {
        if (below($unit, $pair[0])) { return realpath($pair[1]); }
    }
    return realpath($DOCROOT);
}

function listed($paths) { return implode(', ', array_slice($paths, 0, 5)) . (count($paths) > 5 ? sprintf(' and %d more', count($paths) - 5) : ''); }

function preflight() {
    global $RUN, $DOCROOT, $plan;
    if (!is_dir($DOCROOT)) { fail("refused: no folder $DOCROOT"); }
    $root = realpath($DOCROOT);
    if (below(realpath($RUN), $root)) { fail('refused: the work folder lies inside the docroot and would be served; set server.work'); }
    foreach (elsewhere() as $pair) { if (!is_dir($pair[1])) { fail("drift: no folder $pair[1]"); } }
    $device = stat($RUN)['dev'];
    $need = 0; $files = 0;
    foreach (units() as $unit) {
        $path = live($unit);
        $parent = dirname($path);
        $within = root_of($unit);
        // A unit's own parent may be new as well only when another unit brings it.
        if (!is_dir($parent)) { fail("refused: the folder of $unit does not exist"); }
        if (strncmp(realpath($parent) . '/', "$within/", strlen($within) + 1) !== 0) { fail("refused: $unit lies behind a link that leaves $within"); }
        if (stat($parent)['dev'] !== $device) { fail("refused: $unit and the work folder are on different file systems; set server.work"); }
        if (!is_writable($parent)) { fail("refused: the folder of $unit is not writable for this user"); }
        if (is_link($path) && is_dir($path)) { fail("refused: $unit is a link to a folder"); }
        if (is_dir($path) && !is_link($path)) {
            if (stat($path)['dev'] !== $device) { fail("refused: $unit is a mount of its own"); }
            if (!is_writable($path)) { fail("refused: $unit belongs to another user and cannot be moved"); }
        }
        $found = array();
        walk($path, '', $found);
        foreach ($found as $file) {
            $size = lstat($file);
            $need += $size['size']; $files++;
            if (!is_link($file) && !is_readable($file)) { fail("refused: cannot read $file"); }
        }
    }
    foreach (scandir("$RUN/plan/gate") as $name) {
        if ($name[0] === '.') { continue; }
        $gate = file_get_contents("$RUN/plan/gate/$name/path");
        $kept = "$RUN/plan/gate/$name/kept";
        // What must not be there yet: the gate, or the name under which it keeps the file that it stands in for.
        $new = is_file($kept) ? file_get_contents($kept) : $gate;
        if (there("$DOCROOT/$new")) { fail("refused: $new is there already: another update or gate holds the shop"); }
        if ($new !== $gate && !is_file("$DOCROOT/$gate")) { fail("refused: there is no $gate for the gate to stand in for"); }
        if (!is_writable(dirname("$DOCROOT/$gate"))) { fail("refused: the gate file $gate cannot be written"); }
        foreach (units() as $unit) { if (below($gate, $unit)) { fail("refused: the gate file $gate lies inside $unit, which is swapped"); } }
    }
    $drift = differing(0);
    if ($drift) { fail('drift: ' . listed($drift)); }
    $all = changed();
    foreach ($all as $path => $pair) {
        list($number) = unit_of($path, units());
        // What lies behind a link is not the shop's own, and would be written or deleted there.
        for ($above = dirname($path); below($above, units()[$number]); $above = dirname($above)) {
            if (is_link(live($above)) && !isset($all[$above])) { fail("drift: $above is a link now"); }
        }
    }
    foreach ($plan['locks'] as $holder => $query) { if (rows($query)) { fail("refused: $holder holds a lock: let it end, then approve again"); } }
    $rows = 0; $largest = 0; $dumped = 0;
    if ($plan['migration']) {
        foreach (array_merge($plan['tables'], $plan['dropped']) as $table) {
            $about = row('SELECT TABLE_TYPE t, DATA_LENGTH + INDEX_LENGTH s FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ' . text($table));
            if (!$about) { fail("drift: the table $table is not in production's database"); }
            if ($about['t'] !== 'BASE TABLE') { fail("refused: $table is a " . strtolower($about['t'])); }
            $rows += (int) $about['s']; $largest = max($largest, (int) $about['s']);
            if (uncopyable($table) !== '') { $dumped += (int) $about['s'] + (1 << 20); }
            $of = row('SELECT TRIGGER_NAME n, DEFINER d FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = ' . text($table) . ' AND DEFINER <> CURRENT_USER()');
            if ($of) { fail("refused: the trigger {$of['n']} of $table belongs to {$of['d']}, and the shop's database user could not put it back"); }
        }
        foreach ($plan['created'] as $table) { if (table_there($table)) { fail("drift: the table $table exists already"); } }
        $free = rows("SHOW VARIABLES LIKE 'datadir'");
        // The database's own disk can be asked only when it is this machine's: the copy, and what an ALTER builds anew beside it.
        $space = $free && is_dir($free[0]['Value']) ? disk_free_space($free[0]['Value']) : false;
        if ($space !== false && $space < $rows + $largest + (16 << 20)) { fail('refused: no space for a copy of the tables'); }
        quota($rows + $largest);
    }
    // The tables twice: their copies, or their dump. And, where they are dumped, twice the dump to load it back.
    $need = (int) ($need * 1.1) + 3 * (int) $plan['archive_bytes'] + 2 * ($rows + $dumped) + (16 << 20);
    $free = disk_free_space($RUN);
    if ($free !== false && $free < $need) { fail(sprintf('refused: %d MB free on the server, %d MB needed', $free >> 20, ($need >> 20) + 1)); }
    keep('need-inodes', (string) ($files + count($plan['changed']) + 1000));
    if (replays()) { outside(); } // only to see that it can be read
    opcache();
    remember_status();
}

/**
 * A quota can only be tried: the database takes as much as the copy and a rebuilt table will need, up to 256 MB, in a table
 * of our own, so that no row of the shop is locked meanwhile.
 */
function quota($bytes) {
    global $RUN;
    $table = name('updater_' . substr(sha1(basename($RUN)), 0, 8) . '_q');
    $db = database();
    $drop = function () use ($db, $table) { $db->query("DROP TABLE IF EXISTS $table"); };
    $drop();
    register_shutdown_function($drop);
    $taken = $db->query("CREATE TABLE $table (b MEDIUMBLOB NOT NULL)");
    for ($i = 0; $taken && $i * 524288 < min($bytes, 256 << 20); $i++) { $taken = $db->query("INSERT INTO $table VALUES (REPEAT('x', 524288))"); }
    if (!$taken) { fail(sprintf('refused: the database did not take %d MB beside its tables, which the migration needs: %s', ($bytes >> 20) + 1, $db->error)); }
}

/** new/<n> becomes the new unit: a copy of the live one (made by cp -a) with the release's changes. A replay makes those itself. */
function stage() {
    global $RUN, $DOCROOT;
    $units = units();
    if (replays()) {
        foreach ($units as $number => $unit) { file_put_contents("$RUN/kind/$number", there("$DOCROOT/$unit") ? 'replace' : 'create'); }
        return;
    }
    $now = time();
    $all = changed();
    krsort($all, SORT_STRING);
    // Deletions first and deepest first, so that a file may become a folder.
    foreach ($all as $path => $pair) {
        list($number, $rest) = unit_of($path, $units);
        $target = inside($number, $rest);
        if (!there($target)) { continue; }
        if ($pair[1] !== null && !is_dir($target)) { continue; }
        if (is_dir($target) && !is_link($target)) {
            if ($pair[1] === null || $pair[1] === 'dir') { @rmdir($target); continue; }
            if (!@rmdir($target)) { fail("refused: $path holds files that belong to neither version"); }
        } elseif (!unlink($target)) { fail("cannot delete $path in the copy"); }
    }
    ksort($all, SORT_STRING);
    foreach ($all as $path => $pair) {
        if ($pair[1] === null) { continue; }
        list($number, $rest) = unit_of($path, $units);
        $target = inside($number, $rest);
        $source = "$RUN/upload/$path";
        make_folder(dirname($target));
        if ($pair[1] === 'dir') { make_folder($target); continue; }
        if (strncmp($pair[1], 'link:', 5) === 0) {
            if (there($target)) { unlink($target); }
            if (!symlink(substr($pair[1], 5), $target)) { fail("cannot link $path"); }
            continue;
        }
        if (fingerprint($source) !== $pair[1]) { fail("the upload of $path is damaged"); }
        $mode = is_file($target) && !is_link($target) ? fileperms($target) & 07777 : 0644 | (fileperms($source) & 0111);
        if (!rename($source, $target) || !chmod($target, $mode)) { fail("cannot write $path in the copy"); }
        touch($target, $now);
    }
    // Folders that only held deleted files.
    foreach ($all as $path => $pair) {
        if ($pair[1] !== null) { continue; }
        list($number, $rest) = unit_of($path, $units);
        while ($rest !== '' && strpos($rest, '/') !== false) {
            $rest = dirname($rest);
            if (!@rmdir(inside($number, $rest))) { break; }
        }
    }
    foreach ($units as $number => $unit) {
        $live = there(live($unit)); $new = there(inside($number, ''));
        $whole = isset($all[$unit]) && $all[$unit][1] === null;
        if ($live && $new && !$whole && is_dir(inside($number, '')) && is_emptied($number, $unit, $all)) { rmdir(inside($number, '')); $new = false; }
        if (!$live && !$new) { fail("refused: $unit is neither on the server nor in the release"); }
        file_put_contents("$RUN/kind/$number", $live ? ($new ? 'replace' : 'delete') : 'create');
    }
    foreach ($all as $path => $pair) {
        list($number, $rest) = unit_of($path, $units);
        $is = fingerprint(inside($number, $rest));
        if ($is !== $pair[1] && !($is === 'dir' && $pair[1] === null)) { fail("the copy of $path is not what was tested"); }
    }
}

/** A component that the release removes whole leaves no empty folder. */
function is_emptied($number, $unit, $all) {
    if (isset($all[$unit]) && $all[$unit][1] === 'dir') { return false; }
    return count(scandir(inside($number, ''))) === 2;
}

function make_folder($path) {
    if (is_dir($path)) { return; }
    make_folder(dirname($path));
    if (!mkdir($path) || !chmod($path, 0755)) { fail("cannot make the folder $path"); }
}

/** Files of neither version that changed since staging (logs, caches a plugin keeps in its own folder) follow into the copy. */
function carry() {
    $drift = differing(0);
    if ($drift) { fail('drift: ' . listed($drift)); }
    $all = changed();
    foreach (units() as $number => $unit) {
        $live = array(); $new = array();
        walk(live($unit), '', $live);
        walk(inside($number, ''), '', $new);
        foreach ($live as $rest => $path) {
            if (isset($all[$rest === '' ? $unit : "$unit/$rest"])) { continue; }
            $target = inside($number, $rest);
            if (isset($new[$rest]) && (is_link($path) ? is_link($target) && readlink($path) === readlink($target)
                : !is_link($target) && filesize($path) === filesize($target) && filemtime($path) === filemtime($target))) { continue; }
            make_folder(dirname($target));
            if (there($target) && !unlink($target)) { fail("cannot carry $path"); }
            if (is_link($path) ? !symlink(readlink($path), $target)
                : !(copy($path, $target) && chmod($target, fileperms($path) & 07777) && touch($target, filemtime($path)))) { fail("cannot carry $path"); }
        }
        foreach ($new as $rest => $path) {
            if (!isset($all[$rest === '' ? $unit : "$unit/$rest"]) && !isset($live[$rest])) { unlink($path); }
        }
    }
}

function verify($side) {
    $wrong = differing($side === 'old' ? 0 : 1);
    if ($wrong) { fail("the files are not exactly the $side ones: " . listed($wrong)); }
}

// ------------------------------------------------------------------------------------------------------- a replay

function replays() { global $RUN; return is_dir("$RUN/plan/replay"); }

/** What writes itself anew at any time, and is no code: media, caches, logs. */
function is_loose($path) {
    global $plan;
    if (substr($path, -4) === '.log') { return true; }
    foreach ($plan['loose'] as $folder) { if (below($path, base64_decode($folder))) { return true; } }
    return false;
}

/** Every file that lies in no unit, gate and one-time files left out: path => what tells that it was written since. */
function beside_units() {
    global $RUN, $DOCROOT;
    $units = units();
    $ours = array();
    foreach (glob("$RUN/plan/gate/*") as $gate) {
        foreach (array('path', 'kept') as $name) { if (is_file("$gate/$name")) { $ours[file_get_contents("$gate/$name")] = true; } }
    }
    $onetime = 'updater-' . trim(file_get_contents("$RUN/plan/onetime")) . '-';
    $all = array();
    $look = function ($folder) use (&$look, &$all, $DOCROOT, $units, $ours, $onetime) {
        $names = scandir($folder === '' ? $DOCROOT : "$DOCROOT/$folder");
        if ($names === false) { fail("refused: cannot read folder $folder"); }
        foreach ($names as $name) {
            $path = $folder === '' ? $name : "$folder/$name";
            if ($name === '.' || $name === '..' || isset($ours[$path]) || in_array($path, $units, true) || is_loose($path)) { continue; }
            if ($folder === '' && strncmp($name, $onetime, strlen($onetime)) === 0) { continue; }
            if (is_dir("$DOCROOT/$path") && !is_link("$DOCROOT/$path")) { $look($path); continue; }
            $is = lstat("$DOCROOT/$path");
            $all[$path] = "$is[ino] $is[size] $is[mtime] $is[ctime]";
        }
    };
    $look('');
    return $all;
}

/** Before a replay writes: what lies beside the units, which no rename brings back. */
function outside() { keep('outside', serialize(beside_units())); }

/** array(new, written or gone): paths beside the units since `outside`. Seen once: later our own visits write too. */
function written_beside() {
    global $RUN;
    $seen = is_file("$RUN/beside") ? unserialize((string) file_get_contents("$RUN/beside"), array('allowed_classes' => false)) : null;
    if (is_array($seen)) { return $seen; }
    clearstatcache();
    $before = unserialize((string) file_get_contents("$RUN/outside"), array('allowed_classes' => false));
    if (!is_array($before)) { fail('the list of the files beside the units is no longer there'); }
    $now = beside_units();
    $seen = array(array_keys(array_diff_key($now, $before)), array_keys(array_diff_assoc($before, $now)));
    keep('beside', serialize($seen));
    return $seen;
}

/** Paths below a unit that differ between the copy that was written and what was there before. */
function written_in($number, $unit) {
    global $RUN, $DOCROOT;
    $old = array(); $new = array();
    if (there("$RUN/old/$number")) { walk("$RUN/old/$number", '', $old); }
    if (there("$DOCROOT/$unit")) { walk("$DOCROOT/$unit", '', $new); }
    $wrong = array();
    foreach ($old + $new as $rest => $any) {
        $path = $rest === '' ? $unit : "$unit/$rest";
        if (!is_loose($path) && (!isset($old[$rest], $new[$rest]) || fingerprint($old[$rest]) !== fingerprint($new[$rest]))) { $wrong[] = $path; }
    }
    return $wrong;
}

/** What the replay wrote must be what was tested: every path of the release, and nothing else. */
function replayed() {
    $beside = written_beside();
    $wrong = differing(1);
    if ($wrong) { fail('the replay did not give what was tested: ' . listed($wrong)); }
    $all = changed();
    $odd = array();
    foreach (units() as $number => $unit) { foreach (written_in($number, $unit) as $path) { if (!isset($all[$path])) { $odd[] = $path; } } }
    foreach ($beside as $paths) { $odd = array_merge($odd, $paths); }
    if ($odd) { fail('the replay wrote what was not tested: ' . listed($odd)); }
}

/** Whether a replay wrote anything, as `touched`: empty when files and tables are as they were. */
function touched() {
    global $plan;
    $found = array();
    foreach (units() as $number => $unit) { $found = array_merge($found, written_in($number, $unit)); }
    foreach (written_beside() as $paths) { $found = array_merge($found, $paths); }
    $tables = array();
    foreach (tables() as $it) {
        if (!table_there($it['table']) || (checksum($it['table']) !== $it['checksum'] && !differs_in_kept_rows($it))) { $tables[$it['table']] = true; }
    }
    $before = definitions_before(); $now = definitions();
    foreach (array_merge(array_keys($before + $now), $plan['created']) as $table) {
        if ((isset($before[$table]) ? $before[$table] : null) !== (isset($now[$table]) ? $now[$table] : null)) { $tables[$table] = true; }
    }
    $said = array();
    if ($found) { $said[] = 'files that were written: ' . listed($found); }
    if ($tables) { $said[] = 'tables that were written: ' . listed(array_keys($tables)); }
    keep('touched', $said ? '; ' . implode('; ', $said) : '');
}

/** SQL that finds the rows of a table which never go back; '' where it has none. */
function kept_rows($table) { global $plan; return isset($plan['keeps'][$table]) ? '(' . $plan['keeps'][$table] . ')' : ''; }

/** Whether a table is as it was copied but for such rows. */
function differs_in_kept_rows($it) {
    $rows = kept_rows($it['table']);
    if ($rows === '' || $it['mode'] !== 'copy' || !table_there($it['copy'])) { return false; }
    $sums = array();
    foreach (array($it['table'], $it['copy']) as $i => $table) {
        run("DROP TEMPORARY TABLE IF EXISTS updater_$i");
        // What cannot be asked is a difference.
        if (!database()->query("CREATE TEMPORARY TABLE updater_$i AS SELECT * FROM " . name($table) . " WHERE NOT $rows")) { return false; }
        $sums[] = checksum("updater_$i");
    }
    return $sums[0] === $sums[1];
}

/** Rows that others remember too stay as they are now, in tables that went back. */
function keep_rows() {
    foreach (tables() as $it) {
        $rows = kept_rows($it['table']);
        if ($rows === '' || $it['mode'] !== 'copy' || !table_there($it['bad'])) { continue; }
        $columns = copied_columns($it['table']);
        run('DELETE FROM ' . name($it['table']) . " WHERE $rows");
        run('INSERT INTO ' . name($it['table']) . " ($columns) SELECT $columns FROM " . name($it['bad']) . " WHERE $rows");
    }
}

/** table => its definition without what rows change in it. Ours are left out. */
function definitions() {
    $all = array();
    foreach (rows("SELECT TABLE_NAME n FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'") as $it) {
        if (strncmp($it['n'], 'updater_', 8) !== 0) { $all[$it['n']] = sha1(preg_replace('/ AUTO_INCREMENT=[0-9]+/', '', shape($it['n']))); }
    }
    return $all;
}

function definitions_before() {
    global $RUN;
    $before = unserialize((string) file_get_contents("$RUN/definitions"), array('allowed_classes' => false));
    if (!is_array($before)) { fail('the list of tables of before the replay is no longer there'); }
    return $before;
}

/** On the way back: what is new beside the units goes aside; what was written or is gone there nothing here brings back (`astray`). */
function strays() {
    global $RUN, $DOCROOT;
    list($new, $lost) = written_beside();
    foreach ($new as $i => $path) {
        if (!there("$DOCROOT/$path")) { continue; }
        if (!is_dir("$RUN/stray")) { mkdir("$RUN/stray"); }
        if (!rename("$DOCROOT/$path", sprintf('%s/stray/%s.%d.%d', $RUN, basename($path), $i, getmypid()))) { fail("cannot move $path aside"); }
    }
    keep('astray', $lost ? '; written beside what was tested, and not put back: ' . listed($lost) : '');
}

// ------------------------------------------------------------------------------------------------- the database

function database() {
    static $connection = null;
    global $RUN;
    if ($connection) { return $connection; }
    $it = json_decode((string) file_get_contents("$RUN/plan/database.json"), true);
    if (!is_array($it)) { fail('the database credentials are no longer there'); }
    if (!class_exists('mysqli')) { fail('refused: the command line PHP has no mysqli'); }
    mysqli_report(MYSQLI_REPORT_OFF);
    $connection = mysqli_init();
    $connection->options(MYSQLI_OPT_CONNECT_TIMEOUT, 10);
    if (!$connection->real_connect($it['socket'] !== null ? 'localhost' : $it['host'], $it['user'], $it['password'], $it['name'], $it['port'], $it['socket'])) {
        fail('the database does not answer: ' . mysqli_connect_error());
    }
    $connection->set_charset('utf8mb4');
    // As a dump does: id 0 and zero dates are data. A lock that somebody holds must not outlast the deadline.
    run("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0, lock_wait_timeout = 20");
    return $connection;
}

function run($sql) {
    $result = database()->query($sql);
    if ($result === false) { fail('the database refused: ' . database()->error); }
    return $result;
}

function rows($sql) {
    $all = array();
    $result = run($sql);
    while ($row = $result->fetch_assoc()) { $all[] = $row; }
    return $all;
}

function row($sql) { $all = rows($sql); return $all ? $all[0] : null; }
function text($value) { return "'" . database()->real_escape_string($value) . "'"; }
function name($value) { return '`' . str_replace('`', '``', $value) . '`'; }
function table_there($table) {
    return (bool) rows('SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ' . text($table));
}
function checksum($table) { $it = row('CHECKSUM TABLE ' . name($table) . ' EXTENDED'); return $it['Checksum']; }

/** Threads of this user in this database, ours left out. */
function threads() {
    $mine = row('SELECT CONNECTION_ID() i, DATABASE() d, CURRENT_USER() u, USER() w');
    $user = substr($mine['w'], 0, strrpos($mine['w'], '@'));
    $ids = array();
    foreach (rows('SHOW FULL PROCESSLIST') as $thread) {
        if ($thread['Id'] !== $mine['i'] && $thread['User'] === $user && ($thread['db'] === null || $thread['db'] === $mine['d'])) { $ids[] = (int) $thread['Id']; }
    }
    return array((int) $mine['i'], $ids);
}

/**
 * Until nobody who passed the gate is still at it: no database connection is older than the gate (thread ids grow, so everything
 * below ours is older), and no request is, where that can be seen. One that waits for a payment service may hold no connection
 * and open it when it comes back.
 */
function drain($seconds) {
    global $RUN;
    $gate = (float) file_get_contents("$RUN/gate-at");
    $until = microtime(true) + (float) $seconds;
    sleep(1);
    list($boundary) = threads();
    keep('boundary', (string) $boundary);
    $sockets = php_connections();
    if ($sockets !== null) { $sockets = array_diff($sockets, json_decode((string) @file_get_contents("$RUN/lasting"), true) ?: array()); }
    $status = status_page($gate);
    $seen = array_filter(array($status === null ? '' : "the web server's status page", $sockets === null ? '' : "php-fpm's connections"));
    keep('seen-in', $seen ? implode(' and ', $seen) : 'their database connections only');
    while (true) {
        list(, $ids) = threads();
        $older = count(array_filter($ids, function ($id) use ($boundary) { return $id < $boundary; }));
        $running = max($status === null ? 0 : count(status_page($gate) ?: array()), $sockets === null ? 0 : count(array_intersect($sockets, php_connections() ?: array())));
        if (!$older && !$running) { return; }
        if (microtime(true) >= $until) {
            fail($older ? sprintf('not drained: %d database connections of visitors are still open after %d s', $older, $seconds)
                : sprintf('not drained: %d requests that began before the shop was closed are still under way after %d s', $running, $seconds));
        }
        usleep(200000);
    }
}

/** Before closing: under which of its names this machine is shown Apache's status page. Asked later, the gate would count us. */
function remember_status() {
    foreach (array('site', 'localhost') as $name) {
        if (status_rows($name) !== null) { keep('status', $name); return; }
    }
}

/** Requests of this site that Apache began before `$since`, as its mod_status shows them to this machine; null where it does not. */
function status_page($since) {
    global $RUN;
    $name = (string) @file_get_contents("$RUN/status");
    $rows = $name === '' ? null : status_rows($name);
    if ($rows === null) { return null; }
    // Whole seconds are rounded so that nothing which is older is missed.
    $elapsed = (int) floor(microtime(true) - $since);
    return array_filter($rows, function ($it) use ($elapsed) { return (int) $it['SS'] >= $elapsed; });
}

/** What is being answered (W) for this site. The row of our own question tells under which name Apache keeps it. */
function status_rows($name) {
    global $plan;
    $nonce = bin2hex(random_bytes(8));
    $why = '';
    if ($name === 'site') { $page = get("server-status?$nonce", '127.0.0.1', '', $why); }
    else { $page = @file_get_contents("http://127.0.0.1/server-status?$nonce", false, stream_context_create(array('http' => array('timeout' => 5, 'header' => "Host: localhost\r\nConnection: close")))); }
    if (strpos((string) $page, $nonce) === false || !preg_match('~<th>Srv</th>.*?</tr>~s', $page, $head)) { return null; }
    preg_match_all('~<th>([^<]*)</th>~', $head[0], $names);
    $names = array_flip(array_map('trim', $names[1]));
    foreach (array('M', 'SS', 'VHost', 'Request') as $needed) { if (!isset($names[$needed])) { return null; } }
    $ours = array(parse_url($plan['url'], PHP_URL_HOST));
    $rows = array();
    preg_match_all('~<tr>(<td.*?)</tr>~s', $page, $found);
    foreach ($found[1] as $row) {
        preg_match_all('~<td[^>]*>(.*?)</td>~s', $row, $cells);
        $cells = array_map(function ($cell) { return trim(html_entity_decode(strip_tags($cell))); }, $cells[1]);
        if (count($cells) < count($names)) { continue; }
        $it = array();
        foreach (array('M', 'SS', 'VHost', 'Request') as $column) { $it[$column] = $cells[$names[$column]]; }
        $it['VHost'] = preg_replace('~:[0-9]+$~', '', $it['VHost']);
        if (strpos($it['Request'], $nonce) !== false) { if ($name === 'site') { $ours[] = $it['VHost']; } continue; }
        if ($it['M'] === 'W') { $rows[] = $it; }
    }
    return array_values(array_filter($rows, function ($it) use ($ours) { return in_array($it['VHost'], $ours, true); }));
}

/** Each open connection of the web server to our php-fpm, by its inode: one is one request. null where PHP runs otherwise, or /proc is hidden. */
function php_connections() {
    global $RUN;
    $listens = trim((string) @file_get_contents("$RUN/fpm"));
    if ($listens === '') { return null; }
    $unix = @file('/proc/net/unix', FILE_IGNORE_NEW_LINES);
    $inodes = array();
    $path = null;
    foreach ($unix ?: array() as $line) {
        $it = preg_split('~ +~', trim($line), 8);
        // 00010000: it takes connections.
        if (isset($it[7]) && $it[6] === $listens && $it[3] === '00010000') { $path = $it[7]; }
    }
    foreach ($path === null ? array() : $unix as $line) {
        $it = preg_split('~ +~', trim($line), 8);
        if (isset($it[7]) && $it[7] === $path && $it[6] !== $listens && $it[6] !== '0') { $inodes[] = $it[6]; }
    }
    if ($path !== null) { return $inodes; }
    $tcp = array();
    foreach (array('/proc/net/tcp', '/proc/net/tcp6') as $file) {
        foreach (array_slice(@file($file) ?: array(), 1) as $line) { $tcp[] = preg_split('~ +~', trim($line)); }
    }
    $port = null;
    foreach ($tcp as $it) { if ($it[9] === $listens && $it[3] === '0A') { $port = substr(strrchr($it[1], ':'), 1); } }
    if ($port === null) { return null; }
    // 01 is established, 08 one whose visitor went away while it is still being answered.
    foreach ($tcp as $it) { if (substr(strrchr($it[1], ':'), 1) === $port && in_array($it[3], array('01', '08'), true) && $it[9] !== '0') { $inodes[] = $it[9]; } }
    return $inodes;
}

/** Tables that move between their copy and the migration hold an order that nothing saw coming: it must not be what a rollback loses. */
function unmoved() {
    foreach (tables() as $it) {
        if (checksum($it['table']) !== $it['checksum']) { fail("a visitor was still at work after the gate closed: the table {$it['table']} changed after it was copied"); }
    }
}

/** Killing the client of a migration does not stop its statement: kill the thread, and wait until it is gone. */
function kill_threads() {
    global $RUN;
    $boundary = (int) file_get_contents("$RUN/boundary");
    for ($i = 0; $i < 150; $i++) {
        list($mine, $ids) = threads();
        // A server that was restarted counts from the start; nobody older than the gate is left then.
        $since = array_filter($ids, function ($id) use ($boundary, $mine) { return $id > $boundary || $mine < $boundary; });
        if (!$since) { return; }
        foreach ($since as $id) { database()->query("KILL $id"); }
        usleep(200000);
    }
    fail('a statement of the migration cannot be stopped');
}

/** Why this table cannot be copied by CREATE TABLE … LIKE and put back by RENAME, '' when it can. */
function uncopyable($table) {
    $t = text($table);
    if (rows("SELECT 1 FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND ((TABLE_SCHEMA = DATABASE() AND TABLE_NAME = $t) OR (REFERENCED_TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME = $t))")) {
        return 'foreign keys';
    }
    if (rows("SELECT 1 FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = $t")) { return 'triggers'; }
    return '';
}

/** Copy every table the migration touches inside the server; those that cannot be go to dump-tables/ for the dump tool. */
function copy_tables() {
    global $RUN, $plan;
    $list = array(); $dump = array();
    $short = substr(sha1(basename($RUN)), 0, 8);
    foreach (array_values(array_unique(array_merge($plan['tables'], $plan['dropped']))) as $i => $table) {
        $list[] = array('table' => base64_encode($table), 'copy' => "updater_{$short}_{$i}c", 'bad' => "updater_{$short}_{$i}b",
            'mode' => uncopyable($table) === '' ? 'copy' : 'dump', 'checksum' => checksum($table));
    }
    if (replays()) { keep('definitions', serialize(definitions())); }
    // The names come first: what is half made must be found again.
    keep('tables.json', json_encode($list));
    foreach ($list as $i => $it) {
        $table = base64_decode($it['table']);
        if ($it['mode'] === 'copy' && !copy_table($table, $it)) {
            run('DROP TABLE IF EXISTS ' . name($it['copy']));
            $list[$i]['mode'] = 'dump';
        }
        if ($list[$i]['mode'] === 'dump') { $dump[] = $table; }
    }
    keep('tables.json', json_encode($list));
    if ($dump) {
        mkdir("$RUN/dump-tables");
        foreach ($dump as $i => $table) { keep(sprintf('dump-tables/%04d', $i), $table); }
        if (has_float($dump)) { keep('exact', ''); }
    }
}

/** Those that can be written, for a list of SQL. */
function copied_columns($table) {
    $columns = array();
    foreach (rows('SHOW COLUMNS FROM ' . name($table)) as $column) {
        if (stripos($column['Extra'], 'GENERATED') === false && stripos($column['Extra'], 'VIRTUAL') === false && stripos($column['Extra'], 'PERSISTENT') === false && stripos($column['Extra'], 'STORED') === false) {
            $columns[] = name($column['Field']);
        }
    }
    return implode(', ', $columns);
}

function copy_table($table, $it) {
    $columns = copied_columns($table);
    $auto = row('SELECT AUTO_INCREMENT a FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ' . text($table));
    $db = database();
    // No grant, quota, no space: not an error, the dump is there for that.
    if (!$db->query('CREATE TABLE ' . name($it['copy']) . ' LIKE ' . name($table))) { return false; }
    if (!$db->query('INSERT INTO ' . name($it['copy']) . " ($columns) SELECT $columns FROM " . name($table))) { return false; }
    if ($auto['a'] !== null && !$db->query('ALTER TABLE ' . name($it['copy']) . ' AUTO_INCREMENT = ' . (int) $auto['a'])) { return false; }
    return checksum($it['copy']) === $it['checksum'] && shape($it['copy']) === shape($table);
}

/** The tables of dump-tables/ as statements, each after its length: nothing has to be told apart when they are loaded. */
function dump_tables() {
    global $RUN;
    require "$RUN/dump.php";
    $db = database();
    $packet = row('SELECT @@max_allowed_packet p');
    $file = fopen("$RUN/dump.sql", 'w');
    $emit = function ($sql) use ($file, $packet) {
        if (strlen($sql) >= $packet['p']) { fail('a row is too long to be put back: raise max_allowed_packet of the database'); }
        $record = pack('J', strlen($sql)) . $sql;
        if (fwrite($file, $record) !== strlen($record)) { fail('the dump cannot be written'); }
    };
    try {
        dump_begin($db);
        foreach (dump_head() as $sql) { $emit($sql); }
        foreach (glob("$RUN/dump-tables/*") as $table) { dump_table($db, file_get_contents($table), true, $emit); }
    } catch (Exception $e) { fail('the dump failed: ' . $e->getMessage()); }
    $emit('SELECT 1');
    if (!fflush($file) || !fclose($file)) { fail('the dump cannot be written'); }
    keep('by-php', '');
}

function load_tables() {
    global $RUN;
    $file = fopen("$RUN/dump.sql", 'r');
    while (($head = fread($file, 8)) !== '' && $head !== false) {
        $length = unpack('J', $head);
        run(stream_get_contents($file, $length[1]));
    }
}

/** A FLOAT comes back rounded from the client's dump. */
function has_float($tables) {
    foreach ($tables as $table) {
        foreach (rows('SHOW COLUMNS FROM ' . name($table)) as $column) { if (stripos($column['Type'], 'float') === 0) { return true; } }
    }
    return false;
}

/** The definition without the name. */
function shape($table) { $it = rows('SHOW CREATE TABLE ' . name($table)); return strstr($it[0]['Create Table'], '('); }

function tables() {
    global $RUN;
    $list = is_file("$RUN/tables.json") ? json_decode(file_get_contents("$RUN/tables.json"), true) : array();
    foreach ($list as $i => $it) { $list[$i]['table'] = base64_decode($it['table']); }
    return $list;
}

/** One atomic RENAME brings every copied table back; run again, there is no copy left to bring. */
function restore() {
    global $plan;
    $moves = array();
    foreach (tables() as $it) {
        if ($it['mode'] !== 'copy' || !table_there($it['copy'])) { continue; }
        if (table_there($it['table'])) {
            run('DROP TABLE IF EXISTS ' . name($it['bad']));
            $moves[] = name($it['table']) . ' TO ' . name($it['bad']);
        }
        $moves[] = name($it['copy']) . ' TO ' . name($it['table']);
    }
    if ($moves) { run('RENAME TABLE ' . implode(', ', $moves)); }
    foreach ($plan['created'] as $table) { run('DROP TABLE IF EXISTS ' . name($table)); }
}

function verify_tables() {
    global $plan;
    foreach (tables() as $it) {
        if (!table_there($it['table']) || checksum($it['table']) !== $it['checksum']) { fail("the table {$it['table']} is not what it was"); }
    }
    foreach ($plan['created'] as $table) { if (table_there($table)) { fail("the table $table is still there"); } }
}

function drop_copies() {
    global $RUN;
    if (!is_file("$RUN/plan/database.json")) { return; } // ended before, and was killed while cleaning up
    // What a rollback replaced and could not export stays.
    $all = !is_file("$RUN/discard") || is_file("$RUN/since.json");
    foreach (tables() as $it) { run('DROP TABLE IF EXISTS ' . name($it['copy']) . ($all ? ', ' . name($it['bad']) : '')); }
}

/** Copies that earlier promotions kept in this database: only the last one's can be of use. */
function forget() {
    global $RUN;
    foreach (glob(dirname($RUN) . '/*/tables.json') as $file) {
        $other = dirname($file);
        if ($other === $RUN || !is_file("$other/finished") || file_get_contents("$other/plan/database.name") !== file_get_contents("$RUN/plan/database.name")) { continue; }
        foreach (json_decode(file_get_contents($file), true) as $it) { run('DROP TABLE IF EXISTS ' . name($it['copy']) . ', ' . name($it['bad'])); }
        @unlink("$other/dump.sql");
        unlink($file);
    }
}

/** Whether everything that a restore needs is there still and whole. */
function copies() {
    global $RUN;
    foreach (tables() as $it) {
        if ($it['mode'] === 'dump' ? !is_file("$RUN/dump.sql") : !table_there($it['copy']) || checksum($it['copy']) !== $it['checksum']) {
            fail("the copy of the table {$it['table']} is no longer there");
        }
    }
}

/** What a rollback loses: rows that came since the copies were made. */
function since() { export_rows('table', 'copy'); }

/** What a restore loses, with what it drops. */
function lost() { export_rows('copy', 'table'); }

/** Rows of the one that are not in the other, by primary key, as since/<table>.csv. */
function export_rows($one, $other) {
    global $RUN;
    $found = array();
    if (!is_dir("$RUN/since")) { mkdir("$RUN/since", 0700); }
    foreach (tables() as $it) {
        if ($it['mode'] !== 'copy' || !table_there($it['copy']) || !table_there($it[$one])) { continue; }
        $missing = '';
        if (table_there($it[$other])) {
            $on = array();
            foreach (rows('SHOW KEYS FROM ' . name($it[$one]) . " WHERE Key_name = 'PRIMARY'") as $key) {
                $on[] = 'here.' . name($key['Column_name']) . ' = there.' . name($key['Column_name']);
                $first = 'there.' . name($key['Column_name']);
            }
            if (!$on) { continue; }
            $missing = ' LEFT JOIN ' . name($it[$other]) . ' there ON ' . implode(' AND ', $on) . " WHERE $first IS NULL";
        }
        $rows = rows('SELECT here.* FROM ' . name($it[$one]) . " here$missing");
        if (!$rows) { continue; }
        $file = fopen("$RUN/since/" . preg_replace('/[^A-Za-z0-9_]/', '-', $it['table']) . '.csv', 'w');
        foreach (array_merge(array(array_keys($rows[0])), $rows) as $row) {
            if (fputcsv($file, array_map('strval', array_values($row)), ',', '"', '') === false) { fail('the rows cannot be written'); }
        }
        fclose($file);
        $found[$it['table']] = count($rows);
    }
    keep('since.json', json_encode((object) $found));
}

/** The contract of a migration step: exit 0, and an answer between the frame's lines (or as the last line) that is no error. */
function read_answer($code, $what = 'a migration step') {
    global $RUN;
    $text = file_get_contents("$RUN/step.out");
    $begin = strrpos($text, "\n--updater-answer--\n");
    $end = strrpos($text, "\n--updater-end--\n");
    if ($begin !== false && $end !== false && $end > $begin) {
        $json = substr($text, $begin + 20, $end - $begin - 20);
    } else {
        $lines = explode("\n", trim($text));
        $json = end($lines);
    }
    $answer = json_decode($json, true);
    if (is_array($answer) && isset($answer['error'])) { fail("$what failed: " . $answer['error'] . (empty($answer['cause']) ? '' : " ({$answer['cause']})")); }
    if ((int) $code !== 0) { fail("$what ended with exit code $code"); }
    if (!is_array($answer) || (isset($answer['ok']) && $answer['ok'] !== true)) { fail("$what ended without saying that it is done"); }
}

function read_asked($code) { read_answer($code, 'refused: what has to be known before closing'); }

function read_purge($code) { read_answer($code, 'refused: emptying a cache'); }

// ------------------------------------------------------------------------------------------------------ opcache

/**
 * Reset the web's opcache and prove it. A probe with a fixed mtime is served, rewritten, and must then answer anew: with
 * equal mtime only a true reset does that, whatever validate_timestamps says. The answer carries a secret of this run,
 * so it also proves that this docroot is what the public name serves; the certificate need not, and is not checked.
 */
function opcache() {
    global $RUN, $DOCROOT, $plan;
    $prefix = trim(file_get_contents("$RUN/plan/onetime"));
    $id = bin2hex(random_bytes(16));
    $token = bin2hex(random_bytes(16));
    $file = "$DOCROOT/updater-$prefix-$id.php";
    $probe = "$DOCROOT/updater-$prefix-$id-probe.php";
    register_shutdown_function(function () use ($file, $probe) { @unlink($file); @unlink($probe); });
    // Younger than two seconds is not cached at all (opcache.file_update_protection): the probe must be older.
    $write = function ($say) use ($probe, $token) {
        $code = "<?php header('Cache-Control: no-store'); echo " . var_export("$say-" . hash('sha256', "$say$token"), true) . ";\n";
        if (file_put_contents($probe, $code) === false) { fail('refused: no one-time PHP file can be written to the docroot'); }
        chmod($probe, 0644);
        touch($probe, 1500000000);
    };
    $write('one');
    file_put_contents($file, "<?php header('Cache-Control: no-store');\n"
        . 'if (!isset($_SERVER["HTTP_X_UPDATER_TOKEN"]) || !hash_equals(' . var_export(hash('sha256', $token), true) . ', hash("sha256", $_SERVER["HTTP_X_UPDATER_TOKEN"]))) { http_response_code(404); exit; }' . "\n"
        . 'clearstatcache(true); $on = function_exists("opcache_get_status") && @opcache_get_status(false) !== false;' . "\n"
        . 'echo function_exists("opcache_reset") && @opcache_reset() ? "reset" : ($on ? "refused" : "off");' . "\n"
        // One of its sockets is what php-fpm listens on: by it the connections of visitors are known.
        . 'if (PHP_SAPI === "fpm-fcgi") { foreach (@scandir("/proc/self/fd") ?: array() as $fd) { if (preg_match("~^socket:.([0-9]+)~", (string) @readlink("/proc/self/fd/$fd"), $it)) { echo " ", $it[1]; } } }');
    chmod($file, 0644);
    $first = 'one-' . hash('sha256', "one$token");
    $second = 'two-' . hash('sha256', "two$token");
    $why = '';
    foreach (addresses() as $address) {
        $answer = get(basename($probe), $address, '', $why);
        if ($answer !== $first) { continue; }
        get(basename($probe), $address, '', $why);
        $write('two');
        for ($i = 0; $i < 25; $i++) {
            $said = get(basename($file), $address, $token, $why);
            $now = get(basename($probe), $address, '', $why);
            if ($now === $second) { remember_fpm((string) $said); return; }
            usleep(200000);
        }
        fail('refused: opcache cannot be reset over HTTP (the server said ' . json_encode($said) . '), new code would not be run');
    }
    fail('refused: the server does not reach its own site over HTTP: ' . ($why ?: 'another docroot answers'));
}

/** Before closing: what php-fpm listens on, and connections that the web server keeps for later requests, which would never drain. */
function remember_fpm($said) {
    global $RUN;
    if (is_file("$RUN/closed-at") || !preg_match_all('~ ([0-9]+)~', $said, $found)) { return; }
    foreach ($found[1] as $inode) {
        keep('fpm', $inode);
        $open = php_connections();
        if ($open !== null) { keep('lasting', json_encode($open)); return; }
    }
    unlink("$RUN/fpm");
}

/** Where to reach the site from itself: as site.yml says, this machine, what DNS says. */
function addresses() {
    global $plan;
    $all = array('127.0.0.1');
    if ($plan['address'] !== null) { $all[] = $plan['address']; }
    $all[] = gethostbyname(parse_url($plan['url'], PHP_URL_HOST));
    return array_unique($all);
}

function get($name, $address, $token, &$why) {
    global $plan, $RUN;
    $url = parse_url($plan['url']);
    $host = $url['host'];
    $port = isset($url['port']) ? ":{$url['port']}" : '';
    $path = isset($url['path']) ? rtrim($url['path'], '/') : '';
    $bracketed = strpos($address, ':') !== false ? "[$address]" : $address;
    $password = is_file("$RUN/plan/authorization") ? 'Authorization: ' . file_get_contents("$RUN/plan/authorization") . "\r\n" : '';
    $context = stream_context_create(array(
        'http' => array('header' => "{$password}Host: $host$port\r\nX-Updater-Token: $token\r\nConnection: close", 'timeout' => 5, 'follow_location' => 0, 'user_agent' => 'updater'),
        'ssl' => array('peer_name' => $host, 'SNI_enabled' => true, 'verify_peer' => false, 'verify_peer_name' => false),
    ));
    error_clear_last();
    $body = file_get_contents("{$url['scheme']}://$bracketed$port$path/$name", false, $context);
    if ($body === false) { $last = error_get_last(); $why = $last ? str_replace($name, '…', $last['message']) : 'no answer'; }
    return $body;
}

$verbs = array('preflight' => 'preflight', 'stage' => 'stage', 'carry' => 'carry', 'verify' => 'verify', 'drain' => 'drain',
    'kill-threads' => 'kill_threads', 'copy' => 'copy_tables', 'dump-tables' => 'dump_tables', 'load-tables' => 'load_tables', 'restore' => 'restore', 'verify-tables' => 'verify_tables',
    'drop-copies' => 'drop_copies', 'answer' => 'read_answer', 'purged' => 'read_purge',
    'asked' => 'read_asked', 'outside' => 'outside', 'replayed' => 'replayed', 'touched' => 'touched', 'strays' => 'strays', 'beside' => 'written_beside', 'keep-rows' => 'keep_rows',
    'unmoved' => 'unmoved', 'forget' => 'forget', 'copies' => 'copies', 'since' => 'since', 'lost' => 'lost', 'opcache' => 'opcache');
if (!isset($verbs[$argv[2]])) { fail("no such verb: {$argv[2]}"); }
call_user_func_array($verbs[$argv[2]], array_slice($argv, 3));
