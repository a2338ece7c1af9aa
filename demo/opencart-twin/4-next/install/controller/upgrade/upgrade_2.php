<?php
class Upgrade2
{
    public $db;
    public $request;

    public function index()
    {
        $this->db->query('CREATE TABLE IF NOT EXISTS `' . DB_PREFIX . 'product_code` (product_code_id INT AUTO_INCREMENT PRIMARY KEY, product_id INT NOT NULL, code VARCHAR(48) NOT NULL, value VARCHAR(255) NOT NULL) DEFAULT CHARSET utf8mb4');
        $this->db->query('CREATE TABLE IF NOT EXISTS `' . DB_PREFIX . 'country_description` (country_id INT NOT NULL, language_id INT NOT NULL, name VARCHAR(128) NOT NULL, PRIMARY KEY (country_id, language_id)) DEFAULT CHARSET utf8mb4');
        return array('text' => 'Patch 2', 'next' => 'index.php?route=upgrade/upgrade_5');
    }
}
