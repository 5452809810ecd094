<?php
/**
 * Plugin Name: Recovery for WooCommerce
 * Description: Reports checkouts with an address to Recovery, asks for consent, and puts the cart back when a customer follows the link in a reminder.
 * Version: 0.1.0
 * Requires at least: 5.8
 * Requires PHP: 7.4
 * WC requires at least: 7.2
 * License: MIT
 *
 * Install: copy this file to wp-content/plugins, activate it, and fill in WooCommerce, Settings, Advanced, Recovery.
 *
 * The shop's checkout comes first. Nothing is sent before the customer has their answer, where the server can do that
 * (PHP-FPM, LiteSpeed), and nothing waits for longer than a second where it cannot. No exception leaves a function
 * here. What cannot be delivered is sent again in the background, by the scheduler that WooCommerce has.
 *
 * @package Recovery
 */

namespace Recovery\WooCommerce;

if ( ! defined( 'ABSPATH' ) ) {
	exit;
}

const FIELD         = 'recovery/consent';
const PARAMETER     = 'recovery';
const META_CHECKOUT = '_recovery_checkout';
const META_LOCALE   = '_recovery_locale';
const RETRY_HOOK    = 'recovery_send_again';
const RETRIES       = array( 60, 300, 1800, 7200, 43200 ); // Seconds.
const PLACED        = array( 'processing', 'completed', 'on-hold' );
const LONGEST_LINK  = 2000;

add_action( 'woocommerce_checkout_update_order_review', safely( __NAMESPACE__ . '\note_classic' ) );
add_action( 'woocommerce_store_api_cart_update_customer_from_request', safely( __NAMESPACE__ . '\note_blocks' ), 10, 2 );
add_action( 'woocommerce_store_api_checkout_update_customer_from_request', safely( __NAMESPACE__ . '\note_blocks' ), 10, 2 );
add_action( 'woocommerce_set_additional_field_value', safely( __NAMESPACE__ . '\note_block_consent' ), 10, 2 );
foreach ( array( 'woocommerce_add_to_cart', 'woocommerce_cart_item_removed', 'woocommerce_cart_item_restored', 'woocommerce_after_cart_item_quantity_update', 'woocommerce_applied_coupon', 'woocommerce_removed_coupon' ) as $hook ) {
	add_action( $hook, safely( __NAMESPACE__ . '\note_change' ), 10, 0 );
}
add_action( 'woocommerce_cart_emptied', safely( __NAMESPACE__ . '\forget_checkout' ), 10, 0 );
add_action( 'woocommerce_checkout_create_order', safely( __NAMESPACE__ . '\mark_order' ) );
add_action( 'woocommerce_store_api_checkout_update_order_meta', safely( __NAMESPACE__ . '\mark_and_save_order' ) );
add_action( 'woocommerce_order_status_changed', safely( __NAMESPACE__ . '\report_order' ), 10, 4 );
add_action( 'wp_loaded', __NAMESPACE__ . '\follow_link', 30 );
add_action( 'shutdown', safely( __NAMESPACE__ . '\prepare_report' ), 10, 0 ); // WooCommerce saves its session at 20.
add_action( 'shutdown', safely( __NAMESPACE__ . '\send_all' ), 100, 0 );
add_action( RETRY_HOOK, safely( __NAMESPACE__ . '\send_again' ) );
add_action( 'woocommerce_init', safely( __NAMESPACE__ . '\add_block_consent' ), 10, 0 );
add_filter( 'woocommerce_checkout_fields', __NAMESPACE__ . '\add_classic_consent' );
add_action( 'wp_enqueue_scripts', safely( __NAMESPACE__ . '\report_typed_address' ), 20, 0 );
add_filter( 'woocommerce_get_sections_advanced', __NAMESPACE__ . '\add_section' );
add_filter( 'woocommerce_get_settings_advanced', __NAMESPACE__ . '\settings_of_section', 10, 2 );
add_action( 'before_woocommerce_init', safely( __NAMESPACE__ . '\declare_compatibility' ), 10, 0 );

