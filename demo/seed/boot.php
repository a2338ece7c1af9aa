<?php
/** WordPress from the command line, as if shop.example had been asked for. */
$_SERVER['HTTP_HOST']   = 'shop.example';
$_SERVER['HTTPS']       = 'on';
$_SERVER['REQUEST_URI'] = '/';
define( 'DOCROOT', '/var/www/shop.example/public' );
