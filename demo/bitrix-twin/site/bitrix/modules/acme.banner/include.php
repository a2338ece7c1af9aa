<?php
class AcmeBanner
{
    public static function show() { return '<p class="banner">Скидки не ждут</p>'; }
}
