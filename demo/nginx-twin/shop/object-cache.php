<?php
/**
 * WordPress's object cache in Redis, written for this demo.
 *
 * @package DemoShop
 */

defined( 'ABSPATH' ) || exit;

/** What was read in this request, over what Redis holds. */
class WP_Object_Cache {

	/** @var Redis|null */
	private $redis;
	/** @var array<string, array<string, mixed>> */
	private $here = array();
	/** @var array<string, true> Groups that must not outlive the request. */
	private $fleeting = array();

	public function __construct() {
		$this->redis = new Redis();
		$this->redis->connect( defined( 'WP_REDIS_HOST' ) ? WP_REDIS_HOST : '127.0.0.1', 6379, 2 );
		$this->redis->auth( WP_REDIS_PASSWORD );
		$this->redis->select( WP_REDIS_DATABASE );
	}

	public function get( $key, $group = 'default', $force = false, &$found = null ) {
		$group = $group ? $group : 'default';
		if ( $force || ! isset( $this->here[ $group ] ) || ! array_key_exists( $key, $this->here[ $group ] ) ) {
			$kept = isset( $this->fleeting[ $group ] ) ? false : $this->redis->get( "$group:$key" );
			if ( false === $kept ) {
				$found = false;
				return false;
			}
			$this->here[ $group ][ $key ] = unserialize( $kept );
		}
		$found = true;
		$value = $this->here[ $group ][ $key ];
		return is_object( $value ) ? clone $value : $value;
	}

	public function set( $key, $value, $group = 'default', $seconds = 0 ) {
		$group                        = $group ? $group : 'default';
		$value                        = is_object( $value ) ? clone $value : $value;
		$this->here[ $group ][ $key ] = $value;
		if ( isset( $this->fleeting[ $group ] ) ) {
			return true;
		}
		return $this->redis->set( "$group:$key", serialize( $value ), $seconds > 0 ? $seconds : null );
	}

	public function has( $key, $group ) {
		$this->get( $key, $group, false, $found );
		return $found;
	}

	public function delete( $key, $group = 'default' ) {
		$group = $group ? $group : 'default';
		unset( $this->here[ $group ][ $key ] );
		return isset( $this->fleeting[ $group ] ) || $this->redis->del( "$group:$key" ) > 0;
	}

	public function flush() {
		$this->here = array();
		return $this->redis->flushDB();
	}

	public function forget() {
		$this->here = array();
		return true;
	}

	public function fleeting( $groups ) {
		$this->fleeting += array_fill_keys( (array) $groups, true );
	}
}

function wp_cache_init() {
	$GLOBALS['wp_object_cache'] = new WP_Object_Cache();
}
function wp_cache_get( $key, $group = '', $force = false, &$found = null ) {
	return $GLOBALS['wp_object_cache']->get( $key, $group, $force, $found );
}
function wp_cache_get_multiple( $keys, $group = '', $force = false ) {
	$values = array();
	foreach ( $keys as $key ) {
		$values[ $key ] = wp_cache_get( $key, $group, $force );
	}
	return $values;
}
function wp_cache_set( $key, $value, $group = '', $seconds = 0 ) {
	return $GLOBALS['wp_object_cache']->set( $key, $value, $group, (int) $seconds );
}
function wp_cache_set_multiple( array $values, $group = '', $seconds = 0 ) {
	foreach ( $values as $key => $value ) {
		$values[ $key ] = wp_cache_set( $key, $value, $group, $seconds );
	}
	return $values;
}
function wp_cache_add( $key, $value, $group = '', $seconds = 0 ) {
	return ! wp_suspend_cache_addition() && ! $GLOBALS['wp_object_cache']->has( $key, $group ) && wp_cache_set( $key, $value, $group, $seconds );
}
function wp_cache_add_multiple( array $values, $group = '', $seconds = 0 ) {
	foreach ( $values as $key => $value ) {
		$values[ $key ] = wp_cache_add( $key, $value, $group, $seconds );
	}
	return $values;
}
function wp_cache_replace( $key, $value, $group = '', $seconds = 0 ) {
	return $GLOBALS['wp_object_cache']->has( $key, $group ) && wp_cache_set( $key, $value, $group, $seconds );
}
function wp_cache_delete( $key, $group = '' ) {
	return $GLOBALS['wp_object_cache']->delete( $key, $group );
}
function wp_cache_delete_multiple( array $keys, $group = '' ) {
	$done = array();
	foreach ( $keys as $key ) {
		$done[ $key ] = wp_cache_delete( $key, $group );
	}
	return $done;
}
function wp_cache_incr( $key, $offset = 1, $group = '' ) {
	$value = max( 0, (int) wp_cache_get( $key, $group, true, $found ) + $offset );
	return $found && wp_cache_set( $key, $value, $group ) ? $value : false;
}
function wp_cache_decr( $key, $offset = 1, $group = '' ) {
	return wp_cache_incr( $key, -$offset, $group );
}
function wp_cache_flush() {
	return $GLOBALS['wp_object_cache']->flush();
}
function wp_cache_flush_runtime() {
	return $GLOBALS['wp_object_cache']->forget();
}
function wp_cache_close() {
	return true;
}
function wp_cache_add_global_groups( $groups ) {}
function wp_cache_add_non_persistent_groups( $groups ) {
	$GLOBALS['wp_object_cache']->fleeting( $groups );
}
function wp_cache_switch_to_blog( $blog ) {}
function wp_cache_supports( $feature ) {
	return in_array( $feature, array( 'add_multiple', 'set_multiple', 'get_multiple', 'delete_multiple', 'flush_runtime' ), true );
}
