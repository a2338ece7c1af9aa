<?php
class Upgrade11
{
    public $db;
    public $request;

    public function index()
    {
        if ($this->db->query('SHOW COLUMNS FROM `' . DB_PREFIX . "country` LIKE 'name'")->num_rows) {
            $this->db->query('INSERT INTO `' . DB_PREFIX . 'country_description` SELECT country_id, 1, name FROM `' . DB_PREFIX . 'country`');
            $this->db->query('ALTER TABLE `' . DB_PREFIX . 'country` DROP COLUMN name');
        }
        return array('text' => 'Patch 11', 'success' => 'The upgrade is complete.');
    }
}
