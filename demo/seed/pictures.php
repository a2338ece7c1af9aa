<?php
/**
 * Pictures of things for sale, drawn with GD: no stock photos, and the same pixels in every image.
 *
 * Drawn three times as large and scaled down, which is how GD gets smooth edges.
 */

const SCALE = 3;

/** A canvas with a soft gradient from top to bottom. */
function canvas( int $width, int $height, array $top, array $bottom ): GdImage {
	$image = imagecreatetruecolor( $width * SCALE, $height * SCALE );
	for ( $y = 0; $y < $height * SCALE; $y++ ) {
		$share = $y / ( $height * SCALE );
		$mix   = array_map( static fn( $a, $b ) => (int) round( $a + ( $b - $a ) * $share ), $top, $bottom );
		imageline( $image, 0, $y, $width * SCALE, $y, imagecolorallocate( $image, ...$mix ) );
	}
	return $image;
}

function ink( GdImage $image, string $hex, int $alpha = 0 ): int {
	return imagecolorallocatealpha( $image, ...array_merge( array_map( 'hexdec', str_split( $hex, 2 ) ), array( $alpha ) ) );
}

function oval( GdImage $image, float $x, float $y, float $width, float $height, string $hex, int $alpha = 0 ): void {
	imagefilledellipse( $image, (int) ( $x * SCALE ), (int) ( $y * SCALE ), (int) ( $width * SCALE ), (int) ( $height * SCALE ), ink( $image, $hex, $alpha ) );
}

function box( GdImage $image, float $x1, float $y1, float $x2, float $y2, string $hex, int $alpha = 0 ): void {
	imagefilledrectangle( $image, (int) ( $x1 * SCALE ), (int) ( $y1 * SCALE ), (int) ( $x2 * SCALE ), (int) ( $y2 * SCALE ), ink( $image, $hex, $alpha ) );
}

/** A polygon; points as x, y, x, y, … */
function shape( GdImage $image, array $points, string $hex, int $alpha = 0 ): void {
	imagefilledpolygon( $image, array_map( static fn( $p ) => (int) ( $p * SCALE ), $points ), ink( $image, $hex, $alpha ) );
}

/** A ring: handles. */
function ring( GdImage $image, float $x, float $y, float $width, float $height, float $thick, string $hex ): void {
	for ( $t = 0; $t < $thick; $t += 0.25 ) {
		imageellipse( $image, (int) ( $x * SCALE ), (int) ( $y * SCALE ), (int) ( ( $width - $t ) * SCALE ), (int) ( ( $height - $t ) * SCALE ), ink( $image, $hex ) );
		imageellipse( $image, (int) ( $x * SCALE ) + 1, (int) ( $y * SCALE ), (int) ( ( $width - $t ) * SCALE ), (int) ( ( $height - $t ) * SCALE ), ink( $image, $hex ) );
	}
}

/** A flower of five petals. */
function flower( GdImage $image, float $x, float $y, float $size, string $petal, string $heart ): void {
	for ( $k = 0; $k < 5; $k++ ) {
		$angle = deg2rad( 72 * $k - 90 );
		oval( $image, $x + cos( $angle ) * $size * 0.5, $y + sin( $angle ) * $size * 0.5, $size * 0.62, $size * 0.62, $petal );
	}
	oval( $image, $x, $y, $size * 0.45, $size * 0.45, $heart );
}

function samovar( GdImage $i, float $x, float $y, float $k ): void {
	$p = static fn( array $points ) => array_map( static fn( $v, $n ) => 0 === $n % 2 ? $x + $v * $k : $y + $v * $k, $points, array_keys( $points ) );
	ring( $i, $x - 150 * $k, $y - 60 * $k, 110 * $k, 110 * $k, 22 * $k, '8a5a12' );
	ring( $i, $x + 150 * $k, $y - 60 * $k, 110 * $k, 110 * $k, 22 * $k, '8a5a12' );
	shape( $i, $p( array( -110, 230, 110, 230, 80, 150, -80, 150 ) ), 'a06a17' );
	box( $i, $x - 140 * $k, $y + 225 * $k, $x + 140 * $k, $y + 255 * $k, '7d5210' );
	oval( $i, $x, $y, 320 * $k, 330 * $k, 'd19a32' );
	oval( $i, $x - 50 * $k, $y - 20 * $k, 90 * $k, 240 * $k, 'f0cd7a', 50 );
	box( $i, $x - 120 * $k, $y - 178 * $k, $x + 120 * $k, $y - 140 * $k, 'a06a17' );
	shape( $i, $p( array( -60, -178, 60, -178, 44, -240, -44, -240 ) ), 'c08a28' );
	oval( $i, $x, $y - 245 * $k, 120 * $k, 34 * $k, '8a5a12' );
	shape( $i, $p( array( -20, 90, 20, 90, 30, 150, -30, 150 ) ), '7d5210' );
	box( $i, $x - 50 * $k, $y + 84 * $k, $x + 50 * $k, $y + 100 * $k, '5f3d0a' );
}

