INSERT INTO ocx_setting (`code`, `key`, `value`) VALUES ('theme_default', 'theme_default_product_limit', '15');
INSERT INTO ocx_extension (extension, type, code) VALUES ('', 'payment', 'cod');
CREATE TABLE ocx_extension_install (extension_install_id INT AUTO_INCREMENT PRIMARY KEY, extension_download_id INT NOT NULL, filename VARCHAR(255) NOT NULL, date_added DATETIME NOT NULL) ENGINE=MyISAM;
INSERT INTO ocx_extension_install VALUES (1, 0, 'ribbon-1.0.ocmod.zip', '2024-01-01 00:00:00');
CREATE TABLE ocx_extension_path (extension_path_id INT AUTO_INCREMENT PRIMARY KEY, extension_install_id INT NOT NULL, path VARCHAR(255) NOT NULL, date_added DATETIME NOT NULL) ENGINE=MyISAM;
INSERT INTO ocx_extension_path (extension_install_id, path, date_added) VALUES (1, 'catalog/view/theme/ribbon.css', '2024-01-01 00:00:00');
CREATE TABLE ocx_modification (modification_id INT AUTO_INCREMENT PRIMARY KEY, extension_install_id INT NOT NULL, name VARCHAR(64) NOT NULL, code VARCHAR(64) NOT NULL, author VARCHAR(64) NOT NULL, version VARCHAR(32) NOT NULL, link VARCHAR(255) NOT NULL, xml MEDIUMTEXT NOT NULL, status TINYINT NOT NULL, date_added DATETIME NOT NULL) ENGINE=MyISAM DEFAULT CHARSET utf8mb4;
