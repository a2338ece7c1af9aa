<?php
/** What some years of trade leave behind: posts, comments, customers and orders. The same in every image. */
require __DIR__ . '/boot.php';
require DOCROOT . '/wp-load.php';
mt_srand( 20240901 );

const PEOPLE = array(
	array( 'Анна', 'Соколова', 'anna.sokolova@pochta.example', '+7 916 555-01-23' ),
	array( 'Иван', 'Петров', 'i.petrov@zavod-tula.example', '8 (4872) 55-12-34' ),
	array( 'Мария', 'Кузнецова', 'masha.kuznetsova87@pochta.example', '+79035550166' ),
	array( 'Дмитрий', 'Орлов', 'd.orlov@mailbox.example', '8-926-555-43-21' ),
	array( 'Елена', 'Белова', 'elena_belova@pochta.example', '+7 (921) 555-77-08' ),
	array( 'Сергей', 'Морозов', 's.morozov@mailbox.example', '89175550142' ),
	array( 'Ольга', 'Лебедева', 'olga.lebedeva@pochta.example', '+7 495 555-09-10' ),
	array( 'Thomas', 'Weber', 'thomas.weber@mailbox.example', '+49 30 5550 1234' ),
	array( 'Emily', 'Clarke', 'emily.clarke@mailbox.example', '+44 20 7946 0958' ),
	array( 'Юлия', 'Щербакова', 'yu.scherbakova@pochta.example', '+7 905 555-31-13' ),
);
const ADDRESSES = array(
	'300041, Тула, ул. Металлистов, д. 5, кв. 17',
	'101000, Москва, Чистопрудный бул., д. 12, кв. 4',
	'191186, Санкт-Петербург, наб. реки Мойки, д. 32, кв. 9',
	'620014, Екатеринбург, ул. Малышева, д. 51, кв. 203',
	'420111, Казань, ул. Баумана, д. 44',
	'10115, Berlin, Invalidenstraße 116',
);
const NOTES = array(
	'',
	'',
	'Позвоните заранее: +7 916 555-01-24, это телефон мужа.',
	'Please leave the parcel with the neighbour, flat 18.',
	'Чек пришлите на buh@zavod-tula.example, пожалуйста.',
	'',
	'Подарок, цену не указывать.',
);
const TOPICS = array(
	array( 'How to clean a samovar', 'Как чистить самовар' ),
	array( 'Which tea for which pot', 'Какой чай в какой чайник' ),
	array( 'A visit to the painters of Semyonov', 'В гостях у мастеров Семёнова' ),
	array( 'Honey: the year’s harvest', 'Мёд: урожай этого года' ),
	array( 'Blue on white: how Gzhel is painted', 'Синее на белом: как пишут гжель' ),
	array( 'Wool and silk: caring for a shawl', 'Шерсть и шёлк: как беречь платок' ),
	array( 'Ten recipes for a cold evening', 'Десять рецептов для холодного вечера' ),
	array( 'Parcels before the holidays', 'Посылки перед праздниками' ),
);
const SENTENCES = array(
	'Water matters more than people think: soft water makes tea bright, hard water makes it dull.',
	'Сначала прогрейте чайник, потом уже заваривайте.',
	'The workshop opens at eight, and by nine the kettle is on.',
	'Мастер говорит, что рука помнит узор лучше, чем глаз.',
	'We tried it for a month and wrote down what we saw.',
	'Хороший мёд не бывает одинаковым два года подряд.',
	'A pinch of salt and a soft cloth do more than any chemistry.',
	'Не спешите: остывший самовар легче отмыть.',
	'If you have questions, ask in the comments: we read all of them.',
	'Спасибо всем, кто прислал свои рецепты.',
);
const REMARKS = array(
	'Thank you, this worked at the first try!',
	'Спасибо, очень полезно. Буду пробовать.',
	'А где купить такой же? В магазине не нашла.',
	'My grandmother did it the same way.',
	'Привет из Казани! Ждём новых статей.',
	'Is the mug safe on an induction stove?',
);

/** One of these, chosen by the seeded generator. */
function pick( array $from ) {
	return $from[ mt_rand( 0, count( $from ) - 1 ) ];
}

