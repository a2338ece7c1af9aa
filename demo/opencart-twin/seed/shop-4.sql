INSERT INTO ocx_extension (extension, type, code) VALUES ('opencart', 'payment', 'cod'), ('gift', 'module', 'gift');
CREATE TABLE ocx_extension_install (extension_install_id INT AUTO_INCREMENT PRIMARY KEY, extension_id INT NOT NULL, extension_download_id INT NOT NULL, name VARCHAR(128) NOT NULL, code VARCHAR(255) NOT NULL, version VARCHAR(255) NOT NULL, author VARCHAR(255) NOT NULL, link VARCHAR(255) NOT NULL, status TINYINT NOT NULL, date_added DATETIME NOT NULL);
INSERT INTO ocx_extension_install VALUES (1, 0, 0, 'Gift wrap', 'gift', '1.0', 'The twin', 'https://shop.example/', 1, '2024-01-01 00:00:00');
CREATE TABLE ocx_extension_path (extension_path_id INT AUTO_INCREMENT PRIMARY KEY, extension_install_id INT NOT NULL, path VARCHAR(255) NOT NULL);
INSERT INTO ocx_extension_path (extension_install_id, path) VALUES (1, 'gift'), (1, 'gift/catalog'), (1, 'gift/catalog/product.php');
CREATE TABLE ocx_cron (cron_id INT AUTO_INCREMENT PRIMARY KEY, code VARCHAR(128) NOT NULL, cycle VARCHAR(12) NOT NULL, action TEXT NOT NULL, status TINYINT NOT NULL);
INSERT INTO ocx_cron VALUES (1, 'currency', 'day', 'cron/currency', 1), (2, 'gdpr', 'day', 'cron/gdpr', 1);
CREATE TABLE ocx_event (event_id INT AUTO_INCREMENT PRIMARY KEY, `code` VARCHAR(128) NOT NULL, `trigger` TEXT NOT NULL, `action` TEXT NOT NULL, status TINYINT NOT NULL) DEFAULT CHARSET utf8mb4;
INSERT INTO ocx_event (`code`, `trigger`, `action`, status) VALUES ('mail_order', 'catalog/model/checkout/order.addHistory/before', 'mail/order', 1);
