<?php
$arModuleVersion = array("VERSION" => "1.0.0", "VERSION_DATE" => "2024-01-01 12:00:00");
