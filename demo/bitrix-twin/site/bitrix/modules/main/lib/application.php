<?php
class Twin
{
    public static $db;
    private static $session;
    private static $id;
    private static $sent = '';

    public static function start()
    {
        // The new kernel reads .settings.php, the old one $DBHost and its like: both have to agree.
        $settings = require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/.settings.php';
        $connection = $settings['connections']['value']['default'];
        mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
        self::$db = new mysqli($connection['host'], $connection['login'], $connection['password'], $connection['database']);
        self::$db->set_charset('utf8mb4');
        if (PHP_SAPI !== 'cli' && self::option('main', 'site_stopped') === 'Y') {
            readfile($_SERVER['DOCUMENT_ROOT'] . '/bitrix/php_interface/include/site_closed.php');
            exit;
        }
    }

    public static function rows($sql, $values = array())
    {
        $sql = preg_replace_callback('/\?/', function () use (&$values) { return "'" . self::$db->real_escape_string((string) array_shift($values)) . "'"; }, $sql);
        $result = self::$db->query($sql);
        return $result instanceof mysqli_result ? $result->fetch_all(MYSQLI_ASSOC) : array();
    }

    // Options are kept in managed_cache: who changes the table has to empty it.
    public static function option($module, $name)
    {
        $file = $_SERVER['DOCUMENT_ROOT'] . '/bitrix/managed_cache/MYSQL/b_option/' . md5($module) . '.php';
        if (!is_file($file)) {
            $values = array();
            foreach (self::rows('SELECT NAME, VALUE FROM b_option WHERE MODULE_ID = ?', array($module)) as $row) { $values[$row['NAME']] = $row['VALUE']; }
            if (!is_dir(dirname($file))) { mkdir(dirname($file), 0755, true); }
            file_put_contents("$file." . getmypid(), '<?php return ' . var_export($values, true) . ';');
            rename("$file." . getmypid(), $file);
        }
        $values = self::read($file);
        return isset($values[$name]) ? $values[$name] : '';
    }

    private static function read($file)
    {
        if (function_exists('opcache_invalidate')) { opcache_invalidate($file, true); }
        return include $file;
    }

    public static function set($module, $name, $value)
    {
        self::rows('INSERT INTO b_option (MODULE_ID, NAME, VALUE) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE VALUE = VALUES(VALUE)', array($module, $name, $value));
        @unlink($_SERVER['DOCUMENT_ROOT'] . '/bitrix/managed_cache/MYSQL/b_option/' . md5($module) . '.php');
    }

    public static function session($name, $value = null)
    {
        if (self::$session === null) {
            self::$id = isset($_COOKIE['PHPSESSID']) && preg_match('/^[a-f0-9]{32}$/', $_COOKIE['PHPSESSID']) ? $_COOKIE['PHPSESSID'] : bin2hex(random_bytes(16));
            if (PHP_SAPI !== 'cli') { setcookie('PHPSESSID', self::$id, 0, '/', '', true, true); }
            $row = self::rows('SELECT SESSION_DATA FROM b_user_session WHERE SESSION_ID = ?', array(self::$id));
            self::$session = $row ? json_decode($row[0]['SESSION_DATA'], true) : array();
        }
        if (func_num_args() > 1) {
            self::$session[$name] = $value;
            self::rows('REPLACE INTO b_user_session (SESSION_ID, TIMESTAMP_X, SESSION_DATA) VALUES (?, NOW(), ?)', array(self::$id, json_encode(self::$session)));
        }
        return isset(self::$session[$name]) ? self::$session[$name] : array();
    }

    public static function event($name, $fields)
    {
        self::rows("INSERT INTO b_event (EVENT_NAME, C_FIELDS, DATE_INSERT) VALUES (?, ?, NOW())", array($name, json_encode($fields, JSON_UNESCAPED_UNICODE)));
    }

    // What every hit does when its page is done: mail that waits, and agents whose time has come.
    public static function epilog()
    {
        foreach (self::rows("SELECT * FROM b_event WHERE SUCCESS_EXEC = 'N' ORDER BY ID") as $row) {
            $mail = json_decode($row['C_FIELDS'], true);
            mail($mail['to'], '=?UTF-8?B?' . base64_encode($mail['subject']) . '?=', $mail['body'], 'From: ' . self::option('main', 'email_from') . "\r\nContent-Type: text/plain; charset=UTF-8");
            self::rows("UPDATE b_event SET SUCCESS_EXEC = 'Y' WHERE ID = ?", array($row['ID']));
        }
        if (self::option('main', 'check_agents') === 'Y') { self::agents(); }
    }

    public static function agents()
    {
        foreach (self::rows("SELECT * FROM b_agent WHERE ACTIVE = 'Y' AND NEXT_EXEC <= NOW()") as $row) {
            self::rows('UPDATE b_agent SET NEXT_EXEC = DATE_ADD(NOW(), INTERVAL 1 DAY) WHERE ID = ?', array($row['ID']));
        }
    }

    public static function money($value) { return number_format((float) $value, fmod((float) $value, 1) ? 2 : 0, '.', ' ') . ' ₽'; }
}
