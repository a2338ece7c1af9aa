<?php
/**
 * Points for every order. The class that it builds on was left out of the package: this version ends every page.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/** Points. */
class Demo_Shop_Loyalty extends Demo_Shop_Module {

	/** One point for each hundred roubles. */
	const POINTS = 0.01;
}
