<?php
require_once $_SERVER['DOCUMENT_ROOT'] . '/bitrix/modules/acme.banner/include.php';
$menu = '';
foreach (Twin::rows("SELECT * FROM b_iblock_section WHERE ACTIVE = 'Y' ORDER BY ID") as $row) { $menu .= "<a href=\"/catalog/?SECTION_ID=$row[ID]\">$row[NAME]</a> "; }
$title = isset($title) ? $title : 'Чай';
?><!DOCTYPE html>
<html lang="ru"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<title><?= $title ?></title><link rel="stylesheet" href="/bitrix/templates/twin/styles.css"></head><body>
<header><a href="/">Чай и посуда</a> <nav id="menu"><?= $menu ?><a href="/personal/cart/">Корзина</a> <a href="/contacts/">Контакты</a></nav></header>
<main><h1 id="pagetitle"><?= $title ?></h1>