/** What is to be done when this request ends. */
final class Pending {
	public static $changed  = false;
	public static $requests = array();
}

/** Return a callback that logs what a function throws, and lets the shop go on. */
function safely( $callback ) {
	return function ( ...$arguments ) use ( $callback ) {
		try {
			return $callback( ...$arguments );
		} catch ( \Throwable $fault ) {
			complain( get_class( $fault ) . ' in line ' . $fault->getLine() ); // Its message may name a person.
		}
	};
}

/** Log what went wrong, without anybody's data: WooCommerce, Status, Logs, recovery. */
function complain( $what ) {
	if ( function_exists( 'wc_get_logger' ) ) {
		wc_get_logger()->error( $what, array( 'source' => 'recovery' ) );
	}
}

/** Return a setting as a text. */
function setting( $name, $default = '' ) {
	$value = get_option( "recovery_$name", $default );
	return is_string( $value ) ? trim( $value ) : $default;
}

/** Return whether the plug-in knows where to report to. */
function is_set_up() {
	return '' !== setting( 'url' ) && '' !== setting( 'key' );
}

/** Return the shop's key at Recovery: by default its host. */
function shop() {
	return setting( 'shop' ) ?: (string) wp_parse_url( home_url(), PHP_URL_HOST );
}

/** Return what the checkbox says; empty if the shop does not ask. */
function consent_text() {
	return setting( 'consent_text', 'E-mail me a reminder if I leave my order unfinished.' );
}

/** Return the customer's session, or null where there is none, as in the admin. */
function session() {
	return function_exists( 'WC' ) && isset( WC()->session ) ? WC()->session : null;
}

/** Return the key of the customer's checkout; it is made when it is first needed, and lasts until the cart is emptied. */
function checkout_key() {
	$key = session()->get( 'recovery_checkout' );
	if ( ! is_string( $key ) || '' === $key ) {
		$key = 'woo-' . bin2hex( random_bytes( 16 ) );
		session()->set( 'recovery_checkout', $key );
	}
	return $key;
}

/** Forget the checkout: an order was made of it, or nothing is left in it. */
function forget_checkout() {
	foreach ( session() ? array( 'checkout', 'sent', 'customer', 'consent' ) : array() as $name ) {
		session()->set( "recovery_$name", null );
	}
}

/** Note who is at the classic checkout. `$form` is the whole form as it would be posted. */
function note_classic( $form ) {
	parse_str( is_string( $form ) ? $form : '', $typed );
	note_customer( $typed['billing_email'] ?? '', $typed['billing_first_name'] ?? '', $typed['billing_last_name'] ?? '' );
	if ( '' !== consent_text() ) {
		note_consent( ! empty( $typed['recovery_consent'] ) );
	}
}

/** Note who is at the checkout of blocks. */
function note_blocks( $customer, $request = null ) {
	note_customer( $customer->get_billing_email(), $customer->get_billing_first_name(), $customer->get_billing_last_name() );
	$fields = $request['additional_fields'] ?? null;
	if ( is_array( $fields ) && array_key_exists( FIELD, $fields ) ) {
		note_consent( (bool) $fields[ FIELD ] );
	}
}

/** Note the box of the checkout of blocks, when WooCommerce stores it. */
function note_block_consent( $field, $value ) {
	if ( FIELD === $field ) {
		note_consent( (bool) $value );
	}
}

function note_customer( $email, $given, $family ) {
	$texts = array_filter( array( $email, $given, $family ), 'is_string' );
	if ( 3 === count( $texts ) && session() && is_email( trim( $email ) ) ) {
		$customer = array( 'email' => trim( $email ) );
		$name     = short( full_name( trim( $given ), trim( $family ) ) );
		session()->set( 'recovery_customer', '' === $name ? $customer : $customer + array( 'name' => $name ) );
		note_change();
	}
}

