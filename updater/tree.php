<?php
// Every code file below $REQUEST['root'] with its sha256 (updater/shell.py, code_manifest). Names travel as base64: they may be no UTF-8.
$root = rtrim($REQUEST['root'], '/');
if (!is_dir($root)) { fail("no such folder: $root"); }
$exclude = array();
foreach ($REQUEST['exclude'] as $path) { $exclude[trim($path, '/')] = true; }
$entries = array();
$elsewhere = $REQUEST['elsewhere']; // walked by themselves; the docroot may hold a link of that name
$at = function ($path) use ($root, $elsewhere) {
    foreach ($elsewhere as $name => $folder) {
        if ($path === $name || strpos($path, "$name/") === 0) { return $folder . substr($path, strlen($name)); }
    }
    return $path === '' ? $root : "$root/$path";
};
$walk = function ($below) use (&$walk, &$entries, $at, $exclude) {
    $names = @scandir($at($below));
    if ($names === false) { fail('cannot read folder ' . $at($below)); }
    $empty = true;
    foreach ($names as $name) {
        if ($name === '.' || $name === '..') { continue; }
        $empty = false;
        $path = $below === '' ? $name : "$below/$name";
        if (isset($exclude[$path]) || isset($elsewhere[$path])) { continue; }
        $full = $at($path);
        if (is_link($full)) {
            $entries[] = array(base64_encode($path), base64_encode('link:' . readlink($full)));
        } elseif (is_dir($full)) {
            $walk($path);
        } elseif (is_file($full)) {
            $hash = @hash_file('sha256', $full);
            if ($hash === false) { fail("cannot read file $full"); }
            $entries[] = array(base64_encode($path), base64_encode($hash));
        }
    }
    if ($empty && $below !== '') { $entries[] = array(base64_encode($below), base64_encode('dir')); }
};
$walk('');
foreach (array_keys($elsewhere) as $name) { $walk($name); }
answer(array('entries' => $entries));
