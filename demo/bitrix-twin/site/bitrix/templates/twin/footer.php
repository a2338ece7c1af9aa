</main><footer><?= AcmeBanner::show() ?></footer></body></html>
