"""The ingestion API: what a shop's services import to report checkouts and orders.

`Recovery` is for asyncio, `SyncRecovery` for Flask, Django and the like; the second runs the first without a loop.
"""

import re
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from bson.errors import InvalidBSON
from pydantic import TypeAdapter, ValidationError
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from recovery.checkout import Checkout, CheckoutState, Email, Order, ShopKey, checkout_id, normalised
from recovery.mongo.collections import CHECKOUTS, OPTIONS, SUPPRESSIONS, of_shop
from recovery.mongo.documents import read
from recovery.mongo.drivers import is_asynchronous, settled
from recovery.mongo.group_commit import GroupCommit
from recovery.mongo.intake import Write, cancel_write, checkout_write, order_write
from recovery.mongo.persons import Persons, Receipt
from recovery.mongo.suppressions import NewSuppression, lift_query, suppress_write
from recovery.ports import Unreadable
from recovery.sealing import Pseudonyms
from recovery.standing import SuppressionReason

T = TypeVar("T")

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_SHOP: TypeAdapter[str | None] = TypeAdapter(ShopKey | None)

CLIENT_OPTIONS = {"tz_aware": True, "appname": "recovery", "serverSelectionTimeoutMS": 5000}


class RecoveryError(Exception):
    """Whatever a call to Recovery can fail with.

    RecoveryError
    ├── Unavailable       the database could not be asked to keep this: call again later
    ├── BadAddress        the address of the database is not one
    └── Damaged           what is kept cannot be read
    """


class Unavailable(RecoveryError):
    """The database cannot be reached, or refuses: nothing is known to be kept. Calling again is safe."""


class BadAddress(RecoveryError):
    """What was given as the address of the database is neither a MongoDB URI nor a client."""


class Damaged(RecoveryError):
    """A kept checkout was changed by another hand so that it cannot be read any more; the message names the field."""


def _unavailable(exc: PyMongoError) -> Unavailable:
    return Unavailable(f"MongoDB did not acknowledge this, so it may not be kept; call again later: {exc}")


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


def connect(uri: str, kind: type[Any] = AsyncMongoClient, **options: Any) -> Any:
    """Return a client of this kind for a URI, as Recovery wants it. Raises `BadAddress`."""
    asked = uri.lower()
    defaults = {name: value for name, value in CLIENT_OPTIONS.items() if f"{name.lower()}=" not in asked}
    try:
        return kind(uri, **(defaults | options))
    except (InvalidURI, ConfigurationError, ValueError) as exc:
        raise BadAddress(f"this is not the address of a MongoDB: {exc}") from exc


