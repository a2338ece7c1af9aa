<?php
define("SM_VERSION", "24.0.0"); define("SM_VERSION_DATE", "2024-01-01 12:00:00");
