<?php
require __DIR__ . '/config.php';
echo "cron of " . HTTP_SERVER . "\n";
