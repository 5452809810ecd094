"""What the webhooks of all platforms have in common: a cart, and a signed request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SHOP = "lamps.example"

LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""The time in webhooks that have one. It is later than the clock of any kit, and so counts as now."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request of a shop platform: the path at Recovery's HTTP API, headers, and the body as it was signed."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cart:
    """What somebody has in their cart, for the body of a webhook."""

    order_id: str = "1042"
    email: str = "ada@example.com"
    name: str = "Ada Lovelace"
    item: str = "Arc floor lamp"
    price: str = "129.00"
    quantity: int = 1
    currency: str = "EUR"
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the platform's body that are added, or put in place of others."""


def encoded(body: Mapping[str, Any], more: Mapping[str, Any]) -> bytes:
    """Return a body as the bytes to be signed."""
    return json.dumps({**body, **more}).encode()