class Recovery:
    """Report checkouts and orders, from asyncio.

    `mongodb` is a URI, or a client that the service already has: PyMongo's `AsyncMongoClient` or Motor's
    `AsyncIOMotorClient`. A client that was given is not closed.

        async with Recovery("mongodb://db.example/?replicaSet=rs0") as recovery:
            await recovery.checkout(Checkout(...))

    Every call is one atomic write; when it returns, a majority of the database's nodes has it in its journal.
    Concurrent calls share a round trip, and each has its own outcome. A call that raises `Unavailable` may be made
    again: the same report twice changes nothing.

    `suppression_keys` are the daemon's `suppressions.keys`; only `suppress`, `unsuppress`, `erase` and `export` need
    them.
    """

    def __init__(self, mongodb: Any, *, database: str = "recovery", suppression_keys: Sequence[str] = ()) -> None:
        self._own = isinstance(mongodb, str)
        self._client = connect(mongodb) if self._own else mongodb
        self._checkouts = self._client[database].get_collection(CHECKOUTS, **OPTIONS)
        self._suppressions = self._client[database].get_collection(SUPPRESSIONS, **OPTIONS)
        self._pseudonyms = Pseudonyms(suppression_keys)
        self._persons = Persons(self._client[database], self._pseudonyms)
        self._group = GroupCommit(self._checkouts) if is_asynchronous(self._client) else None

    async def checkout(self, report: Checkout, *, aliases: Sequence[str] | None = None) -> None:
        """Keep what is known of a checkout, new or changed. Raises `Unavailable`.

        `aliases` are other order ids that the same checkout may be kept under already; even an empty list has it looked
        for by the id in its `checkout_url`, as who changes how checkouts are named needs it.
        """
        if aliases is not None and (known := await self._known_as(report, aliases)):
            report = report.model_copy(update={"order_id": known[0]})
        await self._write(checkout_write(report, aliases=aliases or ()))

    async def order(self, report: Order, *, aliases: Sequence[str] | None = None, confirm_default: bool = True) -> None:
        """Keep that a checkout was ordered: no reminder of it is sent from now on. Raises `Unavailable`.

        `aliases` as for `checkout`: whatever it is kept under is ordered, and confirmed once. `confirm_default` is
        whether that is to be, where no report says so.
        """
        known = [] if aliases is None else await self._known_as(report, aliases)
        named = [report.model_copy(update={"order_id": order_id}) for order_id in known[:1]] or [report]
        also = [each.model_copy(update={"confirm": False}) for each in self._as(report, known[1:])]
        for each in (*also, *named):
            await self._write(order_write(each, confirm_default=confirm_default, aliases=aliases or ()))

    async def cancel(self, shop: str, order_id: str) -> bool:
        """Never remind of this checkout again; return whether there is such a checkout. Raises `Unavailable`.

        A cancelled checkout stays cancelled whatever is reported of it, but for an order, which is confirmed.
        """
        try:
            result = await settled(self._checkouts.update_one(*cancel_write(checkout_id(shop, order_id))))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc
        return bool(result.matched_count)

    async def get(self, shop: str, order_id: str) -> CheckoutState | None:
        """Return a checkout as it is kept, with its history, or None. Raises `Unavailable`, `Damaged`."""
        id_ = checkout_id(shop, order_id)
        try:
            document = await settled(self._checkouts.find_one({"_id": id_}))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc
        except InvalidBSON as exc:
            raise Damaged(f"checkout {id_} cannot be read: {exc}") from exc
        return _state(document, id_)

    async def suppress(self, email: str, *, shop: str | None = None) -> bool:
        """Never remind this address again, of any checkout of this shop, or without one of any shop.

        Orders are still confirmed. Returns whether that was new. Raises `Unavailable`, or `ValueError` for what is no
        address.
        """
        email, shop = _addressed(email, shop)
        new = NewSuppression(shop, self._pseudonyms.of(email), SuppressionReason.SHOP, "service")
        try:
            result = await settled(self._suppressions.update_one(*suppress_write(new)))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc
        return result.upserted_id is not None or bool(result.modified_count)

    async def unsuppress(self, email: str, *, shop: str | None = None) -> bool:
        """Lift what keeps this address from being written to by this shop or, without one, what does so by all.

        That is whatever the reason was: ask people first. Returns whether there was anything. Raises as `suppress`.
        """
        email, shop = _addressed(email, shop)
        try:
            result = await settled(self._suppressions.delete_many(lift_query(self._pseudonyms, email, shop)))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc
        return bool(result.deleted_count)

    async def export(self, email: str, *, shop: str | None = None) -> dict[str, Any]:
        """Return all that is kept of a person at this shop, or at all of them, as plain values.

        Raises `Unavailable`, or `ValueError` for what is no address.
        """
        try:
            return await self._persons.export(*_addressed(email, shop))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc

    async def erase(self, email: str, *, shop: str | None = None) -> Receipt:
        """Erase all that is kept of a person at this shop, or at all of them, and never write to the address again.

        What stays is a pseudonym among the suppressions. Calling again is safe. Raises as `export`.
        """
        try:
            return await self._persons.erase(*_addressed(email, shop))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc

    async def erase_shop(self, shop: str) -> Receipt:
        """Erase all that is kept for a shop, its own suppressions too. Calling again is safe. Raises as `export`."""
        try:
            return await self._persons.erase_shop(_SHOP.validate_python(shop) or "")
        except ValidationError as exc:
            raise ValueError("invalid shop") from exc
        except PyMongoError as exc:
            raise _unavailable(exc) from exc

    async def request_data(self, shop: str, id_: str, email: str, orders: Sequence[str] = ()) -> None:
        """Keep that a person asks a shop what is kept of them, for an operator to answer. Raises as `export`."""
        email, _ = _addressed(email, shop)
        try:
            await self._persons.request_data(shop, id_, email, orders)
        except PyMongoError as exc:
            raise _unavailable(exc) from exc

    async def close(self) -> None:
        """Close the connection, if it was opened here."""
        if self._own:
            await settled(self._client.close())

    @staticmethod
    def _as(report: Order, order_ids: Sequence[str]) -> list[Order]:
        return [Order(shop=report.shop, order_id=each, ordered_at=report.ordered_at) for each in order_ids]

    async def _known_as(self, report: Checkout | Order, aliases: Sequence[str]) -> list[str]:
        """Return the order ids that a checkout is kept under, its own first."""
        names = [report.order_id, *aliases]
        ids = [checkout_id(report.shop, name) for name in names]
        either: list[dict[str, Any]] = [{"_id": {"$in": ids}}]
        if report.customer is not None:
            in_link = {"$regex": rf"/{re.escape(report.order_id)}(?:[/?#]|$)"}
            of_person = {"address": normalised(report.customer.email), "_id": of_shop(report.shop)}
            either.append(of_person | {"$or": [{"facts.checkout_url": in_link}, {"known_as": {"$in": names}}]})
        try:
            found = await settled(self._checkouts.find({"$or": either}, ["_id"]).to_list(None))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc
        known = sorted(each["_id"].partition("/")[2] for each in found)
        return sorted(known, key=lambda name: names.index(name) if name in names else len(names))

    async def _write(self, write: Write) -> None:
        try:
            if self._group is not None:
                await self._group.write(write)
            else:
                await settled(self._checkouts.update_one(*write))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class SyncRecovery:
    """Report checkouts and orders, from code that does not await. As `Recovery`, with PyMongo's `MongoClient`."""

    def __init__(self, mongodb: Any, *, database: str = "recovery", suppression_keys: Sequence[str] = ()) -> None:
        if is_asynchronous(mongodb):
            raise BadAddress(
                "SyncRecovery takes a URI or PyMongo's MongoClient; for an asyncio client there is Recovery"
            )
        self._own = connect(mongodb, MongoClient) if isinstance(mongodb, str) else None
        self._recovery = Recovery(self._own or mongodb, database=database, suppression_keys=suppression_keys)

    def checkout(self, report: Checkout, *, aliases: Sequence[str] | None = None) -> None:
        """Keep what is known of a checkout, new or changed: see `Recovery.checkout`. Raises `Unavailable`."""
        _run(self._recovery.checkout(report, aliases=aliases))

    def order(self, report: Order, *, aliases: Sequence[str] | None = None) -> None:
        """Keep that a checkout was ordered: no reminder of it is sent from now on. See `Recovery.order`."""
        _run(self._recovery.order(report, aliases=aliases))

    def cancel(self, shop: str, order_id: str) -> bool:
        """Never remind of this checkout again; return whether there is such a checkout. Raises `Unavailable`."""
        return _run(self._recovery.cancel(shop, order_id))

    def get(self, shop: str, order_id: str) -> CheckoutState | None:
        """Return a checkout as it is kept, with its history, or None. Raises `Unavailable`, `Damaged`."""
        return _run(self._recovery.get(shop, order_id))

    def suppress(self, email: str, *, shop: str | None = None) -> bool:
        """Never remind this address again: see `Recovery.suppress`. Raises `Unavailable`, `ValueError`."""
        return _run(self._recovery.suppress(email, shop=shop))

    def unsuppress(self, email: str, *, shop: str | None = None) -> bool:
        """Lift what keeps this address from being written to: see `Recovery.unsuppress`."""
        return _run(self._recovery.unsuppress(email, shop=shop))

    def export(self, email: str, *, shop: str | None = None) -> dict[str, Any]:
        """Return all that is kept of a person: see `Recovery.export`. Raises `Unavailable`, `ValueError`."""
        return _run(self._recovery.export(email, shop=shop))

    def erase(self, email: str, *, shop: str | None = None) -> Receipt:
        """Erase all that is kept of a person: see `Recovery.erase`. Raises `Unavailable`, `ValueError`."""
        return _run(self._recovery.erase(email, shop=shop))

    def close(self) -> None:
        """Close the connection, if it was opened here."""
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _run(call: Coroutine[Any, Any, T]) -> T:
    """Run a call whose driver answers at once: it never waits, so it needs no event loop."""
    try:
        call.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("a synchronous driver gave an answer that has to be awaited")