/** Return a name in the order of its script: a Japanese, Chinese or Korean family name is first. */
function full_name( $given, $family ) {
	$east_asian = '/^[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー々]+$/u';
	if ( '' === $given || '' === $family || ! preg_match( $east_asian, $given . $family ) ) {
		return trim( "$given $family" );
	}
	$together = preg_match( '/\p{Hangul}/u', $given ) || 0 === strpos( determine_locale(), 'zh' );
	return $together ? $family . $given : "$family $given";
}

/** Note a box that is ticked or unticked, with the time at which it changed. */
function note_consent( $given ) {
	$known = session() ? session()->get( 'recovery_consent' ) : null;
	if ( session() && ( ! is_array( $known ) || $known['given'] !== $given ) ) {
		session()->set( 'recovery_consent', array( 'given' => $given, 'at' => now() ) );
		note_change();
	}
}

function now() {
	return gmdate( 'Y-m-d\TH:i:s\Z' );
}

/** Note that there may be something to report when this request ends. */
function note_change() {
	Pending::$changed = true;
}

/** Make the report, if there is anything new. This is before WooCommerce saves the session, and after it has made the totals. */
function prepare_report() {
	if ( ! Pending::$changed || ! is_set_up() || ! session() || ! isset( WC()->cart ) ) {
		return;
	}
	Pending::$changed = false;
	if ( WC()->cart->is_empty() ) {
		if ( session()->get( 'recovery_sent' ) ) {
			$path = '/checkouts/' . rawurlencode( shop() ) . '/' . rawurlencode( checkout_key() );
			Pending::$requests[] = array( 'method' => 'DELETE', 'path' => $path, 'body' => '' );
		}
		forget_checkout();
		return;
	}
	$report = report();
	$digest = null === $report ? '' : md5( wp_json_encode( $report ) );
	if ( '' !== $digest && session()->get( 'recovery_sent' ) !== $digest ) {
		session()->set( 'recovery_sent', $digest );
		$body                = wp_json_encode( $report + array( 'touched_at' => now() ) );
		Pending::$requests[] = array( 'method' => 'POST', 'path' => '/checkout', 'body' => $body );
	}
}

/** Return the customer's checkout as Recovery takes it, or null while nobody or nothing is known. */
function report() {
	$customer = session()->get( 'recovery_customer' );
	$items    = items();
	if ( ! is_array( $customer ) || ! $items ) {
		return null;
	}
	$report  = array(
		'shop'         => shop(),
		'order_id'     => checkout_key(),
		'customer'     => $customer,
		'items'        => $items,
		'total'        => amount( WC()->cart->get_total( 'edit' ) ),
		'currency'     => get_woocommerce_currency(),
		'checkout_url' => link_back(),
		'locale'       => str_replace( '_', '-', determine_locale() ),
	);
	$shipping = (float) WC()->cart->get_shipping_total() + (float) WC()->cart->get_shipping_tax();
	if ( $shipping > 0 ) { // It is 0 until a way of shipping is chosen, too.
		$report['shipping'] = amount( $shipping );
	}
	$codes = short( implode( ', ', WC()->cart->get_applied_coupons() ) );
	if ( '' !== $codes ) {
		$report['discount_code'] = $codes;
	}
	$consent = session()->get( 'recovery_consent' );
	if ( is_array( $consent ) && '' !== consent_text() ) {
		$report['consent'] = array(
			'given'  => $consent['given'] ? true : null, // A box that is left alone is no refusal.
			'basis'  => 'opt-in',
			'at'     => $consent['at'],
			'source' => short( 'box at the checkout, not ticked by default: ' . consent_text() ),
		);
	}
	return $report;
}

