"""The access of shop platforms to the endpoint for their webhooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recovery.domain.per_shop import PerShop


@dataclass(frozen=True, slots=True)
class WebhookAccess:
    """One shop's settings for one platform.

    `secrets` are those that may sign; `address` is that of the shop, where the platform publishes the keys that it
    signs with. `confirm_orders` is whether its orders are confirmed by us, `checkout_url` the address of a checkout,
    with `{id}` in the place of its id.
    """

    secrets: Sequence[str] = ()
    confirm_orders: bool = False
    checkout_url: str | None = None
    address: str | None = None


Accesses = PerShop[Mapping[str, WebhookAccess]]
"""The access to each shop's webhooks, by the name of the adapter."""
