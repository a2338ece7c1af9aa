<?php
define('VERSION', '%VERSION%');
if (is_file('config.php')) {
    require_once 'config.php';
}
if (!defined('DIR_APPLICATION')) {
    header('Location: ../install/index.php');
    exit;
}
echo '<!DOCTYPE html><html lang="en"><title>Administration</title><body><form id="form-login">Administration ' . VERSION . ' of ' . HTTP_CATALOG . '</form></body></html>';
