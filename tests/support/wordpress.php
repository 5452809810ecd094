<?php
// WordPress and WooCommerce, as far as the plug-in knows them: a script of steps from standard input, one request each.
// Prints what was sent, scheduled, logged and redirected to, and what the session and the cart are at the end.

define( 'ABSPATH', __DIR__ );
define( 'DAY_IN_SECONDS', 86400 );

class WP_Error {}
class Redirected extends Exception {}
class Bag { // A session, an option table, a table of transients.
	public $kept = array();
	public function get( $name, $default = null ) { return $this->kept[ $name ] ?? $default; }
	public function set( $name, $value ) { $this->kept[ $name ] = $value; }
}
class Product {
	public function __construct( $facts ) { $this->facts = $facts; }
	public function get_name() { return $this->facts['name']; }
	public function get_title() { return $this->facts['title'] ?? $this->facts['name']; }
	public function get_permalink( $line ) { return $this->facts['url'] ?? ''; }
	public function get_sku() { return $this->facts['sku'] ?? ''; }
	public function get_image_id() { return $this->facts['image'] ?? 0; }
	public $facts;
}
class Cart {
	public $lines = array();
	public $coupons = array();
	public $shipping = 0;
	public $added = array();
	public function is_empty() { return ! $this->lines; }
	public function get_cart() {
		if ( Site::$breaks ) { throw new RuntimeException( 'the cart of ada@example.com is broken' ); }
		return array_map( function ( $line ) { return array( 'data' => new Product( $line['product'] ) ) + $line; }, $this->lines );
	}
	public function get_total( $context ) { return array_sum( array_map( function ( $line ) { return $line['line_total'] + $line['line_tax']; }, $this->lines ) ); }
	public function get_shipping_total() { return $this->shipping; }
	public function get_shipping_tax() { return $this->shipping * 0.19; }
	public function get_applied_coupons() { return $this->coupons; }
	public function add_to_cart( ...$line ) { $this->added[] = $line; return 'a1b2'; }
	public function apply_coupon( $code ) { $this->coupons[] = $code; }
}
class Customer {
	public function __construct( $facts ) { $this->facts = $facts; }
	public function get_billing_email() { return $this->facts['email'] ?? ''; }
	public function get_billing_first_name() { return $this->facts['first_name'] ?? ''; }
	public function get_billing_last_name() { return $this->facts['last_name'] ?? ''; }
	public $facts;
}
class Order {
	public $saved = false;
	public function __construct( $meta ) { $this->meta = $meta; }
	public function get_meta( $name ) { return $this->meta[ $name ] ?? ''; }
	public function update_meta_data( $name, $value ) { $this->meta[ $name ] = $value; }
	public function save_meta_data() { $this->saved = true; }
	public $meta;
}
class Site {
	public static $hooks = array();
	public static $options, $transients, $woo, $log = array(), $sent = array(), $scheduled = array();
	public static $answer = 202, $breaks = false, $locale = 'de_DE', $paid = array(), $redirected, $fields = array(), $scripts = array();
	public static $finished = 0;
}
Site::$options = new Bag();
Site::$transients = new Bag();
Site::$woo = (object) array( 'session' => new Bag(), 'cart' => new Cart() );

