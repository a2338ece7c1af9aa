<?php
// Compiles every enabled modification into storage/modification. What it finds nothing for stands in ocmod.log alone.
class ControllerMarketplaceModification
{
    private $registry;

    public function __construct($registry) { $this->registry = $registry; }

    public function __get($name) { return $this->registry->get($name); }

    public function refresh($data = array())
    {
        if (!$this->user->hasPermission('modify', 'marketplace/modification')) { return; }
        system('rm -rf ' . escapeshellarg(rtrim(DIR_MODIFICATION, '/')) . '/*');
        $made = array();
        foreach ($this->db->query('SELECT * FROM `' . DB_PREFIX . 'modification` WHERE status = 1 ORDER BY modification_id')->rows as $row) {
            $log = array("MOD: $row[name]");
            $xml = simplexml_load_string($row['xml']);
            foreach ($xml->file as $file) {
                $path = (string) $file['path'];
                $source = dirname(rtrim(DIR_SYSTEM, '/')) . "/$path";
                $text = isset($made[$path]) ? $made[$path] : file_get_contents($source);
                foreach ($file->operation as $operation) {
                    $search = trim((string) $operation->search);
                    if (strpos($text, $search) === false) { $log[] = "NOT FOUND - $path: $search"; continue; }
                    $text = str_replace($search, $search . trim((string) $operation->add), $text);
                }
                $made[$path] = $text;
            }
            TwinLog::write(implode("\n", $log), 'ocmod.log');
        }
        foreach ($made as $path => $text) {
            $target = DIR_MODIFICATION . $path;
            if (!is_dir(dirname($target))) { mkdir(dirname($target), 0755, true); }
            file_put_contents($target, $text);
        }
        $this->response->redirect('index.php?route=marketplace/modification');
    }
}
