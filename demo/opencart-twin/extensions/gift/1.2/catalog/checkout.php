<?php
return '<script>addEventListener("click", event => { if (event.target.id === "button-confirm") { event.stopImmediatePropagation(); undefinedGift.wrap(); } }, true)</script>';
