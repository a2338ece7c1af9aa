<?php
@unlink($_SERVER['DOCUMENT_ROOT'] . '/bitrix/modules/main/classes/general/old_agent.php');
if (!Twin::rows("SHOW COLUMNS FROM b_event LIKE 'FILES'")) { Twin::rows('ALTER TABLE b_event ADD COLUMN FILES TEXT'); }
