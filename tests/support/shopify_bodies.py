"""Bodies of Shopify's webhooks, and how they are read."""

from recovery.shops import shopify
from recovery.shops.events import Reported

SHOP = "apple.myshopify.com"


def read(topic, shop, payload, **options):
    """Return the report of a webhook, or the other event that it stands for."""
    found = shopify.read(topic, shop, payload, **options)
    return found.report if isinstance(found, Reported) else found


def line(**changes):
    return {"title": "Nano", "variant_title": "Red", "price": "199.00", "quantity": 1, **changes}


def checkout(**changes):
    return {
        "id": 450789469,
        "email": "bob@example.com",
        "created_at": "2024-05-01T09:00:00-04:00",
        "updated_at": "2024-05-01T10:00:00-04:00",
        "completed_at": None,
        "abandoned_checkout_url": "https://apple.example/recover?key=1",
        "currency": "USD",
        "total_price": "409.94",
        "customer_locale": "en-CA",
        "line_items": [line()],
        "billing_address": {"name": "Bob Norman"},
        **changes,
    }


def order(**changes):
    return {
        "id": 820982911946154508,
        "checkout_id": 450789469,
        "email": "bob@example.com",
        "created_at": "2024-05-01T11:00:00-04:00",
        "currency": "USD",
        "total_price": "409.94",
        "line_items": [line()],
        **changes,
    }
