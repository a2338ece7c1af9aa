<?php
// Knows a setting by the name that it had in 2.x: where it is missing there it is added once more, beside the shop's own.
class Patch1005
{
    public $db;
    public $request;

    public function upgrade()
    {
        $this->db->query('INSERT INTO `' . DB_PREFIX . "setting` SET store_id = 0, `code` = 'theme_default', `key` = 'theme_default_product_limit', `value` = '20'");
        return array('success' => 'Patch 1005', 'next' => 'index.php?route=upgrade/upgrade/next&step=3');
    }
}
