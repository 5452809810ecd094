"""What the HTTP side needs of the ingestion API. Its real side is `recovery.client.Recovery`."""

from collections.abc import Sequence
from typing import Any, Protocol

from recovery.domain.checkout import Checkout, Consent, Order
from recovery.domain.state import CheckoutState
from recovery.mongo.data_subjects import Receipt


class Ingestion(Protocol):
    """Where reports go. Every method raises `recovery.client.Unavailable` if the database cannot be asked."""

    async def checkout(
        self, report: Checkout, *, aliases: Sequence[str] | None = None, cart: str | None = None
    ) -> object:
        """Keep what is known of a checkout, which may be kept under an alias already."""
        ...

    async def order(
        self,
        report: Order,
        *,
        aliases: Sequence[str] | None = None,
        cart: str | None = None,
        confirm_default: bool = True,
    ) -> object:
        """Keep that a checkout was ordered, whatever alias it is kept under."""
        ...

    async def cancel(
        self, shop: str, order_id: str, *, aliases: Sequence[str] = (), cart: str | None = None
    ) -> bool | None:
        """Never remind of this checkout again; return whether there is such a checkout."""
        ...

    async def cancel_shop(self, shop: str) -> int:
        """Never remind of any checkout of this shop that is open now; return how many there were."""
        ...

    async def consent(self, shop: str, email: str, consent: Consent) -> int | None:
        """Keep a word on consent in all checkouts of a person at this shop; return how many there are."""
        ...

    async def get(self, shop: str, order_id: str) -> CheckoutState | None:
        """Return a checkout as it is kept, or None."""
        ...

    async def export(self, email: str, *, shop: str | None = None) -> dict[str, Any]:
        """Return all that is kept of a person."""
        ...

    async def erase_shop(self, shop: str) -> Receipt:
        """Erase all that is kept for a shop; return what was found."""
        ...

    async def request_data(self, shop: str, id_: str, email: str, orders: Sequence[str] = ()) -> None:
        """Keep that a person asks what is kept of them."""
        ...

    async def erase(self, email: str, *, shop: str | None = None) -> Receipt:
        """Erase all that is kept of a person; return what was found."""
        ...
