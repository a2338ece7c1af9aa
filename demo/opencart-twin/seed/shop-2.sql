-- 2.3 differs from 3.0 in this: no list of installed extensions, payment methods and mail under other keys, and tables of another time.
SET NAMES utf8mb4;
DROP TABLE ocx_extension_install, ocx_extension_path;
UPDATE ocx_setting SET `code` = REPLACE(`code`, 'payment_', ''), `key` = REPLACE(`key`, 'payment_', '') WHERE `code` LIKE 'payment%';
UPDATE ocx_setting SET `key` = 'config_mail_protocol' WHERE `key` = 'config_mail_engine';
INSERT INTO ocx_extension (type, code) VALUES ('payment', 'card');
ALTER TABLE ocx_product ENGINE=MyISAM;
ALTER TABLE ocx_product_description CONVERT TO CHARACTER SET cp1251, ENGINE=MyISAM;
UPDATE ocx_product_description SET name = 'Чёрный чай' WHERE product_id = 2;
