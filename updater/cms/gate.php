<?php
// What every CMS's gate does, put in at %GATE% of its own file. It answers 503 by itself and ends. Two requests pass: one whose cookie
// hashes to the content of the token file (read each time: opcache would keep a literal alive), and this run's own CLI.
if (!(PHP_SAPI === 'cli' && getenv('UPDATER_RUN'))) {
    $updater_expected = trim((string) @file_get_contents(%ROOT% . '/.updater-gate-token'));
    $updater_cookie = isset($_COOKIE['updater_bypass']) ? $_COOKIE['updater_bypass'] : '';
    if (strlen($updater_expected) !== 64 || !is_string($updater_cookie) || !hash_equals($updater_expected, hash('sha256', $updater_cookie))) {
        define('UPDATER_GATE_CLOSED', true);
        // Who was refused, for the report: a payment's callback must not be missed. r+ never makes the file.
        $updater_refused = PHP_SAPI === 'cli' ? false : @fopen(%ROOT% . '/.updater-gate-refused.php', 'r+');
        if ($updater_refused && flock($updater_refused, LOCK_EX) && fseek($updater_refused, 0, SEEK_END) === 0 && ftell($updater_refused) < 65536) {
            $updater_line = array(time());
            foreach (array('REQUEST_METHOD', 'REQUEST_URI', 'REMOTE_ADDR') as $updater_name) {
                $updater_line[] = isset($_SERVER[$updater_name]) ? substr(preg_replace('/[^\x21-\x7e]/', '?', $_SERVER[$updater_name]), 0, 500) : '';
            }
            fwrite($updater_refused, implode("\t", $updater_line) . "\n");
            fclose($updater_refused);
        }
        while (ob_get_level() > 0) { ob_end_clean(); }
        if (PHP_SAPI === 'cli') {
            // php://stderr: the constant STDERR does not exist in a script that is read from stdin
            file_put_contents('php://stderr', "The site is being updated and closed for a moment.\n");
            exit(75);
        }
        header((isset($_SERVER['SERVER_PROTOCOL']) ? $_SERVER['SERVER_PROTOCOL'] : 'HTTP/1.1') . ' 503 Service Unavailable', true, 503);
        header('Retry-After: 60');
        header('Cache-Control: no-store, no-cache, must-revalidate, max-age=0');
        header('X-Robots-Tag: noindex');
        $updater_accept = isset($_SERVER['HTTP_ACCEPT']) ? $_SERVER['HTTP_ACCEPT'] : '';
        if (strpos($updater_accept, 'application/json') !== false && strpos($updater_accept, 'text/html') === false) {
            header('Content-Type: application/json; charset=utf-8');
            $updater_said = 'The site is being updated. Please try again in a minute.';
            echo json_encode(array('code' => 'maintenance', 'message' => $updater_said, 'error' => $updater_said, 'data' => array('status' => 503)));
            exit;
        }
        header('Content-Type: text/html; charset=utf-8');
        echo '<!DOCTYPE html>
<html lang="ru"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>Обновляем сайт · Back in a minute</title>
<style>body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;background:#f6f7f9;color:#1f2933;font:18px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
main{max-width:30rem;margin:1.5rem;padding:2.5rem;background:#fff;border-radius:12px;box-shadow:0 2px 16px rgba(31,41,51,.08);text-align:center}
h1{margin:0 0 .5rem;font-size:1.5rem}p{margin:0 0 1rem}[lang=en]{color:#52606d;font-size:1rem}</style></head>
<body><main><h1>Обновляем сайт</h1><p>Вернёмся через минуту. Ваши заказы и корзина сохранены.</p>
<div lang="en"><p><strong>We are updating the site.</strong><br>Back in a minute. Your orders and your cart are safe.</p></div></main></body></html>';
        exit;
    }
}
