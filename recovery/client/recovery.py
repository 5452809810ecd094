"""The ingestion API for asyncio."""

import math
from collections.abc import Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Self

from bson.errors import InvalidBSON
from pydantic import TypeAdapter, ValidationError

from recovery.client.bounds import READING, TIMEOUT, Bounds, checked
from recovery.client.direct import Direct
from recovery.client.outbox import MOST_KEPT, Outbox, opened
from recovery.client.reports import (
    CancelReport,
    CheckoutReport,
    ConsentReport,
    Kept,
    OrderReport,
    Report,
    SuppressReport,
)
from recovery.domain.checkout import Checkout, Consent, Order, checkout_id
from recovery.domain.fields import Email, ShopKey, normalised
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import CheckoutState, Status
from recovery.engine.writes import Unreadable
from recovery.errors import Damaged
from recovery.mongo.collections import CHECKOUTS, OPTIONS, SUPPRESSIONS, of_shop
from recovery.mongo.connection import connect
from recovery.mongo.data_subjects import Persons, Receipt
from recovery.mongo.documents import read
from recovery.mongo.drivers import is_asynchronous, own_limit, settled
from recovery.mongo.intake import cancelled
from recovery.mongo.naming import called
from recovery.mongo.suppressions import lift_query

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_SHOP: TypeAdapter[str | None] = TypeAdapter(ShopKey | None)


def _state(document: Any, id_: str) -> CheckoutState | None:
    if document is None:
        return None
    found = read(document)
    if isinstance(found, Unreadable):
        raise Damaged(f"checkout {id_} cannot be read: {found.fault}")
    return found


def _addressed(email: str, shop: str | None) -> tuple[str, str | None]:
    """Return an address and a shop as they are kept. Raises `ValueError`."""
    try:
        return _EMAIL.validate_python(email), _SHOP.validate_python(shop)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ValueError(f"this is no address, or no shop: {fault['msg']}") from None