/** Return the lines of the cart, each with the price that is paid for a piece: after discounts, with tax. */
function items() {
	$items = array();
	foreach ( WC()->cart->get_cart() as $line ) {
		$product  = $line['data'];
		$quantity = (float) $line['quantity'];
		$paid     = (float) ( $line['line_total'] ?? 0 ) + (float) ( $line['line_tax'] ?? 0 );
		$pieces   = floor( $quantity ) === $quantity ? (int) $quantity : 1; // Of 1.5 m of cloth: the whole length.
		$name     = short( $product->get_name() );
		if ( $quantity <= 0 || '' === $name || count( $items ) >= 200 ) {
			continue;
		}
		$title   = short( $product->get_title() );
		$variant = '' !== $title && 0 === strpos( $name, $title ) ? preg_replace( '/^[\s\-–—,:]+/u', '', substr( $name, strlen( $title ) ) ) : '';
		$item    = array(
			'name'      => '' === $variant ? $name : $title,
			'variant'   => $variant,
			'price'     => amount( $paid / $pieces ),
			'quantity'  => $pieces,
			'sku'       => short( $product->get_sku() ),
			'url'       => (string) $product->get_permalink( $line ),
			'image_url' => (string) wp_get_attachment_image_url( $product->get_image_id(), 'woocommerce_thumbnail' ),
		);
		$items[] = array_filter( $item, function ( $value ) {
			return '' !== $value;
		} );
	}
	return $items;
}

function amount( $number ) {
	return number_format( (float) $number, wc_get_price_decimals(), '.', '' );
}

/** Return a text on one line, without markup, and no longer than a mail shows. */
function short( $text ) {
	$plain = html_entity_decode( wp_strip_all_tags( (string) $text ), ENT_QUOTES, 'UTF-8' );
	return mb_substr( trim( preg_replace( '/\s+/u', ' ', $plain ) ), 0, 300 );
}

/** Return the address that puts this cart back: it holds what is in it, signed, and nothing about the customer. */
function link_back() {
	$lines = array();
	foreach ( WC()->cart->get_cart() as $line ) {
		$lines[] = array( (int) $line['product_id'], (float) $line['quantity'], (int) ( $line['variation_id'] ?? 0 ), $line['variation'] ?? array() );
	}
	do {
		$content = encode( wp_json_encode( array( checkout_key(), $lines, WC()->cart->get_applied_coupons() ) ) );
		$link    = add_query_arg( PARAMETER, $content . '.' . signature( $content ), wc_get_checkout_url() );
		array_pop( $lines ); // Of a cart that no link can hold, the first lines.
	} while ( strlen( $link ) > LONGEST_LINK && $lines );
	return $link;
}

function encode( $text ) {
	return rtrim( strtr( base64_encode( $text ), '+/', '-_' ), '=' );
}

function signature( $content ) {
	return encode( hash_hmac( 'sha256', $content, wp_salt( 'auth' ), true ) );
}

/** Put the cart of a link back, and go to the checkout. */
function follow_link() {
	if ( isset( $_GET[ PARAMETER ] ) && is_string( $_GET[ PARAMETER ] ) && call_user_func( safely( __NAMESPACE__ . '\restore' ), $_GET[ PARAMETER ] ) ) {
		wp_safe_redirect( wc_get_checkout_url() );
		exit;
	}
}

/** Put into the cart what a link holds and is not in it; return whether the link is one of ours. Nothing is removed. */
function restore( $token ) {
	list( $content, $signed ) = explode( '.', $token . '.' );
	if ( ! session() || ! isset( WC()->cart ) || ! hash_equals( signature( $content ), $signed ) ) {
		return false;
	}
	list( $key, $lines, $coupons ) = json_decode( base64_decode( strtr( $content, '-_', '+/' ) ), true );
	$kept                          = array();
	foreach ( WC()->cart->get_cart() as $line ) {
		$kept[] = array( (int) $line['product_id'], (int) ( $line['variation_id'] ?? 0 ), $line['variation'] ?? array() );
	}
	foreach ( $lines as list( $product, $quantity, $variation, $attributes ) ) {
		if ( ! in_array( array( $product, $variation, $attributes ), $kept, true ) ) {
			WC()->cart->add_to_cart( $product, $quantity, $variation, $attributes );
		}
	}
	foreach ( array_diff( $coupons, WC()->cart->get_applied_coupons() ) as $coupon ) {
		WC()->cart->apply_coupon( $coupon );
	}
	if ( ! $kept && ! was_ordered( $key ) ) {
		session()->set( 'recovery_checkout', $key ); // On another device: the order there ends the same reminders.
	}
	return true;
}

