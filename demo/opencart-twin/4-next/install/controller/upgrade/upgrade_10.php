<?php
// Needs the table of patch 2: in alphabetical order it comes too early.
class Upgrade10
{
    public $db;
    public $request;

    public function index()
    {
        if (!$this->db->query("SHOW TABLES LIKE '" . DB_PREFIX . "product_code'")->num_rows) { return array('error' => 'no table product_code'); }
        if ($this->db->query('SHOW COLUMNS FROM `' . DB_PREFIX . "product` LIKE 'sku'")->num_rows) {
            $this->db->query('INSERT INTO `' . DB_PREFIX . 'product_code` (product_id, code, value) SELECT product_id, \'sku\', sku FROM `' . DB_PREFIX . "product` WHERE sku <> '' ORDER BY product_id");
            $this->db->query('ALTER TABLE `' . DB_PREFIX . 'product` DROP COLUMN sku');
        }
        return array('text' => 'Patch 10', 'next' => 'index.php?route=upgrade/upgrade_11');
    }
}
