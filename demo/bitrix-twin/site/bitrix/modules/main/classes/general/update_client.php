<?php
class TwinUpdateError extends Exception {}

// Talks to the vendor's server and installs what it gives.
class TwinUpdate
{
    const CLIENT = 1;

    public static function log($text) { file_put_contents(self::bitrix('modules/updater.log'), date('Y-m-d H:i:s') . " $text\n", FILE_APPEND); }

    private static function bitrix($path) { return $_SERVER['DOCUMENT_ROOT'] . "/bitrix/$path"; }

    private static function version_file($module) { return self::bitrix($module === 'main' ? 'modules/main/classes/general/version.php' : "modules/$module/install/version.php"); }

    public static function versions()
    {
        $found = array();
        foreach (Twin::rows("SELECT ID FROM b_module ORDER BY ID") as $row) {
            if (strpos($row['ID'], '.') !== false) { continue; } // partners' modules have an updater of their own
            preg_match('/(?:SM_VERSION\', \'|SM_VERSION", "|"VERSION" => ")([\d.]+)/', file_get_contents(self::version_file($row['ID'])), $match);
            $found[$row['ID']] = $match[1];
        }
        return $found;
    }

    public static function declare_version($module, $version)
    {
        $text = file_get_contents(self::version_file($module));
        file_put_contents(self::version_file($module), preg_replace('/(SM_VERSION\', \'|SM_VERSION", "|"VERSION" => ")[\d.]+/', '${1}' . $version, $text));
    }

    private static function ask($what, $more = array())
    {
        $LICENSE_KEY = '';
        include self::bitrix('license_key.php');
        $form = array(
            'what' => $what, 'key' => md5($LICENSE_KEY), 'crc' => Twin::option('main', 'crc_code'), 'server_name' => Twin::option('main', 'server_name'),
            'client' => is_file(self::bitrix('modules/main/classes/general/update_client_new.php')) ? 2 : self::CLIENT, 'stable' => Twin::option('main', 'stable_versions_only'),
            'versions' => json_encode(self::versions()),
        ) + $more;
        $headers = "Content-Type: application/x-www-form-urlencoded\r\n" . (Twin::option('main', 'update_devsrv') === 'Y' ? "X-DevSrv-CMS: Bitrix\r\n" : '');
        $context = stream_context_create(array('http' => array('method' => 'POST', 'header' => $headers, 'content' => http_build_query($form), 'timeout' => (float) Twin::option('main', 'update_load_timeout'), 'ignore_errors' => true)));
        $answer = @file_get_contents('http://' . Twin::option('main', 'update_site') . '/index.php', false, $context);
        if ($answer === false || strpos($http_response_header[0], ' 200') === false) { throw new TwinUpdateError('[ESOCKET] Could not connect to the update server ' . Twin::option('main', 'update_site') . '.'); }
        return $answer;
    }

    // 'client' when the update system itself has to be renewed first; else module => version and what it needs, needs first.
    public static function offered($only, $pins)
    {
        $answer = json_decode(self::ask('list'), true);
        if (isset($answer['error'])) { throw new TwinUpdateError("[$answer[error]] $answer[text]"); }
        Twin::set('main', 'crc_code', $answer['crc']);
        if (!empty($answer['client'])) { return 'client'; }
        $have = self::versions();
        $found = array();
        $take = function ($module) use (&$take, &$found, $answer, $have, $pins) {
            if (isset($found[$module]) || !isset($have[$module]) || !isset($answer['modules'][$module])) { return; }
            foreach (array_reverse($answer['modules'][$module], true) as $version => $needs) {
                if (version_compare($version, $have[$module], '<=') || (isset($pins[$module]) && version_compare($version, $pins[$module], '>'))) { continue; }
                foreach ($needs as $needed => $at_least) { if (version_compare($have[$needed], $at_least, '<')) { $take($needed); } }
                $found[$module] = array('version' => $version);
                return;
            }
        };
        foreach ($only ?: array_keys($have) as $module) { $take($module); }
        return $found;
    }

    public static function upgrade_itself()
    {
        file_put_contents(self::bitrix('modules/main/classes/general/update_client_new.php'), "<?php\n");
        self::log('The update system is updated');
    }

    public static function install($found)
    {
        $ready = array();
        foreach ($found as $module => $update) {
            $file = self::bitrix("updates/$module-$update[version].zip");
            file_put_contents($file, self::ask('load', array('module' => $module, 'version' => $update['version'])));
            $zip = new ZipArchive();
            if ($zip->open($file) !== true) { throw new TwinUpdateError("[UUGZA01] Could not unpack the archive of $module"); }
            $ready[$module] = $zip;
        }
        foreach ($ready as $module => $zip) {
            $folder = self::bitrix("updates/$module");
            $zip->extractTo($folder);
            foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator("$folder/bitrix", FilesystemIterator::SKIP_DOTS)) as $path => $file) {
                $target = self::bitrix(substr($path, strlen("$folder/bitrix/")));
                if (!is_dir(dirname($target))) { mkdir(dirname($target), 0755, true); }
                copy($path, $target);
            }
            if (is_file("$folder/updater.php")) { require "$folder/updater.php"; }
            self::log("Module $module is updated to {$found[$module]['version']}");
            unlink(self::bitrix("updates/$module-{$found[$module]['version']}.zip"));
            system('rm -rf ' . escapeshellarg($folder));
        }
    }
}
