<?php
/** Pictures, six products, pages, menu and footer. */
require __DIR__ . '/boot.php';
require DOCROOT . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/image.php';
require __DIR__ . '/pictures.php';

/** Put a picture into the media library and return its id. */
function picture( GdImage $image, string $name, string $alt, string $caption = '' ): int {
	$upload = wp_upload_dir( '2024/09' );
	$file   = $upload['path'] . "/$name.jpg";
	imagejpeg( $image, $file, 86 );
	$id = wp_insert_attachment(
		array(
			'post_title'     => $alt,
			'post_excerpt'   => $caption,
			'post_mime_type' => 'image/jpeg',
			'post_date'      => '2024-09-01 10:00:00',
		),
		$file
	);
	wp_update_attachment_metadata( $id, wp_generate_attachment_metadata( $id, $file ) );
	update_post_meta( $id, '_wp_attachment_image_alt', $alt );
	return $id;
}

/** A page; its blocks as written. */
function page( string $slug, string $title, string $content ): int {
	return wp_insert_post(
		array(
			'post_type'      => 'page',
			'post_status'    => 'publish',
			'post_name'      => $slug,
			'post_title'     => $title,
			'post_content'   => $content,
			'post_author'    => 1,
			'post_date'      => '2024-09-01 10:00:00',
			'comment_status' => 'closed',
		)
	);
}

$products = array(
	array( 'samovar-tula', 'samovar', 'Samovar Tula, 3 l · Самовар «Тула»', 12490, 14, 'Brass, three litres, works from the mains or on pine cones. Латунный самовар на три литра.', 'A samovar from Tula warms a whole evening: it boils in a quarter of an hour and keeps the water hot until the last cup. Самовар кипит за пятнадцать минут и держит тепло до последней чашки.' ),
	array( 'nesting-doll', 'doll', 'Nesting doll, 7 pieces · Матрёшка семёновская', 2350, 40, 'Turned from lime wood and painted by hand. Липа, ручная роспись, семь кукол.', 'Each of the seven dolls has a face of its own. The smallest is the size of a bean. Самая маленькая — с фасолину.' ),
	array( 'gzhel-teapot', 'teapot', 'Gzhel teapot · Чайник «Гжель»', 3890, 22, 'Porcelain, one litre, cobalt under the glaze. Фарфор, кобальт, один литр.', 'White porcelain with the blue strokes of Gzhel. Safe in the dishwasher, better by hand. Можно мыть в посудомоечной машине, но лучше руками.' ),
	array( 'posad-shawl', 'shawl', 'Posad shawl · Платок павлопосадский', 5600, 18, 'Pure wool, 120 × 120 cm, with a silk fringe. Чистая шерсть, шёлковая бахрома.', 'The pattern «Зимний сад» was drawn in 1894 and is still printed from it. Узор «Зимний сад» печатают с 1894 года.' ),
	array( 'linden-honey', 'honey', 'Linden honey, 500 g · Мёд липовый', 790.5, 65, 'From Bashkortostan, this summer’s. Башкирский, этого лета.', 'Light, with a taste of mint. It sets by November, as honey should. К ноябрю густеет, как и положено мёду.' ),
	array( 'кружка-север', 'mug', 'Enamel mug “North” · Кружка «Север»', 640, 120, 'Half a litre, for the camp fire and the desk. Пол-литра, для костра и стола.', 'Steel with two layers of enamel. Falls without breaking. Не бьётся.' ),
);
foreach ( $products as $order => list( $slug, $motif, $title, $price, $stock, $excerpt, $content ) ) {
	$id = wp_insert_post(
		array(
			'post_type'    => 'product',
			'post_status'  => 'publish',
			'post_name'    => $slug,
			'post_title'   => $title,
			'post_excerpt' => $excerpt,
			'post_content' => "<!-- wp:paragraph --><p>$content</p><!-- /wp:paragraph -->",
			'post_author'  => 1,
			'menu_order'   => $order,
			'post_date'    => '2024-09-02 10:00:00',
			'meta_input'   => array(
				'_price'         => number_format( $price, 2, '.', '' ),
				'_regular_price' => number_format( $price, 2, '.', '' ),
				'_stock'         => $stock,
				'_stock_status'  => 'instock',
				'_manage_stock'  => 'yes',
				'_sku'           => sprintf( 'SK-%03d', 101 + $order ),
			),
		)
	);
	set_post_thumbnail( $id, picture( product_picture( $motif ), $motif, $title ) );
}

