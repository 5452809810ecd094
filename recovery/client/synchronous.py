"""The ingestion API for synchronous code."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient

from recovery.client.bounds import TIMEOUT, checked
from recovery.client.driving import run
from recovery.client.many import Item, ReportResult
from recovery.client.outbox import MOST_KEPT
from recovery.client.recovery import Recovery
from recovery.client.reports import Kept
from recovery.domain.checkout import Checkout, Consent, Order
from recovery.domain.state import CheckoutState, MessageState, Status
from recovery.errors import BadAddress, BadOutbox
from recovery.mongo.connection import connect
from recovery.mongo.data_subjects import Receipt
from recovery.mongo.drivers import is_asynchronous
from recovery.mongo.listing import USUAL, Page


class SyncRecovery:
    """The ingestion API for synchronous code: as `Recovery`, with PyMongo's `MongoClient`."""

    def __init__(
        self,
        mongodb: Any,
        *,
        database: str = "recovery",
        timeout: float = TIMEOUT,
        suppression_keys: Sequence[str] = (),
        outbox: str | PathLike[str] | None = None,
        outbox_limit: int = MOST_KEPT,
    ) -> None:
        if is_asynchronous(mongodb):
            raise BadAddress("SyncRecovery needs a URI or PyMongo's MongoClient: for an asyncio client, use Recovery")
        checked(timeout)
        self._own = connect(mongodb, MongoClient) if isinstance(mongodb, str) else None
        try:
            self._recovery = Recovery(
                self._own or mongodb,
                database=database,
                timeout=timeout,
                suppression_keys=suppression_keys,
                outbox=outbox,
                outbox_limit=outbox_limit,
            )
        except BadOutbox:
            self._close_own()
            raise

    def checkout(
        self,
        report: Checkout,
        *,
        aliases: Sequence[str] | None = None,
        cart: str | None = None,
        timeout: float | None = None,
    ) -> Kept:
        """Store a checkout, new or changed: see `Recovery.checkout`. Raises `Unavailable`."""
        return run(self._recovery.checkout(report, aliases=aliases, cart=cart, timeout=timeout))

    def order(
        self,
        report: Order,
        *,
        aliases: Sequence[str] | None = None,
        cart: str | None = None,
        confirm_default: bool = True,
        timeout: float | None = None,
    ) -> Kept:
        """Store that a checkout was ordered: no reminder of it is sent from now on. See `Recovery.order`."""
        return run(
            self._recovery.order(report, aliases=aliases, cart=cart, confirm_default=confirm_default, timeout=timeout)
        )

    def report(
        self, reports: Iterable[Item] | AsyncIterable[Item], *, timeout: float | None = None
    ) -> Iterator[ReportResult]:
        """Store many checkouts and orders; yield the result of each, in their order: see `Recovery.report`.

        They are stored together, 200 at a time: results come when so many are read, or all. `reports` must not be an
        asynchronous iterable: without an event loop there is nothing to wait for it.
        """
        results = self._recovery.report(reports, timeout=timeout)
        try:
            while True:
                try:
                    yield run(_next(results))
                except StopAsyncIteration:
                    return
        finally:
            run(results.aclose())

    def cancel(
        self,
        shop: str,
        order_id: str,
        *,
        aliases: Sequence[str] = (),
        cart: str | None = None,
        timeout: float | None = None,
    ) -> bool | None:
        """Cancel all reminders of a checkout: see `Recovery.cancel`. Raises `Unavailable`."""
        return run(self._recovery.cancel(shop, order_id, aliases=aliases, cart=cart, timeout=timeout))

    def cancel_shop(self, shop: str, *, timeout: float | None = None) -> int:
        """Cancel all open checkouts of a shop: see `Recovery.cancel_shop`."""
        return run(self._recovery.cancel_shop(shop, timeout=timeout))

    def touch(
        self, shop: str, names: Sequence[str], *, at: datetime | None = None, timeout: float | None = None
    ) -> int:
        """Store activity in open checkouts, by any of their names: see `Recovery.touch`."""
        return run(self._recovery.touch(shop, names, at=at, timeout=timeout))

    def pause(
        self,
        shop: str,
        names: Sequence[str] | None = None,
        *,
        reason: str = "its shop has paused it",
        at: datetime | None = None,
        timeout: float | None = None,
    ) -> int:
        """Pause the reminders of checkouts, or of a whole shop: see `Recovery.pause`."""
        return run(self._recovery.pause(shop, names, reason=reason, at=at, timeout=timeout))

    def consent(self, shop: str, email: str, consent: Consent, *, timeout: float | None = None) -> int | None:
        """Store consent, or its withdrawal, in all checkouts of a person at a shop: see `Recovery.consent`."""
        return run(self._recovery.consent(shop, email, consent, timeout=timeout))

    def get(self, shop: str, order_id: str, *, timeout: float | None = None) -> CheckoutState | None:
        """Return a checkout as stored, with its history, or None. Raises `Unavailable`, `Damaged`."""
        return run(self._recovery.get(shop, order_id, timeout=timeout))

    def list(
        self,
        *,
        shop: str | Sequence[str] | None = None,
        status: Status | None = None,
        step: str | None = None,
        state: MessageState | None = None,
        reason: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        email: str | None = None,
        limit: int = USUAL,
        after: str | None = None,
        timeout: float | None = None,
    ) -> Page:
        """Return one page of checkouts as stored, the newest first: see `Recovery.list`."""
        return run(
            self._recovery.list(
                shop=shop,
                status=status,
                step=step,
                state=state,
                reason=reason,
                since=since,
                until=until,
                email=email,
                limit=limit,
                after=after,
                timeout=timeout,
            )
        )

    def suppress(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> bool | None:
        """Suppress an address: see `Recovery.suppress`. Raises `Unavailable`, `ValueError`."""
        return run(self._recovery.suppress(email, shop=shop, timeout=timeout))

    def unsuppress(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> bool:
        """Lift the suppression of an address: see `Recovery.unsuppress`."""
        return run(self._recovery.unsuppress(email, shop=shop, timeout=timeout))

    def export(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Return all data about a person: see `Recovery.export`. Raises `Unavailable`, `ValueError`."""
        return run(self._recovery.export(email, shop=shop, timeout=timeout))

    def erase(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> Receipt:
        """Erase all data about a person: see `Recovery.erase`. Raises `Unavailable`, `ValueError`."""
        return run(self._recovery.erase(email, shop=shop, timeout=timeout))

    def erase_shop(self, shop: str, *, timeout: float | None = None) -> Receipt:
        """Erase all data of a shop: see `Recovery.erase_shop`. Raises as `export`."""
        return run(self._recovery.erase_shop(shop, timeout=timeout))

    def request_data(
        self, shop: str, id_: str, email: str, orders: Sequence[str] = (), *, timeout: float | None = None
    ) -> None:
        """Store a person's request for their data: see `Recovery.request_data`. Raises as `export`."""
        run(self._recovery.request_data(shop, id_, email, orders, timeout=timeout))

    def waiting(self) -> int:
        """Return the number of reports waiting in the outbox: see `Recovery.waiting`."""
        return run(self._recovery.waiting())

    def close(self) -> None:
        """Close the outbox, and the connection if it was opened here."""
        run(self._recovery.close())
        self._close_own()

    def _close_own(self) -> None:
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        run(self._recovery.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


async def _next(results: AsyncGenerator[ReportResult, None]) -> ReportResult:
    return await anext(results)
