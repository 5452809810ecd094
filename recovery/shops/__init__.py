"""Adapters: each translates the webhooks of one shop platform into events. A new platform is one file and one line."""

from recovery.shops.adapter import Adapter
from recovery.shops.saleor import Saleor
from recovery.shops.shopify import Shopify
from recovery.shops.stripe import Stripe
from recovery.shops.woocommerce import WooCommerce

ADAPTERS: tuple[Adapter, ...] = (Saleor(), Shopify(), Stripe(), WooCommerce())
"""All adapters. The first segment of the path, `/webhooks/{platform}/{shop}`, names one."""
