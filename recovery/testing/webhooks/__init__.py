"""Webhooks as shop platforms send them, signed for a kit: `shopify.checkout(order_id="1042", email="ada@example.com")`.

Each platform has a module here, named as its adapter, with `checkout` and `order`.
"""

from recovery.testing.webhooks.sample import Cart, Webhook

__all__ = ["Cart", "Webhook"]
