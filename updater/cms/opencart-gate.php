<?php
// This file stands in for a config.php of OpenCart, which every entry point reads first; the site's own is kept beside it.
// opcache must not keep this one: the moment it is taken away, the original has its name again.
if (function_exists('opcache_invalidate')) { @opcache_invalidate(__FILE__, true); }
%GATE%
require __DIR__ . '/config.updater-kept.php';
