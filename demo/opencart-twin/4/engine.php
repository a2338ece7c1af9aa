
function twin_patch($route)
{
    if (!preg_match('/^upgrade\/upgrade_(\d+)$/', $route, $match)) { exit('no such patch'); }
    return array('Upgrade' . $match[1], DIR_APPLICATION . "controller/upgrade/upgrade_$match[1].php", 'index');
}

function twin_file($file) { return $file; }
