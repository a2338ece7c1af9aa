<?php
if (!Twin::rows("SHOW COLUMNS FROM b_sale_order LIKE 'IS_SYNC_B24'")) { Twin::rows("ALTER TABLE b_sale_order ADD COLUMN IS_SYNC_B24 CHAR(1) NOT NULL DEFAULT 'N'"); }
Twin::set('sale', 'default_currency_step', '0.01');
