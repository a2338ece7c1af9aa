<?php
// The next release of main no longer holds this file.