function doll( GdImage $i, float $x, float $y, float $k, string $coat, string $scarf ): void {
	oval( $i, $x, $y + 60 * $k, 260 * $k, 330 * $k, $coat );
	oval( $i, $x, $y - 120 * $k, 190 * $k, 200 * $k, $scarf );
	oval( $i, $x, $y - 112 * $k, 128 * $k, 136 * $k, 'f6d9bd' );
	oval( $i, $x, $y - 168 * $k, 110 * $k, 42 * $k, '5a3418' );
	oval( $i, $x - 26 * $k, $y - 116 * $k, 14 * $k, 18 * $k, '2b2622' );
	oval( $i, $x + 26 * $k, $y - 116 * $k, 14 * $k, 18 * $k, '2b2622' );
	oval( $i, $x - 40 * $k, $y - 88 * $k, 26 * $k, 20 * $k, 'e88f7c' );
	oval( $i, $x + 40 * $k, $y - 88 * $k, 26 * $k, 20 * $k, 'e88f7c' );
	oval( $i, $x, $y - 76 * $k, 26 * $k, 12 * $k, 'b3261e' );
	oval( $i, $x, $y + 80 * $k, 170 * $k, 210 * $k, 'fff3dc' );
	flower( $i, $x, $y + 80 * $k, 100 * $k, $scarf, 'f0b429' );
}

function teapot( GdImage $i, float $x, float $y, float $k ): void {
	ring( $i, $x + 170 * $k, $y, 170 * $k, 190 * $k, 30 * $k, 'e9eef5' );
	shape( $i, array( $x - 120 * $k, $y + 60 * $k, $x - 270 * $k, $y - 90 * $k, $x - 230 * $k, $y - 100 * $k, $x - 110 * $k, $y - 40 * $k ), 'e9eef5' );
	oval( $i, $x, $y + 20 * $k, 350 * $k, 300 * $k, 'fafcff' );
	oval( $i, $x, $y - 120 * $k, 180 * $k, 60 * $k, 'e1e9f4' );
	oval( $i, $x, $y - 152 * $k, 44 * $k, 44 * $k, '1f4fa3' );
	box( $i, $x - 90 * $k, $y + 158 * $k, $x + 90 * $k, $y + 176 * $k, '1f4fa3' );
	flower( $i, $x, $y + 20 * $k, 150 * $k, '2a62c4', 'dbe7fb' );
	flower( $i, $x - 110 * $k, $y + 50 * $k, 60 * $k, '6d97dd', '1f4fa3' );
	flower( $i, $x + 110 * $k, $y + 50 * $k, 60 * $k, '6d97dd', '1f4fa3' );
}

function shawl( GdImage $i, float $x, float $y, float $k ): void {
	for ( $n = -12; $n <= 12; $n++ ) {
		box( $i, $x + $n * 20 * $k - 2, $y + 200 * $k, $x + $n * 20 * $k + 2, $y + 250 * $k, '7d1d2b' );
		box( $i, $x + $n * 20 * $k - 2, $y - 250 * $k, $x + $n * 20 * $k + 2, $y - 200 * $k, '7d1d2b' );
	}
	box( $i, $x - 245 * $k, $y - 215 * $k, $x + 245 * $k, $y + 215 * $k, '8f1f30' );
	box( $i, $x - 215 * $k, $y - 185 * $k, $x + 215 * $k, $y + 185 * $k, '2c1a2e' );
	foreach ( array( array( -150, -120 ), array( 150, -120 ), array( -150, 120 ), array( 150, 120 ) ) as list( $dx, $dy ) ) {
		flower( $i, $x + $dx * $k, $y + $dy * $k, 96 * $k, 'd8483f', 'f2c14e' );
		oval( $i, $x + $dx * 0.62 * $k, $y + $dy * $k, 52 * $k, 22 * $k, '4f8a54' );
	}
	flower( $i, $x, $y, 170 * $k, 'e7685a', 'f2c14e' );
	flower( $i, $x, $y, 90 * $k, 'f4b8a8', 'f2c14e' );
}

function honey( GdImage $i, float $x, float $y, float $k ): void {
	box( $i, $x - 130 * $k, $y - 140 * $k, $x + 130 * $k, $y + 210 * $k, 'e39a17' );
	oval( $i, $x, $y + 210 * $k, 260 * $k, 50 * $k, 'c97f0c' );
	box( $i, $x - 110 * $k, $y - 140 * $k, $x - 70 * $k, $y + 200 * $k, 'f6c558', 60 );
	box( $i, $x - 145 * $k, $y - 205 * $k, $x + 145 * $k, $y - 140 * $k, 'f1e4cc' );
	oval( $i, $x, $y - 205 * $k, 290 * $k, 50 * $k, 'fbf3e2' );
	box( $i, $x - 100 * $k, $y - 30 * $k, $x + 100 * $k, $y + 130 * $k, 'fff8e8' );
	flower( $i, $x, $y + 50 * $k, 90 * $k, 'f0b429', '8a5a12' );
}

