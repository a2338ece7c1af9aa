<?php
// The twin's engine: a database, a session, JSON and pages. OpenCart's own does all of this in another way; what the driver
// meets is the same: where files lie, which constants they read, what is logged, and that exit 0 and HTTP 200 prove nothing.
if (!is_file(DIR_STORAGE . 'vendor/autoload.php')) { exit('no vendor in ' . DIR_STORAGE); }
require_once DIR_STORAGE . 'vendor/autoload.php';
if (TWIN_VENDOR !== '%VERSION%') { exit('vendor of ' . TWIN_VENDOR . ' under code of %VERSION%'); }

class TwinLog
{
    public static $file = 'error.log';
    public static $on = true;

    public static function write($text, $file = '')
    {
        if (!$file && !self::$on) { return; }
        $file = $file ?: self::$file;
        file_put_contents(DIR_LOGS . $file, date('Y-m-d G:i:s') . ' - ' . $text . "\n", FILE_APPEND);
    }
}

class TwinDb
{
    private $link;

    public function __construct($host, $user, $password, $name, $port)
    {
        mysqli_report(MYSQLI_REPORT_OFF);
        $this->link = new mysqli($host, $user, $password, $name, (int) $port);
        $this->link->set_charset('utf8mb4');
        $this->link->query("SET SESSION sql_mode = 'NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'");
    }

    // A statement that fails is logged and the page goes on: HTTP 200 over half a shop.
    public function query($sql)
    {
        $result = $this->link->query($sql);
        if ($result === false) { TwinLog::write('PHP Warning: Error: ' . $this->link->error . ' in query ' . $sql); }
        $rows = $result instanceof mysqli_result ? $result->fetch_all(MYSQLI_ASSOC) : array();
        return (object) array('rows' => $rows, 'row' => $rows ? $rows[0] : array(), 'num_rows' => count($rows));
    }

    public function escape($value) { return $this->link->real_escape_string((string) $value); }
    public function getLastId() { return $this->link->insert_id; }
}

set_error_handler(function ($code, $message, $file, $line) {
    if (error_reporting() & $code) { TwinLog::write("PHP Warning:  $message in $file on line $line"); }
    return true;
});
