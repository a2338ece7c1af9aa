<?php
// Looks for an event by a code that the shop has under another, and adds it: its action runs twice.
class Upgrade5
{
    public $db;
    public $request;

    public function index()
    {
        if (!$this->db->query('SELECT * FROM `' . DB_PREFIX . "event` WHERE `code` = 'mail_order_add'")->num_rows) {
            $this->db->query('INSERT INTO `' . DB_PREFIX . "event` SET `code` = 'mail_order_add', `trigger` = 'catalog/model/checkout/order.addHistory/before', `action` = 'mail/order', status = 1");
        }
        return array('text' => 'Patch 5', 'next' => 'index.php?route=upgrade/upgrade_10');
    }
}
