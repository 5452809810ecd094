"""Bodies of WooCommerce's webhooks, after the REST object of an order (API version 3), and how they are read."""

import json

from recovery.shops.adapter import WebhookRequest
from recovery.shops.events import Reported
from recovery.shops.woocommerce import WooCommerce

SHOP = "lamps.example"


def read(topic, payload, **options):
    """Return the report of a webhook, or the other event that it stands for."""
    (found,) = events(topic, payload, **options)
    return found.report if isinstance(found, Reported) else found


def events(topic, payload, **options):
    """Return the events of a webhook, with the aliases of reports."""
    headers = {"x-wc-webhook-topic": topic, "x-wc-webhook-source": "https://lamps.example/"}
    return WooCommerce().read(WebhookRequest(SHOP, json.dumps(payload).encode(), headers, **options))


def line(**changes):
    return {
        "id": 11,
        "name": "Stehleuchte &bdquo;Mond&ldquo; - Messing",
        "parent_name": "Stehleuchte &bdquo;Mond&ldquo;",
        "product_id": 90,
        "variation_id": 91,
        "quantity": 2,
        "subtotal": "42.02",
        "subtotal_tax": "7.98",
        "total": "33.61",
        "total_tax": "6.39",
        "price": 16.805,
        "sku": "ST-01-MS",
        "image": {"id": "44", "src": "https://lamps.example/mond.jpg"},
        "meta_data": [{"id": 1, "key": "pa_farbe", "value": "messing", "display_value": "Messing"}],
        **changes,
    }


def order(status="pending", **changes):
    """Return an order that a customer made in the block checkout, left unpaid by default."""
    return {
        "id": 1042,
        "parent_id": 0,
        "status": status,
        "currency": "EUR",
        "prices_include_tax": True,
        "date_created_gmt": "2026-11-24T17:05:01",
        "date_modified_gmt": "2026-11-24T17:05:47",
        "date_paid_gmt": None,
        "total": "44.90",
        "customer_id": 0,
        "order_key": "wc_order_9AbC",
        "billing": {"first_name": "Zoë", "last_name": "Brontë", "email": "zoe.bronte@example.com", "country": "DE"},
        "payment_url": "https://lamps.example/kasse/order-pay/1042/?pay_for_order=true&key=wc_order_9AbC",
        "needs_payment": True,
        "created_via": "store-api",
        "meta_data": [],
        "line_items": [line()],
        "discount_total": "8.41",
        "discount_tax": "1.59",
        "shipping_total": "4.12",
        "shipping_tax": "0.78",
        "coupon_lines": [{"id": 13, "code": "HERBST", "discount": "8.41", "discount_tax": "1.59"}],
        **changes,
    }
