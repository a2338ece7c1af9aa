<?php
return '<p class="gift">We wrap it as a gift, free of charge.</p>';
