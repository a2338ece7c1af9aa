<?php
require $_SERVER['DOCUMENT_ROOT'] . '/bitrix/templates/twin/footer.php';
Twin::epilog();