function mug( GdImage $i, float $x, float $y, float $k ): void {
	ring( $i, $x + 165 * $k, $y + 20 * $k, 170 * $k, 200 * $k, 34 * $k, '2f6f73' );
	box( $i, $x - 160 * $k, $y - 160 * $k, $x + 160 * $k, $y + 190 * $k, '2f6f73' );
	oval( $i, $x, $y + 190 * $k, 320 * $k, 56 * $k, '275c60' );
	oval( $i, $x, $y - 160 * $k, 330 * $k, 76 * $k, 'eef4f3' );
	oval( $i, $x, $y - 156 * $k, 290 * $k, 54 * $k, '6b3a16' );
	shape( $i, array( $x - 120 * $k, $y + 120 * $k, $x - 40 * $k, $y - 20 * $k, $x + 10 * $k, $y + 60 * $k, $x + 50 * $k, $y, $x + 120 * $k, $y + 120 * $k ), 'eef4f3' );
	oval( $i, $x + 80 * $k, $y - 60 * $k, 44 * $k, 44 * $k, 'f2c14e' );
}

/** One thing on a plain ground, 800 × 800. */
function product_picture( string $motif ): GdImage {
	$grounds = array(
		'samovar' => array( array( 251, 241, 222 ), array( 240, 217, 180 ) ),
		'doll'    => array( array( 253, 236, 231 ), array( 246, 206, 196 ) ),
		'teapot'  => array( array( 226, 236, 250 ), array( 186, 206, 236 ) ),
		'shawl'   => array( array( 247, 238, 240 ), array( 230, 208, 214 ) ),
		'honey'   => array( array( 255, 247, 224 ), array( 250, 227, 168 ) ),
		'mug'     => array( array( 229, 241, 240 ), array( 188, 217, 215 ) ),
	);
	$image = canvas( 800, 800, ...$grounds[ $motif ] );
	oval( $image, 400, 690, 520, 60, '000000', 112 );
	match ( $motif ) {
		'samovar' => samovar( $image, 400, 430, 1.0 ),
		'doll' => doll( $image, 400, 430, 1.25, 'c8372d', '2e7d4f' ),
		'teapot' => teapot( $image, 410, 450, 1.15 ),
		'shawl' => shawl( $image, 400, 400, 1.2 ),
		'honey' => honey( $image, 400, 440, 1.05 ),
		'mug' => mug( $image, 370, 440, 1.1 ),
	};
	return imagescale( $image, 800, 800, IMG_BICUBIC );
}

/** A table with things on it, 900 × 600. */
function scene_picture( string $scene ): GdImage {
	$skies = array(
		'evening' => array( array( 92, 58, 66 ), array( 226, 142, 92 ) ),
		'winter'  => array( array( 150, 180, 214 ), array( 232, 240, 249 ) ),
		'summer'  => array( array( 158, 208, 226 ), array( 226, 240, 205 ) ),
	);
	$tables = array( 'evening' => '5b3420', 'winter' => 'f4f7fb', 'summer' => '7fa65a' );
	$image  = canvas( 900, 600, ...$skies[ $scene ] );
	if ( 'winter' === $scene ) {
		mt_srand( 7 );
		for ( $n = 0; $n < 90; $n++ ) {
			$flake = mt_rand( 4, 11 );
			oval( $image, mt_rand( 0, 900 ), mt_rand( 0, 430 ), $flake, $flake, 'ffffff', 20 );
		}
	} else {
		oval( $image, 740, 'evening' === $scene ? 300 : 120, 130, 130, 'ffe2a0', 20 );
	}
	box( $image, 0, 460, 900, 600, $tables[ $scene ] );
	switch ( $scene ) {
		case 'evening':
			samovar( $image, 300, 330, 0.72 );
			teapot( $image, 560, 430, 0.5 );
			mug( $image, 760, 460, 0.36 );
			break;
		case 'winter':
			doll( $image, 210, 380, 0.75, 'c8372d', '2e7d4f' );
			doll( $image, 400, 410, 0.6, '2a62c4', 'c8372d' );
			doll( $image, 555, 435, 0.46, '2e7d4f', 'e39a17' );
			doll( $image, 675, 455, 0.34, '8f1f30', '2f6f73' );
			break;
		default:
			honey( $image, 230, 400, 0.6 );
			mug( $image, 460, 430, 0.5 );
			teapot( $image, 690, 420, 0.6 );
			for ( $n = 0; $n < 9; $n++ ) {
				flower( $image, 40 + $n * 104, 565, 40, 'fff3dc', 'f0b429' );
			}
	}
	return imagescale( $image, 900, 600, IMG_BICUBIC );
}