wp_defer_comment_counting( true );
wp_delete_post( 1, true ); // WordPress's “Hello world”
$posts = array();
for ( $n = 0; $n < 200; $n++ ) {
	list( $english, $russian ) = TOPICS[ $n % count( TOPICS ) ];
	$paragraphs                = '';
	for ( $p = 0; $p < 3; $p++ ) {
		$paragraphs .= '<!-- wp:paragraph --><p>' . pick( SENTENCES ) . ' ' . pick( SENTENCES ) . ' ' . pick( SENTENCES ) . '</p><!-- /wp:paragraph -->';
	}
	$posts[] = wp_insert_post(
		array(
			'post_status'  => 'publish',
			'post_title'   => sprintf( '%s · %s, %d', $english, $russian, $n + 1 ),
			'post_name'    => sanitize_title( $english ) . '-' . ( $n + 1 ),
			'post_content' => $paragraphs,
			'post_author'  => 1,
			'post_date'    => gmdate( 'Y-m-d H:i:s', strtotime( '2021-01-05 09:00:00 UTC' ) + $n * 7 * DAY_IN_SECONDS ),
		)
	);
}
for ( $n = 0; $n < 200; $n++ ) {
	list( $first, $last, $email ) = pick( PEOPLE );
	wp_insert_comment(
		array(
			'comment_post_ID'      => $posts[ $n ],
			'comment_author'       => "$first $last",
			'comment_author_email' => $email,
			'comment_author_IP'    => '203.0.113.' . mt_rand( 2, 250 ),
			'comment_content'      => pick( REMARKS ),
			'comment_approved'     => 1,
			'comment_date'         => gmdate( 'Y-m-d H:i:s', strtotime( '2021-01-06 12:00:00 UTC' ) + $n * 7 * DAY_IN_SECONDS ),
		)
	);
}
wp_defer_comment_counting( false );

foreach ( array_slice( PEOPLE, 0, 3 ) as $n => list( $first, $last, $email, $phone ) ) {
	wp_insert_user(
		array(
			'user_login'      => 'customer' . ( $n + 1 ),
			'user_pass'       => wp_generate_password(),
			'user_email'      => $email,
			'first_name'      => $first,
			'last_name'       => $last,
			'display_name'    => "$first $last",
			'role'            => 'subscriber',
			'user_registered' => '2024-09-0' . ( $n + 3 ) . ' 08:00:00',
			'meta_input'      => array( 'billing_phone' => $phone, 'billing_address_1' => ADDRESSES[ $n ] ),
		)
	);
}

global $wpdb;
$wpdb->query( 'ALTER TABLE ' . demo_shop_table( 'orders' ) . ' AUTO_INCREMENT = 1001' );
$products = demo_shop_products();
$methods  = demo_shop_delivery_methods();
for ( $n = 0; $n < 30; $n++ ) {
	list( $first, $last, $email, $phone ) = pick( PEOPLE );
	$delivery = pick( array_keys( $methods ) );
	$lines    = array();
	$total    = $methods[ $delivery ]['price'];
	for ( $i = mt_rand( 1, 3 ); $i > 0; $i-- ) {
		$product  = pick( $products );
		$quantity = mt_rand( 1, 2 );
		$price    = demo_shop_price( $product->ID );
		$lines[]  = array( $product, $quantity, $price );
		$total   += $price * $quantity;
	}
	$wpdb->insert(
		demo_shop_table( 'orders' ),
		array(
			'order_key' => substr( hash( 'sha256', "order $n" ), 0, 24 ),
			'created'   => gmdate( 'Y-m-d H:i:s', strtotime( '2024-09-05 10:30:00 UTC' ) + $n * 4 * DAY_IN_SECONDS + mt_rand( 0, 30000 ) ),
			'status'    => $n < 24 ? 'completed' : 'new',
			'name'      => "$first $last",
			'email'     => $email,
			'phone'     => $phone,
			'address'   => pick( ADDRESSES ),
			'delivery'  => $delivery,
			'payment'   => pick( array( 'cod', 'cod', 'bacs' ) ),
			'note'      => pick( NOTES ),
			'total'     => $total,
		)
	);
	$order_id = $wpdb->insert_id;
	foreach ( $lines as list( $product, $quantity, $price ) ) {
		$wpdb->insert(
			demo_shop_table( 'order_items' ),
			array(
				'order_id'   => $order_id,
				'product_id' => $product->ID,
				'name'       => $product->post_title,
				'quantity'   => $quantity,
				'price'      => $price,
			)
		);
	}
}

// Nothing of the filling is left to be done at the first visit.
delete_post_meta_by_key( '_encloseme' );
wp_clear_scheduled_hook( 'do_pings' );
flush_rewrite_rules();
printf( "%d posts, %d comments, %d orders\n", wp_count_posts()->publish, wp_count_comments()->approved, $n );
