<?php
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/modules/main/include/prolog_before.php';
echo '<!DOCTYPE html><html lang="ru"><title>Авторизация</title><body><form name="form_auth">Административная часть ' . SM_VERSION . '</form></body></html>';
