<?php
// Writes both configuration files anew from the constants that it knows, makes missing storage folders with a mode that
// nobody can enter, and takes a folder called admin for the newer one.
class Upgrade1
{
    public $db;
    public $request;

    public function index()
    {
        $admin = basename($this->request->get['admin']);
        foreach (array('config.php', "$admin/config.php") as $name) {
            $file = DIR_OPENCART . $name;
            if (!is_file($file)) { return array('error' => "no $file"); }
            $known = array();
            foreach (file($file) as $line) {
                if (preg_match("/define\('(.*)',\s+'(.*)'\)/", $line, $match)) { $known[$match[1]] = $match[2]; }
            }
            if (!isset($known['HTTP_SERVER'])) { return array('error' => 'HTTP_SERVER is not defined'); }
            $storage = isset($known['DIR_STORAGE']) ? $known['DIR_STORAGE'] : DIR_SYSTEM . 'storage/';
            file_put_contents($file, "<?php\n// written by patch 1\ndefine('HTTP_SERVER', '$known[HTTP_SERVER]');\ndefine('DIR_STORAGE', '$storage');\n"
                . "define('DB_HOSTNAME', '" . DB_HOSTNAME . "');\n");
        }
        if (is_dir(DIR_OPENCART . 'admin') && $admin !== 'admin') {
            rename(DIR_OPENCART . "$admin/config.php", DIR_OPENCART . 'admin/config.php');
            system('rm -r ' . escapeshellarg(DIR_OPENCART . $admin));
            rename(DIR_OPENCART . 'admin', DIR_OPENCART . $admin);
        }
        foreach (array('backup', 'cache', 'download', 'logs', 'marketplace', 'session', 'upload') as $folder) {
            if (!is_dir($storage . $folder)) { mkdir($storage . $folder, 0644); }
        }
        return array('text' => 'Patch 1', 'next' => 'index.php?route=upgrade/upgrade_2');
    }
}
