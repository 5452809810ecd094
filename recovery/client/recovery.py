"""The ingestion API for asyncio."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any, Self

from bson.errors import InvalidBSON
from pydantic import TypeAdapter, ValidationError

from recovery.client.bounds import READING, TIMEOUT, Bounds, checked
from recovery.client.direct import Direct
from recovery.client.many import Asked, Item, ReportResult, Window, in_batches
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
from recovery.domain.state import CheckoutState, MessageState, Status
from recovery.engine.writes import Unreadable
from recovery.errors import Damaged
from recovery.mongo import listing
from recovery.mongo.collections import CHECKOUTS, OPTIONS, SUPPRESSIONS, of_shop
from recovery.mongo.connection import connect
from recovery.mongo.data_subjects import Persons, Receipt
from recovery.mongo.documents import read
from recovery.mongo.drivers import is_asynchronous, own_limit, settled
from recovery.mongo.intake import cancelled, paused, touched
from recovery.mongo.listing import Filters, Page
from recovery.mongo.naming import called
from recovery.mongo.suppressions import lift_query

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_SHOP: TypeAdapter[str | None] = TypeAdapter(ShopKey | None)


def _state(document: Any, id_: str) -> CheckoutState | None:
    if document is None:
        return None
    found = read(document)
    if isinstance(found, Unreadable):
        raise Damaged(f"checkout {id_} cannot be read: {found.fault}; correct it in the database")
    return found


def _addressed(email: str, shop: str | None) -> tuple[str, str | None]:
    """Return an address and a shop in their stored form. Raises `ValueError`."""
    try:
        return _EMAIL.validate_python(email), _SHOP.validate_python(shop)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ValueError(f"invalid e-mail address or shop: {fault['msg']}") from None


def _names(aliases: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if aliases is None else tuple(aliases)


class Recovery:
    """The ingestion API for asyncio: report checkouts and orders.

    `mongodb` is a URI, or a client that the service already has: PyMongo's `AsyncMongoClient` or Motor's
    `AsyncIOMotorClient`. Such a client is not closed.

        async with Recovery("mongodb://db.example/?replicaSet=rs0") as recovery:
            await recovery.checkout(Checkout(...))

    Every call is one atomic write; when it returns, a majority of the database's nodes has it in its journal.
    Concurrent calls share a round trip, and each has its own result. Calls are idempotent: one that raises
    `Unavailable` may be repeated, and the same report twice changes nothing.

    `timeout` is the time limit of a call in seconds, after which it raises `Unavailable`; `math.inf` is no limit. Each
    call accepts its own. If the client has a shorter limit, such as `timeoutMS`, that applies.

    `outbox` is the path of a file that stores checkouts, orders, cancellations, consent and suppressions when the
    database does not acknowledge them within the timeout, at most `outbox_limit` of them. They are delivered later, in
    order and at least once, by a task that `async with` or the first of these calls starts. Such a call returns
    `Kept.OUTBOX`, or None instead of a result that only the database knows. Raises `BadOutbox`.

    `suppression_keys` are the daemon's `suppressions.keys`; only `suppress`, `unsuppress`, `erase` and `export` need
    them. `most_at_once` limits the calls that wait for the database; further calls raise `Unavailable` at once.
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
        """Store a checkout, new or changed; return where it is stored. Raises `Unavailable`.

        `aliases` are other order ids of the same checkout, `cart` is the shop's id of the cart that it was created
        from. If either is given, even an empty list, the checkout is looked up by all of its names, as is necessary
        when a shop changes how it names checkouts; and a cart that has been ordered meanwhile is not reopened.
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
        """Store that a checkout was ordered: no reminder of it is sent from now on. Raises `Unavailable`.

        `aliases` and `cart` are as for `checkout`: the checkout is found under any of its names and confirmed once,
        and other checkouts of the same cart get no reminders. `confirm_default` says whether the order is confirmed if
        no report says so.
        """
        asked = OrderReport(report=report, aliases=_names(aliases), cart=cart, confirm_default=confirm_default)
        return await self._report(asked, timeout) or Kept.OUTBOX

    async def report(
        self, reports: Iterable[Item] | AsyncIterable[Item], *, timeout: float | None = None
    ) -> AsyncGenerator[ReportResult, None]:
        """Store many checkouts and orders; yield the result of each, in their order.

            async for each in recovery.report(reports):
                if each.error:
                    print(each.report.id, each.error)

        `reports` is any iterable, or asynchronous one, of `Checkout` and `Order`, of any length: it is read no further
        than there is room for, so memory does not grow with it. One that cannot be stored does not end the rest. An
        exception in place of a report becomes the error of its result. What the iterable raises is raised after the
        results of what it yielded. `timeout` is that of each report, once it is its turn to be written.
        """
        if is_asynchronous(self._client):
            results = Window(lambda group: self._all_kept(group, timeout)).results(reports)
        elif isinstance(reports, AsyncIterable):
            raise TypeError("SyncRecovery cannot read an asynchronous iterable: give one that is not, or use Recovery")
        else:
            results = in_batches(lambda batch: self._all_kept(batch, timeout), reports)
        async with aclosing(results):
            async for each in results:
                yield each

    async def cancel(
        self,
        shop: str,
        order_id: str,
        *,
        aliases: Sequence[str] = (),
        cart: str | None = None,
        timeout: float | None = None,
    ) -> bool | None:
        """Cancel all reminders of a checkout; return whether there is such a checkout. Raises `Unavailable`.

        A cancelled checkout stays cancelled whatever is reported later, except for an order, which is confirmed. If no
        checkout has any of these names, the checkouts of the `cart` are cancelled.
        """
        asked = CancelReport(shop=shop, order_id=order_id, aliases=tuple(aliases), cart=cart)
        found: bool | None = await self._report(asked, timeout)
        return found

    async def cancel_shop(self, shop: str, *, timeout: float | None = None) -> int:
        """Cancel all open checkouts of a shop; return how many. Raises `Unavailable`.

        For a shop that stops reporting its orders. Later reports of the shop are accepted as usual.
        """
        with self._bounds.call(timeout) as call:
            return await self._direct.update({"_id": of_shop(shop), "status": Status.OPEN}, cancelled(), call)

    async def touch(
        self, shop: str, names: Sequence[str], *, at: datetime | None = None, timeout: float | None = None
    ) -> int:
        """Store activity in open checkouts, by any of their names; return how many there are. Raises `Unavailable`.

        It postpones their reminders as a report would, and changes nothing else. `at` is by default the time of the
        call. For a platform that tells of a cart, but not of the customer or the prices.
        """
        with self._bounds.call(timeout) as call:
            return await self._direct.update(called(shop, names), touched(at), call)

    async def pause(
        self,
        shop: str,
        names: Sequence[str] | None = None,
        *,
        reason: str = "its shop has paused it",
        at: datetime | None = None,
        timeout: float | None = None,
    ) -> int:
        """Pause checkouts, by any of their names, or all open ones of a shop; return how many. Raises `Unavailable`.

        A paused checkout causes no reminders until it is reported with activity that is later than `at`, by default the
        time of the call. An order of it is confirmed as usual.
        """
        query = {"_id": of_shop(shop), "status": Status.OPEN} if names is None else called(shop, names)
        with self._bounds.call(timeout) as call:
            return await self._direct.update(query, paused(reason, at), call)

    async def consent(self, shop: str, email: str, consent: Consent, *, timeout: float | None = None) -> int | None:
        """Store consent, or its withdrawal, in all checkouts of a person at a shop; return how many there are.

        The latest one counts. Raises `Unavailable`, or `ValueError` for an invalid address.
        """
        email, _ = _addressed(email, shop)
        found: int | None = await self._report(ConsentReport(shop=shop, email=email, consent=consent), timeout)
        return found

    async def get(self, shop: str, order_id: str, *, timeout: float | None = None) -> CheckoutState | None:
        """Return a checkout as stored, with its history, or None. Raises `Unavailable`, `Damaged`.

        It is found by any of its names: its own id, an alias, or its cart.
        """
        id_ = checkout_id(shop, order_id)
        try:
            with self._bounds.call(timeout, READING) as call, call.driver():
                document = await settled(self._checkouts.find_one({"_id": id_}))
                if document is None:
                    document = await settled(self._checkouts.find_one(called(shop, [order_id])))
        except InvalidBSON as exc:
            raise Damaged(f"checkout {id_} cannot be read: {exc}; correct it in the database") from exc
        return _state(document, id_)

    async def list(
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
        limit: int = listing.USUAL,
        after: str | None = None,
        timeout: float | None = None,
    ) -> Page:
        """Return one page of checkouts as stored, without history, the newest first. `after` is the last page's `next`.

        It needs `shop`, one or several, or `email`. `since` and `until` are about the time when they were opened.
        `state` and `reason` are those of the message of `step`. Raises `Unavailable`, and `ValueError` (`BadFilter`)
        for filters that no index serves.
        """
        shops = (shop,) if isinstance(shop, str) else tuple(shop or ())
        if email is not None:
            email, _ = _addressed(email, None)
        filters = Filters(shops, status, step, state, reason, since, until, email)
        with self._bounds.call(timeout, READING) as call, call.driver():
            return await listing.page(self._checkouts, filters, limit, after)

    async def suppress(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> bool | None:
        """Suppress an address: it gets no more reminders from this shop or, without a shop, from any.

        Orders are still confirmed. Returns whether the suppression is new. Raises `Unavailable`, or `ValueError` for an
        invalid address.
        """
        email, shop = _addressed(email, shop)
        found: bool | None = await self._report(SuppressReport(shop=shop, email=email), timeout)
        return found

    async def unsuppress(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> bool:
        """Lift the suppression of an address for this shop or, without a shop, the one for all shops.

        It is lifted whatever its reason was: ask the person first. Returns whether there was one. Raises as `suppress`.
        """
        email, shop = _addressed(email, shop)
        with self._bounds.call(timeout) as call, call.driver():
            result = await settled(self._suppressions.delete_many(lift_query(self._pseudonyms, email, shop)))
        return bool(result.deleted_count)

    async def export(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Return all data about a person at this shop, or at all shops, as plain values (GDPR, articles 15 and 20).

        Raises `Unavailable`, or `ValueError` for an invalid address.
        """
        email, shop = _addressed(email, shop)
        with self._bounds.call(timeout, READING) as call, call.driver():
            return await self._persons.export(email, shop)

    async def erase(self, email: str, *, shop: str | None = None, timeout: float | None = None) -> Receipt:
        """Erase all data about a person at this shop, or at all shops, and suppress the address (GDPR, article 17).

        Only a pseudonym remains, in the suppression list. Idempotent. Raises as `export`.
        """
        email, shop = _addressed(email, shop)
        if self._outbox is not None:
            await self._outbox.forget(normalised(email), shop)
        with self._bounds.call(timeout) as call, call.driver():
            return await self._persons.erase(email, shop)

    async def erase_shop(self, shop: str, *, timeout: float | None = None) -> Receipt:
        """Erase all data of a shop, including its suppressions. Idempotent. Raises as `export`."""
        try:
            shop = _SHOP.validate_python(shop) or ""
        except ValidationError as exc:
            raise ValueError(f"invalid shop: {exc.errors()[0]['msg']}") from exc
        with self._bounds.call(timeout) as call, call.driver():
            return await self._persons.erase_shop(shop)

    async def request_data(
        self, shop: str, id_: str, email: str, orders: Sequence[str] = (), *, timeout: float | None = None
    ) -> None:
        """Store a person's request for their data at a shop, for an operator to answer. Raises as `export`."""
        email, _ = _addressed(email, shop)
        with self._bounds.call(timeout) as call, call.driver():
            await self._persons.request_data(shop, id_, email, orders)

    async def waiting(self) -> int:
        """Return the number of reports waiting in the outbox; 0 without an outbox. Raises `Unavailable`."""
        return 0 if self._outbox is None else await self._outbox.waiting()

    async def close(self) -> None:
        """Close the outbox, and the connection if it was opened here. Waiting reports are delivered after a restart."""
        if self._outbox is not None:
            await self._outbox.stop()
        if self._own:
            await settled(self._client.close())

    async def _all_kept(self, reports: Sequence[Asked], timeout: float | None) -> Sequence[Kept | Exception]:
        if self._outbox is None:
            return await self._direct.send_all(reports, timeout)
        each_kept = (self._kept(report, timeout) for report in reports)  # each by itself, since it may go to the file
        if is_asynchronous(self._client):
            return await asyncio.gather(*each_kept)
        return [await each for each in each_kept]

    async def _kept(self, report: Asked, timeout: float | None) -> Kept | Exception:
        try:
            return await self._report(report, timeout) or Kept.OUTBOX
        except Exception as exc:  # noqa: BLE001  the result of this report, and of no other
            return exc

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