/** Return whether a checkout was ordered: what is left under its key after that would never be reminded of. */
function was_ordered( $key ) {
	return (bool) wc_get_orders( array( 'limit' => 1, 'return' => 'ids', 'status' => PLACED, 'meta_key' => META_CHECKOUT, 'meta_value' => $key ) );
}

/** Write into an order which checkout it is made of: its webhooks carry that. */
function mark_order( $order ) {
	if ( session() && is_set_up() ) {
		$order->update_meta_data( META_CHECKOUT, checkout_key() );
		$order->update_meta_data( META_LOCALE, str_replace( '_', '-', determine_locale() ) );
	}
}

function mark_and_save_order( $order ) {
	mark_order( $order );
	$order->save_meta_data();
}

/** Report an order at once: its webhook comes by WooCommerce's queue, and is not repeated if it fails. */
function report_order( $id, $from, $to, $order = null ) {
	$order = $order ?: wc_get_order( $id ); // Some plug-ins fire this without the order.
	$key   = $order ? $order->get_meta( META_CHECKOUT ) : '';
	if ( is_set_up() && is_string( $key ) && '' !== $key && in_array( $to, PLACED, true ) ) {
		$report              = array( 'shop' => shop(), 'order_id' => $key, 'ordered_at' => now(), 'confirm' => false ); // WooCommerce confirms it.
		Pending::$requests[] = array( 'method' => 'POST', 'path' => '/order', 'body' => wp_json_encode( $report ) );
	}
	if ( 'cancelled' === $to && '' !== $key && session() && session()->get( 'recovery_checkout' ) === $key ) {
		session()->set( 'recovery_checkout', null ); // The customer called off the payment: that ends this checkout.
		session()->set( 'recovery_sent', null );
		note_change(); // What is still in the cart is another one.
	}
}

/** Send what this request has to report, once its answer is on its way. */
function send_all() {
	$requests          = Pending::$requests;
	Pending::$requests = array();
	if ( ! $requests ) {
		return;
	}
	$answered = false;
	foreach ( array( 'fastcgi_finish_request', 'litespeed_finish_request' ) as $finish ) {
		$answered = $answered || ( function_exists( $finish ) && $finish() );
	}
	foreach ( $requests as $request ) {
		if ( get_transient( 'recovery_unreachable' ) || ! send( $request, $answered ) ) {
			try_again( $request, 0 );
		}
	}
}

/** Send a request; return false if it should be sent again. With `$waits`, its answer is waited for. */
function send( $request, $waits ) {
	$answer = wp_remote_request(
		rtrim( setting( 'url' ), '/' ) . $request['path'],
		array(
			'method'      => $request['method'],
			'headers'     => array( 'Authorization' => 'Bearer ' . setting( 'key' ), 'Content-Type' => 'application/json' ),
			'body'        => $request['body'],
			'timeout'     => $waits ? 5 : 1,
			'blocking'    => $waits,
			'redirection' => 0,
		)
	);
	if ( is_wp_error( $answer ) ) {
		set_transient( 'recovery_unreachable', 1, 60 );
		return false;
	}
	$status = $waits ? (int) wp_remote_retrieve_response_code( $answer ) : 202;
	if ( $status >= 400 && $status < 500 && 404 !== $status && 429 !== $status ) {
		complain( "{$request['method']} {$request['path']} was refused with $status: compare the address, the key and its scopes" );
	}
	return $status < 500 && 429 !== $status;
}

