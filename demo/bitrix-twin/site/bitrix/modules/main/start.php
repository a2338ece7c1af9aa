<?php
// The kernel. Every entry point comes here, and dbconn.php is the first of the site's own files that is read.
if (empty($_SERVER['DOCUMENT_ROOT'])) { $_SERVER['DOCUMENT_ROOT'] = dirname(dirname(dirname(__DIR__))); }
require_once $_SERVER['DOCUMENT_ROOT'] . '/bitrix/php_interface/dbconn.php';
require_once __DIR__ . '/classes/general/version.php';
require_once __DIR__ . '/lib/application.php';
foreach (array('catalog', 'sale') as $module) { require_once $_SERVER['DOCUMENT_ROOT'] . "/bitrix/modules/$module/include.php"; }
Twin::start();