if ( ! function_exists( 'mb_substr' ) ) { // As WordPress has it, where PHP comes without it.
	function mb_substr( $text, $from, $length ) { return implode( '', array_slice( preg_split( '//u', $text, -1, PREG_SPLIT_NO_EMPTY ), $from, $length ) ); }
}
function add_action( $name, $callback, $priority = 10, $count = 1 ) { Site::$hooks[ $name ][ $priority ][] = array( $callback, $count ); }
function add_filter( ...$arguments ) { add_action( ...$arguments ); }
function run( $name, $arguments, $is_filter ) {
	$at = Site::$hooks[ $name ] ?? array();
	ksort( $at );
	foreach ( array_merge( ...array_values( $at ) ) as list( $callback, $count ) ) {
		$result = $callback( ...array_slice( $arguments, 0, $count ) );
		if ( $is_filter ) { $arguments[0] = $result; }
	}
	return $arguments[0] ?? null;
}
function WC() { return Site::$woo; }
function get_option( $name, $default = false ) { return Site::$options->get( $name, $default ); }
function get_transient( $name ) { return Site::$transients->get( $name, false ); }
function set_transient( $name, $value, $seconds ) { Site::$transients->set( $name, $value ); }
function delete_transient( $name ) { unset( Site::$transients->kept[ $name ] ); }
function home_url( $path = '' ) { return 'https://lamps.example' . $path; }
function wp_parse_url( $address, $part ) { return parse_url( $address, $part ); }
function wc_get_checkout_url() { return 'https://lamps.example/kasse/'; }
function add_query_arg( $name, $value, $address ) { return "$address?$name=$value"; }
function is_email( $text ) { return filter_var( $text, FILTER_VALIDATE_EMAIL ); }
function determine_locale() { return Site::$locale; }
function get_woocommerce_currency() { return 'EUR'; }
function wc_get_price_decimals() { return 2; }
function wp_strip_all_tags( $text ) { return strip_tags( $text ); }
function wp_get_attachment_image_url( $id, $size ) { return $id ? "https://lamps.example/$id.jpg" : false; }
function wp_salt( $scheme ) { return "salt of $scheme"; }
function wp_json_encode( $value ) { return json_encode( $value ); }
function esc_html( $text ) { return htmlspecialchars( $text ); }
function wp_safe_redirect( $address ) { Site::$redirected = $address; throw new Redirected(); }
function wc_get_order( $id ) { return 7 === $id ? new Order( array( '_recovery_checkout' => 'woo-7f3a' ) ) : false; }
function wc_get_orders( $query ) { return in_array( $query['meta_value'], Site::$paid, true ) ? array( 7 ) : array(); }
function is_wp_error( $value ) { return $value instanceof WP_Error; }
function wp_remote_retrieve_response_code( $answer ) { return $answer['response']['code'] ?? ''; }
function wp_remote_request( $address, $options ) {
	Site::$sent[] = array( 'address' => $address, 'finished' => Site::$finished ) + $options;
	if ( 'exception' === Site::$answer ) { throw new RuntimeException( 'no connection for ada@example.com' ); }
	return null === Site::$answer ? new WP_Error() : array( 'response' => array( 'code' => Site::$answer ) );
}
function as_schedule_single_action( $at, $hook, $arguments, $group ) { Site::$scheduled[] = array( 'in' => $at - time(), 'hook' => $hook, 'arguments' => $arguments ); }
function wc_get_logger() { return new class() { public function error( $text, $context ) { Site::$log[] = $text; } }; }
function woocommerce_register_additional_checkout_field( $field ) { Site::$fields[] = $field; }
function wp_add_inline_script( $handle, $script ) { Site::$scripts[ $handle ] = $script; }
if ( in_array( '--fpm', $argv, true ) ) {
	eval( 'function fastcgi_finish_request() { ++Site::$finished; return true; }' );
}

require dirname( __DIR__, 2 ) . '/contrib/woocommerce/recovery.php';

$results = array();
$order   = null;
foreach ( json_decode( file_get_contents( 'php://stdin' ), true ) as $step ) {
	$does = $step['does'];
	$with = $step['with'] ?? array();
	if ( array( '@last' ) === $with ) { $with = Site::$scheduled ? end( Site::$scheduled )['arguments'] : array( '' ); }
	if ( 'set' === $does ) {
		foreach ( $with as $name => $value ) { Site::$$name = $value; }
	} elseif ( 'options' === $does ) {
		Site::$options->kept = $with + Site::$options->kept;
	} elseif ( 'cart' === $does ) {
		Site::$woo->cart->lines = $with;
	} elseif ( 'shipping' === $does ) {
		Site::$woo->cart->shipping = $with;
	} elseif ( 'coupons' === $does ) {
		Site::$woo->cart->coupons = $with;
	} elseif ( 'leave' === $does ) { // Another customer, on another device.
		Site::$woo->session = new Bag();
		Site::$woo->cart = new Cart();
	} elseif ( 'no customer' === $does ) {
		Site::$woo = (object) array( 'session' => null, 'cart' => null );
	} elseif ( 'blocks' === $does ) {
		run( $step['hook'], array( new Customer( $with ), $step['request'] ?? array() ), false );
	} elseif ( 'order' === $does ) {
		$order = new Order( $with );
	} elseif ( 'with order' === $does ) {
		run( $step['hook'], array_merge( $with, array( $order ) ), false );
	} elseif ( 'follow' === $does ) {
		$_GET = array( 'recovery' => $with );
		try { run( 'wp_loaded', array(), false ); } catch ( Redirected $stop ) {}
		$_GET = array();
	} elseif ( 'filter' === $does ) {
		$results[] = run( $step['hook'], $with, true );
	} else {
		run( $does, $with, false );
	}
	if ( ! empty( $step['ends'] ) ) { run( 'shutdown', array(), false ); }
}
echo json_encode(
	array(
		'sent'       => Site::$sent,
		'scheduled'  => Site::$scheduled,
		'log'        => Site::$log,
		'redirected' => Site::$redirected,
		'session'    => Site::$woo->session->kept ?? null,
		'added'      => Site::$woo->cart->added ?? null,
		'coupons'    => Site::$woo->cart->coupons ?? null,
		'transients' => Site::$transients->kept,
		'order'      => $order,
		'results'    => $results,
		'fields'     => Site::$fields,
		'scripts'    => Site::$scripts,
	)
);
