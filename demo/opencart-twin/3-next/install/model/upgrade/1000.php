<?php
class Patch1000
{
    public $db;
    public $request;

    public function upgrade()
    {
        if (!is_file(DIR_APPLICATION . 'opencart.sql')) { return array('error' => 'no opencart.sql'); }
        if (!$this->db->query('SHOW COLUMNS FROM `' . DB_PREFIX . "order` LIKE 'tracking'")->num_rows) {
            $this->db->query('ALTER TABLE `' . DB_PREFIX . "order` ADD tracking VARCHAR(64) NOT NULL DEFAULT ''");
        }
        return array('success' => 'Patch 1000', 'next' => 'index.php?route=upgrade/upgrade/next&step=2');
    }
}
