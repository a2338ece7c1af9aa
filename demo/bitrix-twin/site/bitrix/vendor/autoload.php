<?php
// Stands for symfony/console, which an installation may lack.
define('TWIN_SYMFONY_CONSOLE', true);
