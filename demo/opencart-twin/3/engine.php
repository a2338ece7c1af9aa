
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
