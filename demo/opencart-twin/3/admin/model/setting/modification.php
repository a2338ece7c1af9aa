<?php
class ModelSettingModification extends Model
{
    public function getModifications() { return $this->db->query('SELECT * FROM `' . DB_PREFIX . 'modification` ORDER BY modification_id')->rows; }
}
