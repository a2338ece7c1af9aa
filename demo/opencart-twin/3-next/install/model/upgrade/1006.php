<?php
// Switches every modification off and empties the compiled copies; rewrites the configuration files in place.
class Patch1006
{
    public $db;
    public $request;

    public function upgrade()
    {
        $this->db->query('UPDATE `' . DB_PREFIX . 'modification` SET status = 0');
        system('rm -rf ' . escapeshellarg(DIR_SYSTEM . 'storage/modification') . '/*');
        foreach (array('config.php', 'admin/config.php') as $name) {
            if (is_file(DIR_OPENCART . $name)) { file_put_contents(DIR_OPENCART . $name, "// written by patch 1006\n", FILE_APPEND); }
        }
        return array('success' => 'Patch 1006', 'next' => 'index.php?route=upgrade/upgrade/next&step=4');
    }
}
