<?php
// 1.1: the same words, from a table of its own.
$words = array('product' => 'We wrap it as a gift, free of charge.');
return '<p class="gift">' . $words['product'] . '</p>';
