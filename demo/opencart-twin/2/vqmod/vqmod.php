<?php
// vQmod 2 as a shop meets it: each file that is asked for is compiled into vqcache by every vqmod/xml/*.xml, and the copy stands until the
// file or an XML file is newer. What finds no place is told in a log alone.
class VQMod
{
    private static $since = 0;

    public static function bootup()
    {
        foreach (array('logs', 'vqcache') as $folder) { if (!is_dir(__DIR__ . "/$folder")) { mkdir(__DIR__ . "/$folder"); } }
        $cache = __DIR__ . '/mods.cache';
        self::$since = max(array_map('filemtime', array_merge(array(__DIR__ . '/xml'), glob(__DIR__ . '/xml/*.xml'))));
        if (is_file($cache) && filemtime($cache) >= self::$since) { return; }
        self::$since = time();
        file_put_contents($cache, serialize(glob(__DIR__ . '/xml/*.xml')));
    }

    public static function modCheck($source, $file)
    {
        $path = substr(realpath($file), strlen(dirname(__DIR__)) + 1);
        $copy = __DIR__ . '/vqcache/vq2-' . str_replace('/', '_', substr(realpath($source), strlen(dirname(__DIR__)) + 1));
        if (is_file($copy) && filemtime($copy) >= max(self::$since, filemtime($source))) { return $copy; }
        $text = $was = file_get_contents($source);
        foreach (glob(__DIR__ . '/xml/*.xml') as $xml) {
            foreach (simplexml_load_file($xml)->file as $each) {
                if ((string) $each['name'] === $path) { $text = self::apply($each, $text, basename($xml)); }
            }
        }
        if ($text === $was) { return $source; }
        file_put_contents($copy, $text);
        return $copy;
    }

    // `error`: log goes on without the operation, abort (which it is by itself) gives the file up.
    private static function apply($file, $text, $xml)
    {
        $was = $text;
        foreach ($file->operation as $operation) {
            $search = trim((string) $operation->search);
            $add = (string) $operation->add;
            if (strpos($text, $search) === false) {
                file_put_contents(__DIR__ . '/logs/' . date('w_D') . '.log', "$xml: SEARCH NOT FOUND: $search\n", FILE_APPEND);
                if ((string) $operation['error'] === 'log') { continue; }
                return $was;
            }
            $text = str_replace($search, (string) $operation->search['position'] === 'iafter' ? $search . $add : $add, $text);
        }
        return $text;
    }
}
