"""The port to the ingestion API, as the HTTP endpoints need it. `recovery.client.Recovery` implements it."""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from datetime import datetime
from typing import Any, Protocol

from recovery.client.many import Item, ReportResult
from recovery.domain.checkout import Checkout, Consent, Order
from recovery.domain.state import CheckoutState, MessageState, Status
from recovery.mongo.data_subjects import Receipt
from recovery.mongo.listing import Page


class Ingestion(Protocol):
    """Stores and reads reports. Every method raises `recovery.errors.Unavailable` if the database is unavailable."""

    async def checkout(
        self, report: Checkout, *, aliases: Sequence[str] | None = None, cart: str | None = None
    ) -> object:
        """Store a report of a checkout, which may be stored under an alias already."""
        ...

    async def order(
        self,
        report: Order,
        *,
        aliases: Sequence[str] | None = None,
        cart: str | None = None,
        confirm_default: bool = True,
    ) -> object:
        """Store the order of a checkout, whichever alias that is stored under."""
        ...

    def report(self, reports: AsyncIterable[Item]) -> AsyncGenerator[ReportResult, None]:
        """Store many reports; yield the result of each, in their order."""
        ...

    async def cancel(
        self, shop: str, order_id: str, *, aliases: Sequence[str] = (), cart: str | None = None
    ) -> bool | None:
        """Cancel all reminders of a checkout; return False if there is none."""
        ...

    async def touch(self, shop: str, names: Sequence[str], *, at: datetime | None = None) -> int:
        """Store activity in open checkouts, by any of their names; return their number."""
        ...

    async def pause(
        self, shop: str, names: Sequence[str] | None = None, *, reason: str = ..., at: datetime | None = None
    ) -> int:
        """Pause the reminders of checkouts, or of all open ones of a shop; return their number."""
        ...

    async def consent(self, shop: str, email: str, consent: Consent) -> int | None:
        """Store a consent, or its withdrawal, in all checkouts of a person at a shop; return their number."""
        ...

    async def get(self, shop: str, order_id: str) -> CheckoutState | None:
        """Return a checkout as it is stored, or None."""
        ...

    async def list(
        self,
        *,
        shop: str | Sequence[str] | None,
        status: Status | None,
        step: str | None,
        state: MessageState | None,
        reason: str | None,
        since: datetime | None,
        until: datetime | None,
        email: str | None,
        limit: int,
        after: str | None,
    ) -> Page:
        """Return one page of checkouts, the newest first. Raises `recovery.mongo.listing.BadFilter`."""
        ...

    async def export(self, email: str, *, shop: str | None = None) -> dict[str, Any]:
        """Return all data of a person."""
        ...

    async def erase_shop(self, shop: str) -> Receipt:
        """Erase all data of a shop; return a receipt."""
        ...

    async def request_data(self, shop: str, id_: str, email: str, orders: Sequence[str] = ()) -> None:
        """Store the request of a person for their data, for an operator to answer."""
        ...

    async def erase(self, email: str, *, shop: str | None = None) -> Receipt:
        """Erase all data of a person; return a receipt."""
        ...
