<?php
// A server like the vendor's. `mode` (a file) makes it answer badly; every request is written down in requests.log.
$mode = trim((string) @file_get_contents(__DIR__ . '/mode'));
$copy = isset($_SERVER['HTTP_X_DEVSRV_CMS']) && $_SERVER['HTTP_X_DEVSRV_CMS'] === 'Bitrix';
file_put_contents(__DIR__ . '/requests.log', json_encode(array('what' => $_POST['what'], 'development' => $copy, 'server_name' => $_POST['server_name'], 'module' => isset($_POST['module']) ? $_POST['module'] : '')) . "\n", FILE_APPEND);

// Two installations to a key, a public one and one for development. The public one has to bring the code that it was given last: another
// one is a second installation, or one that was put back. Whether the vendor asks the same of the other is not known.
$codes = json_decode((string) @file_get_contents(__DIR__ . '/codes.json'), true) ?: array();
$kind = $copy ? 'development' : 'public';
$known = isset($codes[$kind]) ? $codes[$kind] : '';
if ($mode === 'wrong code' || $_POST['key'] !== md5('TWIN-NL-0123456789ABCDEF') || (!$copy && $known !== '' && $known !== $_POST['crc'])) {
    exit(json_encode(array('error' => 'ERROR_WRONG_CODE', 'text' => 'The licence key is used by another installation.')));
}
if ($mode === 'time-out') { sleep(30); exit; }
if ($_POST['what'] === 'load') {
    $file = __DIR__ . '/updates/' . basename($_POST['module']) . '/' . basename($_POST['version']) . '.zip';
    $archive = file_get_contents($file);
    if ($_POST['module'] === 'sale' && $mode === 'sale is slow') { sleep(60); }
    if ($_POST['module'] === 'sale' && ($mode === 'sale is rebuilt' || $mode === 'sale writes beside')) {
        // The same version with other files in it.
        copy($file, "$file.other");
        $zip = new ZipArchive();
        $zip->open("$file.other");
        $zip->addFromString($mode === 'sale is rebuilt' ? 'bitrix/modules/sale/include.php' : 'bitrix/admin/sale_new.php', "<?php // built anew\n");
        $zip->close();
        $archive = file_get_contents("$file.other");
    }
    exit($mode === 'half an archive' || ($mode === 'half of sale' && $_POST['module'] === 'sale') ? substr($archive, 0, (int) (strlen($archive) / 2)) : $archive);
}
$codes[$kind] = bin2hex(random_bytes(8));
file_put_contents(__DIR__ . '/codes.json', json_encode($codes));
$modules = array(
    'main' => array('25.100.0' => array()),
    'catalog' => array('25.100.0' => array()),
    'sale' => array('25.100.0' => array('catalog' => '25.100.0')),
);
foreach (explode(' ', $mode) as $more) { if (preg_match('/^25\.[23]00\.0$/', $more)) { $modules['sale'][$more] = array('catalog' => '25.100.0'); } }
if ($mode === 'sale is withdrawn') { $modules['sale'] = array('25.200.0' => array('catalog' => '25.100.0')); }
echo json_encode(array('crc' => $codes[$kind], 'client' => $mode === 'restart' && $_POST['client'] < 2, 'modules' => $modules));
