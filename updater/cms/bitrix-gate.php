<?php
// This file stands in for bitrix/php_interface/dbconn.php, which the kernel reads before it knows its database; the site's own is kept
// beside it. opcache must not keep this one: the moment it is taken away, the original has its name again.
if (function_exists('opcache_invalidate')) { @opcache_invalidate(__FILE__, true); }
%GATE%
require __DIR__ . '/dbconn.updater-kept.php';
