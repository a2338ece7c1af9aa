ALTER TABLE `oc_order` ADD tracking VARCHAR(64);
