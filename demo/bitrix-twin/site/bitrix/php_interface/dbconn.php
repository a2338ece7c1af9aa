<?php
define('BX_CRONTAB_SUPPORT', false);
define('BX_UTF', true);
define('BX_FILE_PERMISSIONS', 0644);
define('BX_DIR_PERMISSIONS', 0755);
$DBType = 'mysql';
$DBHost = 'localhost';
$DBLogin = 'shop';
$DBPassword = 'demo-Only-it\'s-a-' . chr(92) . '-password';
$DBName = 'shop';
@umask(~(BX_FILE_PERMISSIONS | BX_DIR_PERMISSIONS) & 0777);
