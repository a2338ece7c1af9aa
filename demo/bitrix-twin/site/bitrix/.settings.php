<?php
// Values may be expressions: nobody may parse this file.
return array(
    'utf_mode' => array('value' => true, 'readonly' => true),
    'cache' => array('value' => array('type' => 'files')),
    'session' => array('value' => array('mode' => 'default', 'handlers' => array('general' => array('type' => 'database')))),
    'exception_handling' => array('value' => array('debug' => false, 'log' => array('settings' => array('file' => 'bitrix/modules/error.log', 'log_size' => 1000000)))),
    'connections' => array('value' => array('default' => array(
        'className' => '\\Bitrix\\Main\\DB\\MysqliConnection', 'host' => 'local' . 'host', 'database' => 'shop', 'login' => 'shop',
        'password' => 'demo-Only-it\'s-a-' . chr(92) . '-password', 'options' => 2.0,
    )), 'readonly' => true),
    'smtp' => array('value' => array('enabled' => true, 'debug' => false), 'readonly' => false),
);
