<?php
// The installer: whoever opens it in a browser can upgrade or overwrite the shop. No site may keep it.
echo 'the installer is open';