/** Have a request sent again later. What it says is kept apart from the scheduler's log, for a day at most. */
function try_again( $request, $attempts ) {
	if ( $attempts >= count( RETRIES ) || ! function_exists( 'as_schedule_single_action' ) ) {
		complain( "{$request['method']} {$request['path']} was given up: Recovery could not be reached" );
		return;
	}
	$id = bin2hex( random_bytes( 8 ) );
	set_transient( "recovery_again_$id", array( $request, $attempts + 1 ), DAY_IN_SECONDS );
	as_schedule_single_action( time() + RETRIES[ $attempts ], RETRY_HOOK, array( $id ), 'recovery' );
}

function send_again( $id ) {
	$kept = get_transient( "recovery_again_$id" );
	delete_transient( "recovery_again_$id" );
	if ( is_array( $kept ) && ! send( $kept[0], true ) ) {
		try_again( $kept[0], $kept[1] );
	}
}

/** Add the box to the classic checkout. */
function add_classic_consent( $fields ) {
	if ( is_array( $fields ) && '' !== consent_text() ) {
		$fields['billing']['recovery_consent'] = array(
			'type'     => 'checkbox',
			'label'    => esc_html( consent_text() ),
			'required' => false,
			'default'  => (int) ( session() && ! empty( session()->get( 'recovery_consent' )['given'] ) ),
			'class'    => array( 'form-row-wide' ),
			'priority' => 115, // Below the address for mails.
		);
	}
	return $fields;
}

/** Add the box to the checkout of blocks, from WooCommerce 8.9. */
function add_block_consent() {
	if ( '' !== consent_text() && function_exists( 'woocommerce_register_additional_checkout_field' ) ) {
		woocommerce_register_additional_checkout_field(
			array(
				'id'            => FIELD,
				'label'         => consent_text(),
				'optionalLabel' => consent_text(),
				'location'      => 'contact',
				'type'          => 'checkbox',
				'required'      => false,
			)
		);
	}
}

/** Have the classic checkout tell of a typed address at once: by itself it does so for postal addresses alone. */
function report_typed_address() {
	wp_add_inline_script( 'wc-checkout', 'jQuery(function($){$(document.body).on("change","#billing_email,#recovery_consent",function(){$(document.body).trigger("update_checkout")})});' );
}

function add_section( $sections ) {
	return is_array( $sections ) ? $sections + array( 'recovery' => 'Recovery' ) : $sections;
}

/** Return the settings: WooCommerce, Settings, Advanced, Recovery. */
function settings_of_section( $settings, $section = '' ) {
	if ( 'recovery' !== $section ) {
		return $settings;
	}
	return array(
		array( 'type' => 'title', 'id' => 'recovery', 'title' => 'Recovery', 'desc' => 'Where checkouts are reported to. Nothing is sent before both are filled in.' ),
		array( 'type' => 'text', 'id' => 'recovery_url', 'title' => 'Address', 'placeholder' => 'https://recovery.example' ),
		array( 'type' => 'password', 'id' => 'recovery_key', 'title' => 'Key', 'desc' => 'With the scopes "report" and "operate", for this shop alone.' ),
		array( 'type' => 'text', 'id' => 'recovery_shop', 'title' => 'Shop', 'placeholder' => shop(), 'desc' => 'The last part of the address of the webhooks. By default the host.' ),
		array( 'type' => 'textarea', 'id' => 'recovery_consent_text', 'title' => 'Question', 'default' => consent_text(), 'desc' => 'The text beside a box at the checkout, which is not ticked by default. Without a text there is no box.' ),
		array( 'type' => 'sectionend', 'id' => 'recovery' ),
	);
}

/** Tell WooCommerce that orders in its own tables and the checkout of blocks are understood. */
function declare_compatibility() {
	$features = 'Automattic\WooCommerce\Utilities\FeaturesUtil';
	if ( class_exists( $features ) ) {
		$features::declare_compatibility( 'custom_order_tables', __FILE__, true );
		$features::declare_compatibility( 'cart_checkout_blocks', __FILE__, true );
	}
}
