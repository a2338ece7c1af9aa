<?php
$_["error_filename"] = "error.log";