$gallery = array();
foreach ( array(
	'evening' => 'Tea in the evening · Вечерний чай',
	'winter'  => 'Winter gifts · Зимние подарки',
	'summer'  => 'At the dacha · На даче',
) as $scene => $caption ) {
	$gallery[] = picture( scene_picture( $scene ), $scene, $caption, $caption );
}

$paragraph = static fn( string $text ): string => "<!-- wp:paragraph --><p>$text</p><!-- /wp:paragraph -->";
$shortcode = static fn( string $code ): string => "<!-- wp:shortcode -->[$code]<!-- /wp:shortcode -->";

$home = page(
	'home',
	'Everything for tea · Всё для чая',
	$shortcode( 'demo_gallery ids="' . implode( ',', $gallery ) . '"' )
	. $paragraph( 'Samovars, porcelain and honey from people we know by name. Самовары, фарфор и мёд от мастеров, которых мы знаем по имени.' )
	. $shortcode( 'demo_shop_featured' )
);
$shop  = page( 'shop', 'Shop · Каталог', $shortcode( 'demo_shop_catalogue' ) );
$cart  = page( 'cart', 'Cart · Корзина', $shortcode( 'demo_shop_cart' ) );
page( 'checkout', 'Checkout · Оформление заказа', $shortcode( 'demo_shop_checkout' ) );
$about = page(
	'about',
	'About us · О нас',
	$paragraph( 'Samovar &amp; Co is a small shop in Tula. We began in 2011 with one samovar and a table at the fair. Мы начинали в 2011 году с одного самовара и стола на ярмарке.' )
	. $paragraph( 'Write to Ольга at hello@samovar-i-ko.example or call +7 4872 55-01-20, from ten to seven.' )
	. $paragraph( 'We send parcels every weekday: by courier within Tula and Moscow, by post everywhere else. Посылки уходят каждый будний день.' )
);
$blog  = page( 'blog', 'Blog · Блог', '' );
wp_delete_post( 2, true ); // WordPress's sample page

update_option( 'show_on_front', 'page' );
update_option( 'page_on_front', $home );
update_option( 'page_for_posts', $blog );
update_option( 'posts_per_page', 8 );

$menu = wp_create_nav_menu( 'Main' );
foreach ( array(
	$shop  => 'Shop',
	$blog  => 'Blog',
	$about => 'About',
	$cart  => 'Cart · Корзина',
) as $page_id => $label ) {
	wp_update_nav_menu_item(
		$menu,
		0,
		array(
			'menu-item-title'     => $label,
			'menu-item-object'    => 'page',
			'menu-item-object-id' => $page_id,
			'menu-item-type'      => 'post_type',
			'menu-item-status'    => 'publish',
		)
	);
}
set_theme_mod( 'nav_menu_locations', array( 'primary' => $menu ) );

update_option(
	'widget_block',
	array(
		2              => array( 'content' => $paragraph( '<strong>Samovar &amp; Co · Самовар и Ко</strong><br>Тула, ул. Металлистов, 12' ) ),
		3              => array( 'content' => $paragraph( 'Delivery to all of Russia.<br>Доставка по всей России.' ) ),
		'_multiwidget' => 1,
	)
);
update_option(
	'sidebars_widgets',
	array(
		'wp_inactive_widgets' => array(),
		'sidebar-1'           => array( 'block-2', 'block-3' ),
		'array_version'       => 3,
	)
);
flush_rewrite_rules();
echo wp_count_posts( 'product' )->publish, " products\n";
