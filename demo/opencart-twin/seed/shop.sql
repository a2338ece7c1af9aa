-- A shop of six products. All names, keys and people are made up.
CREATE TABLE ocx_setting (setting_id INT AUTO_INCREMENT PRIMARY KEY, store_id INT NOT NULL DEFAULT 0, `code` VARCHAR(128) NOT NULL, `key` VARCHAR(128) NOT NULL, `value` TEXT NOT NULL, serialized TINYINT NOT NULL DEFAULT 0) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_setting (`code`, `key`, `value`) VALUES
 ('config', 'config_name', 'The Tea Twin'), ('config', 'config_email', 'owner@shop.example'), ('config', 'config_maintenance', '0'), ('config', 'config_error_log', '1'), ('config', 'config_error_filename', 'shop-errors.log'),
 ('config', 'config_mail_engine', 'smtp'), ('config', 'config_mail_smtp_hostname', 'mail.partner.example'), ('config', 'config_mail_smtp_password', 'demo-smtp'),
 ('payment_cod', 'payment_cod_status', '1'), ('payment_card', 'payment_card_status', '1'), ('payment_card', 'payment_card_key', 'demo-live-key'),
 ('shipping_flat', 'shipping_flat_status', '1');
CREATE TABLE ocx_store (store_id INT PRIMARY KEY, name VARCHAR(64) NOT NULL, url VARCHAR(255) NOT NULL) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_store VALUES (1, 'Second store', 'https://www.shop.example/');
CREATE TABLE ocx_product (product_id INT AUTO_INCREMENT PRIMARY KEY, model VARCHAR(64) NOT NULL, sku VARCHAR(64) NOT NULL, quantity INT NOT NULL, price DECIMAL(15,4) NOT NULL, status TINYINT NOT NULL) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_product (model, sku, quantity, price, status) VALUES
 ('TEA-1', 'SKU-001', 500, 12.5, 1), ('TEA-2', 'SKU-002', 400, 9, 1), ('POT-1', 'SKU-003', 50, 49, 1), ('CUP-1', 'SKU-004', 120, 7.25, 1), ('CUP-2', '', 80, 8, 1), ('OLD-1', 'SKU-006', 0, 3, 0);
CREATE TABLE ocx_product_description (product_id INT NOT NULL, language_id INT NOT NULL, name VARCHAR(255) NOT NULL, PRIMARY KEY (product_id, language_id)) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_product_description VALUES (1, 1, 'Green tea'), (2, 1, 'Black tea'), (3, 1, 'Teapot'), (4, 1, 'Cup'), (5, 1, 'Saucer'), (6, 1, 'Old tin');
CREATE TABLE ocx_product_option_value (product_option_value_id INT AUTO_INCREMENT PRIMARY KEY, product_id INT NOT NULL, name VARCHAR(128) NOT NULL, price DECIMAL(15,4) NOT NULL) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_product_option_value (product_id, name, price) VALUES (1, '100 g', 0), (1, '250 g', 15);
CREATE TABLE ocx_category (category_id INT PRIMARY KEY, status TINYINT NOT NULL);
INSERT INTO ocx_category VALUES (1, 1), (2, 1);
CREATE TABLE ocx_category_description (category_id INT, language_id INT, name VARCHAR(255) NOT NULL, PRIMARY KEY (category_id, language_id)) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_category_description VALUES (1, 1, 'Teas'), (2, 1, 'Ware');
CREATE TABLE ocx_product_to_category (product_id INT, category_id INT, PRIMARY KEY (product_id, category_id));
INSERT INTO ocx_product_to_category VALUES (1, 1), (2, 1), (3, 2), (4, 2), (5, 2);
CREATE TABLE ocx_order (order_id INT AUTO_INCREMENT PRIMARY KEY, store_id INT NOT NULL, firstname VARCHAR(32) NOT NULL, lastname VARCHAR(32) NOT NULL, email VARCHAR(96) NOT NULL, telephone VARCHAR(32) NOT NULL DEFAULT '', shipping_address_1 VARCHAR(128) NOT NULL DEFAULT '', total DECIMAL(15,4) NOT NULL, currency_code VARCHAR(3) NOT NULL DEFAULT 'USD', currency_value DECIMAL(15,8) NOT NULL DEFAULT 1, order_status_id INT NOT NULL, date_added DATETIME NOT NULL) ENGINE=MyISAM DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_order (store_id, firstname, lastname, email, telephone, shipping_address_1, total, order_status_id, date_added) VALUES
 (0, 'Nobody', 'Real', 'nobody.real@people.example', '+1 555 0100', '1 Made-up Street', 54.0000, 5, '2024-03-01 10:00:00'), (0, 'Also', 'Nobody', 'also.nobody@people.example', '+1 555 0101', '2 Made-up Street', 14.0000, 5, '2024-03-02 11:00:00');
CREATE TABLE ocx_order_total (order_total_id INT AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL, code VARCHAR(32) NOT NULL, title VARCHAR(255) NOT NULL, value DECIMAL(15,4) NOT NULL);
CREATE TABLE ocx_order_product (order_product_id INT AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL, product_id INT NOT NULL, quantity INT NOT NULL, price DECIMAL(15,4) NOT NULL);
CREATE TABLE ocx_session (session_id VARCHAR(32) PRIMARY KEY, data TEXT NOT NULL, expire DATETIME NOT NULL) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_session VALUES ('0123456789abcdef0123456789', '{}', '2024-01-01 00:00:00');
CREATE TABLE ocx_api_session (api_session_id INT AUTO_INCREMENT PRIMARY KEY, session_id VARCHAR(32) NOT NULL);
CREATE TABLE ocx_user (user_id INT AUTO_INCREMENT PRIMARY KEY, user_group_id INT NOT NULL, username VARCHAR(20) NOT NULL, firstname VARCHAR(32) NOT NULL, lastname VARCHAR(32) NOT NULL, email VARCHAR(96) NOT NULL, status TINYINT NOT NULL) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_user VALUES (1, 1, 'owner', 'Owner', 'Demo', 'owner@shop.example', 1);
CREATE TABLE ocx_country (country_id INT PRIMARY KEY, name VARCHAR(128) NOT NULL) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_country VALUES (222, 'United Kingdom'), (223, 'United States');
CREATE TABLE ocx_zone (zone_id INT PRIMARY KEY, country_id INT NOT NULL, name VARCHAR(128) NOT NULL) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_zone VALUES (3513, 222, 'Aberdeen'), (3514, 222, 'Angus'), (3613, 223, 'Alabama');
CREATE TABLE ocx_extension (extension_id INT AUTO_INCREMENT PRIMARY KEY, extension VARCHAR(255) NOT NULL DEFAULT '', type VARCHAR(32) NOT NULL, code VARCHAR(128) NOT NULL);
