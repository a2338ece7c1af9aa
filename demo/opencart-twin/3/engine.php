
// What a controller of 3.x is made with. Names and arguments are OpenCart's; each does the least of what it does there.
class Registry
{
    private $data = array();

    public function get($key) { return isset($this->data[$key]) ? $this->data[$key] : null; }
    public function set($key, $value) { $this->data[$key] = $value; }
    public function has($key) { return isset($this->data[$key]); }
}

class Config
{
    private $data = array();

    public function get($key) { return isset($this->data[$key]) ? $this->data[$key] : null; }
    public function set($key, $value) { $this->data[$key] = $value; }
    public function has($key) { return isset($this->data[$key]); }

    public function load($name)
    {
        $_ = array();
        require DIR_CONFIG . "$name.php";
        $this->data = array_merge($this->data, $_);
    }
}

class Log
{
    private $name;

    public function __construct($name) { $this->name = $name; }
    public function write($text) { TwinLog::write($text, $this->name); }
}

class Event { public function __construct($registry) {} }

class Loader
{
    private $registry;

    public function __construct($registry) { $this->registry = $registry; }
    public function language($route) { return array(); }

    public function model($route)
    {
        if ($this->registry->has('model_' . str_replace('/', '_', $route))) { return; }
        require_once DIR_APPLICATION . "model/$route.php";
        $class = 'Model' . str_replace(array('/', '_'), '', ucwords($route, '/_'));
        $this->registry->set('model_' . str_replace('/', '_', $route), new $class($this->registry));
    }
}

class Request { public $get = array(); public $post = array(); }

class Response
{
    public function redirect($url) { header("Location: $url", true, 302); exit; }
}

class DB extends TwinDb
{
    public function __construct($driver, $host, $user, $password, $name, $port = null) { parent::__construct($host, $user, $password, $name, $port ?: 3306); }
}

class Cache { public function __construct($driver, $expire) {} }

class Url
{
    private $address;

    public function __construct($address, $secure) { $this->address = $address; }
    public function link($route, $more = '') { return "{$this->address}index.php?route=$route&amp;$more"; }
}

class Language
{
    public function __construct($code) {}
    public function get($key) { return $key; }
}

class Document { public function setTitle($title) {} }

class Controller
{
    protected $registry;

    public function __construct($registry) { $this->registry = $registry; }
    public function __get($name) { return $this->registry->get($name); }
}

class Model extends Controller {}

// The compiled copy stands in for the file, whatever release the file is of.
function twin_file($file)
{
    $copy = DIR_MODIFICATION . 'catalog/' . substr($file, strlen(DIR_APPLICATION));
    return is_file($copy) ? $copy : $file;
}

function twin_patch($route)
{
    $files = glob(DIR_APPLICATION . 'model/upgrade/*.php');
    $step = isset($_GET['step']) ? (int) $_GET['step'] : 1;
    if ($route !== 'upgrade/upgrade/next') { exit('no such patch'); }
    if (!isset($files[$step - 1])) { exit(json_encode(array('success' => 'Congratulations!'))); }
    return array('Patch' . basename($files[$step - 1], '.php'), $files[$step - 1], 'upgrade');
}

function start($application_config) { require DIR_SYSTEM . 'framework.php'; }
