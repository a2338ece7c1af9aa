<?php
return gift_words_of_a_file_that_was_not_packed();
