<?php
require_once __DIR__ . '/../start.php';
