<?php
// WordPress core includes this file at every entry point (wp_maintenance() in wp-load.php's chain) before plugins load. It answers
// by itself, so that neither a plugin's maintenance page nor core's ten minutes decide. $upgrading = 0 tells WordPress that
// maintenance is over, for this request only.
$upgrading = 0;
if (defined('UPDATER_GATE_CLOSED')) {
    $upgrading = time(); // core's shutdown handler includes this file again after the answer below: still closed, nothing to add
    return;
}
%GATE%
