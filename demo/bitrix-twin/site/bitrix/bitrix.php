<?php
// The console: commands, prompts, defaults, exit codes and log of docs/bitrix.md; everything else is as small as can be.
$_SERVER['DOCUMENT_ROOT'] = dirname(__DIR__);
if (!is_file(__DIR__ . '/vendor/autoload.php')) {
    fwrite(STDERR, "Symfony console is not installed.\n");
    exit(1);
}
require __DIR__ . '/vendor/autoload.php';
require __DIR__ . '/modules/main/include/prolog_before.php';
require __DIR__ . '/modules/main/classes/general/update_client.php';

$words = array_slice($argv, 1);
$command = array_shift($words);
$options = array();
while ($words) {
    $word = array_shift($words);
    if (in_array($word, array('-m', '--modules', '-i', '--import', '-l', '--languages'), true)) { $options[substr(ltrim($word, '-'), 0, 1)] = array_shift($words); }
    elseif (in_array($word, array('-n', '--no-interaction'), true)) { $options['n'] = true; }
    elseif ($word[0] !== '-') { $options['file'] = $word; }
}
try {
    switch ($command) {
    case null:
    case 'list':
        echo "Bitrix Framework Console\n\nAvailable commands:\n update\n  update:languages  Updates languages\n  update:modules    Updates modules\n  update:versions   Sets versions of modules\n";
        exit(0);
    case 'update:modules':
        exit(update_modules($options));
    case 'update:languages':
        echo "No updates found.\n";
        exit(0);
    case 'update:versions':
        // Lowers what modules say of themselves. It lists nothing.
        foreach (json_decode(file_get_contents($options['file']), true) as $module => $version) { TwinUpdate::declare_version($module, $version); }
        echo "Versions are set.\n";
        exit(0);
    default:
        fwrite(STDERR, "Command \"$command\" is not defined.\n");
        exit(1);
    }
} catch (TwinUpdateError $error) {
    TwinUpdate::log('Error: ' . $error->getMessage());
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}

function update_modules($options)
{
    $pins = isset($options['i']) ? json_decode(file_get_contents($options['i']), true) : array();
    $only = isset($options['m']) ? explode(',', $options['m']) : array_keys($pins);
    $found = TwinUpdate::offered($only, $pins);
    if ($found === 'client') {
        TwinUpdate::upgrade_itself();
        echo "The update system has been updated. Restart the command.\n";
        return 0;
    }
    if (!$found) { echo "No updates found.\n"; return 0; }
    echo "Available updates\n=================\n\n";
    foreach ($found as $module => $update) { echo " * $module ($update[version])\n"; }
    echo "\n";
    if (empty($options['n'])) {
        // The default is YES, and a closed standard input takes the default.
        echo " Install the updates? (yes/no) [yes]:\n > ";
        $said = fgets(STDIN);
        if ($said !== false && trim($said) !== '' && stripos(trim($said), 'y') !== 0) { echo "\n"; return 0; }
    }
    TwinUpdate::install($found);
    echo "\nModules are updated.\n";
    return 0;
}
