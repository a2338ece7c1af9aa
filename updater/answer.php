<?php
// The frame around every script that updater feeds to a server's PHP (updater/shell.py): JSON in, one JSON answer out.
error_reporting(E_ALL);
ini_set('display_errors', 'stderr');
set_time_limit(0);
ignore_user_abort(true);
function answer($value) {
    while (ob_get_level() > 0) { ob_end_clean(); }
    echo "\n--updater-answer--\n", json_encode($value, JSON_UNESCAPED_UNICODE | JSON_PARTIAL_OUTPUT_ON_ERROR), "\n--updater-end--\n";
    exit(isset($value['error']) ? 1 : 0);
}
function fail($what, $cause = '', $hint = '') {
    answer(array('error' => $what, 'cause' => $cause, 'hint' => $hint));
}