def _names(aliases: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if aliases is None else tuple(aliases)


class Recovery:
    """Report checkouts and orders, from asyncio.

    `mongodb` is a URI, or a client that the service already has: PyMongo's `AsyncMongoClient` or Motor's
    `AsyncIOMotorClient`. A client that was given is not closed.

        async with Recovery("mongodb://db.example/?replicaSet=rs0") as recovery:
            await recovery.checkout(Checkout(...))

    Every call is one atomic write; when it returns, a majority of the database's nodes has it in its journal.
    Concurrent calls share a round trip, and each has its own outcome. A call that raises `Unavailable` may be made
    again: the same report twice changes nothing.

    `timeout` is how many seconds a call may take, after which it raises `Unavailable`; `math.inf` is no limit. Each
    call may be given one of its own. Where the client has a shorter one, such as `timeoutMS`, that holds.

    `outbox` is the path of a file that keeps checkouts, orders, cancellations, consent and suppressions when the
    database does not take them within the timeout, `outbox_limit` of them at most. They are delivered later, in order,
    by a task that `async with`, or the first of these calls, starts. Such a call then returns `Kept.OUTBOX`, or None in
    place of what only the database can tell. Raises `BadOutbox`.

    `suppression_keys` are the daemon's `suppressions.keys`; only `suppress`, `unsuppress`, `erase` and `export` need
    them. `most_at_once` is how many calls may wait for the database: those beyond raise `Unavailable` at once.
    """

    def __init__(
        self,
        mongodb: Any,
        *,
        database: str = "recovery",
        timeout: float = TIMEOUT,
        suppression_keys: Sequence[str] = (),
        most_at_once: float = math.inf,
        outbox: str | PathLike[str] | None = None,
        outbox_limit: int = MOST_KEPT,
    ) -> None:
        checked(timeout)  # before there is a connection that would have to be closed
        journal = opened(outbox, outbox_limit) if outbox is not None else None
        self._own = isinstance(mongodb, str)
        self._client = connect(mongodb) if self._own else mongodb
        self._bounds = Bounds(timeout, shortened=own_limit(self._client), most_at_once=most_at_once)
        self._checkouts = self._client[database].get_collection(CHECKOUTS, **OPTIONS)
        self._suppressions = self._client[database].get_collection(SUPPRESSIONS, **OPTIONS)
        self._pseudonyms = Pseudonyms(suppression_keys)
        self._persons = Persons(self._client[database], self._pseudonyms)
        self._direct = Direct(self._client, database, self._bounds, self._pseudonyms)
        self._outbox = None if journal is None else Outbox(journal, self._direct.send, is_asynchronous(self._client))

    async def checkout(
        self,
        report: Checkout,
        *,
        aliases: Sequence[str] | None = None,
        cart: str | None = None,
        timeout: float | None = None,
    ) -> Kept:
        """Keep what is known of a checkout, new or changed; return where it is kept. Raises `Unavailable`.

        `aliases` are other order ids that the same checkout is called by, `cart` is what the shop calls the cart that
        it was made of. Even an empty list has it looked for by all of its names, as who changes how checkouts are named
        needs it; and a cart that has been ordered meanwhile is not opened again.
        """
        asked = CheckoutReport(report=report, aliases=_names(aliases), cart=cart)
        return await self._report(asked, timeout) or Kept.OUTBOX

    async def order(
        self,
        report: Order,
        *,
        aliases: Sequence[str] | None = None,
        cart: str | None = None,
        confirm_default: bool = True,
        timeout: float | None = None,
    ) -> Kept:
        """Keep that a checkout was ordered: no reminder of it is sent from now on. Raises `Unavailable`.

        `aliases` and `cart` as for `checkout`: whatever it is kept under is ordered, and confirmed once, and nobody is
        reminded of another checkout of the same cart. `confirm_default` is whether it is to be confirmed, where no
        report says so.
        """
        asked = OrderReport(report=report, aliases=_names(aliases), cart=cart, confirm_default=confirm_default)
        return await self._report(asked, timeout) or Kept.OUTBOX

    async def cancel(
        self,
        shop: str,
        order_id: str,
        *,
        aliases: Sequence[str] = (),
        cart: str | None = None,
        timeout: float | None = None,
    ) -> bool | None:
        """Never remind of this checkout again; return whether there is such a checkout. Raises `Unavailable`.

        A cancelled checkout stays cancelled whatever is reported of it, but for an order, which is confirmed. Where no
        checkout has any of these names, those of the `cart` are cancelled.
        """
        asked = CancelReport(shop=shop, order_id=order_id, aliases=tuple(aliases), cart=cart)
        found: bool | None = await self._report(asked, timeout)
        return found

    async def cancel_shop(self, shop: str, *, timeout: float | None = None) -> int:
        """Never remind of any checkout of this shop that is open now; return how many. Raises `Unavailable`.

        As when a shop will tell of its orders no more. What it reports from now on is taken as ever.
        """
        with self._bounds.call(timeout) as call:
            return await self._direct.update({"_id": of_shop(shop), "status": Status.OPEN}, cancelled(), call)

    async def consent(self, shop: str, email: str, consent: Consent, *, timeout: float | None = None) -> int | None:
        """Keep a word on consent in all checkouts of a person at this shop; return how many there are.

        Of several words the latest counts. Raises `Unavailable`, or `ValueError` for what is no address.
        """
        email, _ = _addressed(email, shop)
        found: int | None = await self._report(ConsentReport(shop=shop, email=email, consent=consent), timeout)
        return found

    async def get(self, shop: str, order_id: str, *, timeout: float | None = None) -> CheckoutState | None:
        """Return a checkout as it is kept, with its history, or None. Raises `Unavailable`, `Damaged`.

        It is found by whatever it is called: its own id, an alias, or its cart.
        """
        id_ = checkout_id(shop, order_id)
        try:
            with self._bounds.call(timeout, READING) as call, call.driver():
                document = await settled(self._checkouts.find_one({"_id": id_}))
                if document is None:
                    document = await settled(self._checkouts.find_one(called(shop, [order_id])))
        except InvalidBSON as exc:
            raise Damaged(f"checkout {id_} cannot be read: {exc}") from exc
        return _state(document, id_)

    async def suppress(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> bool | None:
        """Never remind this address again, of any checkout of this shop, or without one of any shop.

        Orders are still confirmed. Returns whether that was new. Raises `Unavailable`, or `ValueError` for what is no
        address.
        """
        email, shop = _addressed(email, shop)
        found: bool | None = await self._report(SuppressReport(shop=shop, email=email), timeout)
        return found

    async def unsuppress(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> bool:
        """Lift what keeps this address from being written to by this shop or, without one, what does so by all.

        That is whatever the reason was: ask people first. Returns whether there was anything. Raises as `suppress`.
        """
        email, shop = _addressed(email, shop)
        with self._bounds.call(timeout) as call, call.driver():
            result = await settled(self._suppressions.delete_many(lift_query(self._pseudonyms, email, shop)))
        return bool(result.deleted_count)

    async def export(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Return all that is kept of a person at this shop, or at all of them, as plain values.

        Raises `Unavailable`, or `ValueError` for what is no address.
        """
        email, shop = _addressed(email, shop)
        with self._bounds.call(timeout, READING) as call, call.driver():
            return await self._persons.export(email, shop)

    async def erase(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> Receipt:
        """Erase all that is kept of a person at this shop, or at all of them, and never write to the address again.

        What stays is a pseudonym among the suppressions. Calling again is safe. Raises as `export`.
        """
        email, shop = _addressed(email, shop)
        if self._outbox is not None:
            await self._outbox.forget(normalised(email), shop)
        with self._bounds.call(timeout) as call, call.driver():
            return await self._persons.erase(email, shop)

    async def erase_shop(self, shop: str, *, timeout: float | None = None) -> Receipt:
        """Erase all that is kept for a shop, its own suppressions too. Calling again is safe. Raises as `export`."""
        try:
            shop = _SHOP.validate_python(shop) or ""
        except ValidationError as exc:
            raise ValueError("invalid shop") from exc
        with self._bounds.call(timeout) as call, call.driver():
            return await self._persons.erase_shop(shop)

    async def request_data(
        self, shop: str, id_: str, email: str, orders: Sequence[str] = (), *, timeout: float | None = None
    ) -> None:
        """Keep that a person asks a shop what is kept of them, for an operator to answer. Raises as `export`."""
        email, _ = _addressed(email, shop)
        with self._bounds.call(timeout) as call, call.driver():
            await self._persons.request_data(shop, id_, email, orders)

    async def waiting(self) -> int:
        """Return how many reports wait in the outbox to be delivered; 0 without one. Raises `Unavailable`."""
        return 0 if self._outbox is None else await self._outbox.waiting()

    async def close(self) -> None:
        """Close the connection, if it was opened here, and the outbox: what waits there waits for the next start."""
        if self._outbox is not None:
            await self._outbox.stop()
        if self._own:
            await settled(self._client.close())

    async def _report(self, report: Report, timeout: float | None) -> Any:
        send = self._direct.send if self._outbox is None else self._outbox.take
        return await send(report, timeout)

    async def __aenter__(self) -> Self:
        if self._outbox is not None:
            self._outbox.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
