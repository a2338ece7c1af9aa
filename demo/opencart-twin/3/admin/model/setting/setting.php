<?php
class ModelSettingSetting extends Model
{
    public function editSettingValue($code, $key, $value)
    {
        $this->db->query('UPDATE `' . DB_PREFIX . "setting` SET `value` = '" . $this->db->escape($value) . "' WHERE `code` = '$code' AND `key` = '$key' AND store_id = 0");
    }
}
