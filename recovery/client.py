"""The ingestion API: what a shop's services import to report checkouts and orders.

`Recovery` is for asyncio, `SyncRecovery` for Flask, Django and the like; the second runs the first without a loop.
"""

import re
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, cast

from bson.errors import InvalidBSON
from pydantic import TypeAdapter, ValidationError
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from recovery.checkout import (
    Checkout,
    CheckoutState,
    Consent,
    Email,
    Order,
    ShopKey,
    Status,
    checkout_id,
    normalised,
)
from recovery.mongo.collections import CHECKOUTS, OPTIONS, SUPPRESSIONS, of_shop
from recovery.mongo.documents import read
from recovery.mongo.drivers import is_asynchronous, settled
from recovery.mongo.group_commit import GroupCommit
from recovery.mongo.intake import Write, cancelled, checkout_write, consented, order_write
from recovery.mongo.persons import Persons, Receipt
from recovery.mongo.suppressions import NewSuppression, lift_query, suppress_write
from recovery.ports import Unreadable
from recovery.pseudonyms import Pseudonyms
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


class _Name(NamedTuple):
    """What a checkout is kept under, and where it stands."""

    order_id: str
    status: str
    ordered_at: datetime | None


class _Kept(NamedTuple):
    """What is kept of a checkout, the name to go on with first, and of others of the same cart."""

    own: list[_Name]
    of_cart: list[_Name]


_NAMES = ["_id", "known_as", "status", "ordered_at"]


def _called(shop: str, names: Sequence[str]) -> dict[str, Any]:
    """Match the checkouts of a shop that have one of these names."""
    ids = [checkout_id(shop, name) for name in names]
    return {"$or": [{"_id": {"$in": ids}}, {"known_as": {"$in": list(names)}, "_id": of_shop(shop)}]}


def _all(names: Sequence[str], cart: str | None) -> list[str]:
    return [*names, cart] if cart and names else list(names)


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)


def _ordered_since(kept: _Name, touched_at: datetime | None) -> bool:
    """Return whether a checkout has been ordered since another of the same cart was touched."""
    return kept.ordered_at is not None and touched_at is not None and kept.ordered_at >= touched_at


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

    async def checkout(
        self, report: Checkout, *, aliases: Sequence[str] | None = None, cart: str | None = None
    ) -> None:
        """Keep what is known of a checkout, new or changed. Raises `Unavailable`.

        `aliases` are other order ids that the same checkout is called by, `cart` is what the shop calls the cart that
        it was made of. Even an empty list has it looked for by all of its names, as who changes how checkouts are named
        needs it; and a cart that has been ordered meanwhile is not opened again.
        """
        names: list[str] = []
        if aliases is not None or cart is not None:
            names = [report.order_id, *(aliases or ())]
            kept = await self._kept(report, names, cart)
            since = [each.order_id for each in kept.of_cart if _ordered_since(each, report.touched_at)]
            if known := [each.order_id for each in kept.own] + since:
                report = report.model_copy(update={"order_id": known[0]})
        await self._write(checkout_write(report, known_as=_all(names, cart)))

    async def order(
        self,
        report: Order,
        *,
        aliases: Sequence[str] | None = None,
        cart: str | None = None,
        confirm_default: bool = True,
    ) -> None:
        """Keep that a checkout was ordered: no reminder of it is sent from now on. Raises `Unavailable`.

        `aliases` and `cart` as for `checkout`: whatever it is kept under is ordered, and confirmed once, and nobody is
        reminded of another checkout of the same cart. `confirm_default` is whether it is to be confirmed, where no
        report says so.
        """
        names: list[str] = []
        if aliases is not None or cart is not None:
            names = [report.order_id, *(aliases or ())]
            own, of_cart = await self._kept(report, names, cart)
            others = [*own[1:], *(each for each in of_cart if each.status in (Status.OPEN, Status.FINISHED))]
            for each in others:
                also = Order(shop=report.shop, order_id=each.order_id, ordered_at=report.ordered_at, confirm=False)
                await self._write(order_write(also))
            if own:
                report = report.model_copy(update={"order_id": own[0].order_id})
        await self._write(order_write(report, confirm_default=confirm_default, known_as=_all(names, cart)))

    async def cancel(self, shop: str, order_id: str, *, aliases: Sequence[str] = (), cart: str | None = None) -> bool:
        """Never remind of this checkout again; return whether there is such a checkout. Raises `Unavailable`.

        A cancelled checkout stays cancelled whatever is reported of it, but for an order, which is confirmed. Where no
        checkout has any of these names, those of the `cart` are cancelled.
        """
        matched = await self._update(_called(shop, [order_id, *aliases]), cancelled())
        if not matched and cart:
            matched = await self._update(_called(shop, [cart]), cancelled())
        return bool(matched)

    async def cancel_shop(self, shop: str) -> int:
        """Never remind of any checkout of this shop that is open now; return how many. Raises `Unavailable`.

        As when a shop will tell of its orders no more. What it reports from now on is taken as ever.
        """
        return await self._update({"_id": of_shop(shop), "status": Status.OPEN}, cancelled())

    async def consent(self, shop: str, email: str, consent: Consent) -> int:
        """Keep a word on consent in all checkouts of a person at this shop; return how many there are.

        Of several words the latest counts. Raises `Unavailable`, or `ValueError` for what is no address.
        """
        email, _ = _addressed(email, shop)
        return await self._update({"address": normalised(email), "_id": of_shop(shop)}, consented(consent))

    async def get(self, shop: str, order_id: str) -> CheckoutState | None:
        """Return a checkout as it is kept, with its history, or None. Raises `Unavailable`, `Damaged`.

        It is found by whatever it is called: its own id, an alias, or its cart.
        """
        id_ = checkout_id(shop, order_id)
        try:
            document = await settled(self._checkouts.find_one({"_id": id_}))
            if document is None:
                document = await settled(self._checkouts.find_one(_called(shop, [order_id])))
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

    async def _kept(self, report: Checkout | Order, names: Sequence[str], cart: str | None) -> "_Kept":
        """Return what is kept of a checkout under any of its names, and of others of the same cart.

        Older versions kept no names, but a link that has one in it.
        """
        every = _all(names, cart)
        either = [_called(report.shop, every)]
        if report.customer is not None:
            links = "|".join(map(re.escape, every))
            of_person = {"address": normalised(report.customer.email), "_id": of_shop(report.shop)}
            in_link = {"facts.checkout_url": {"$regex": rf"/(?:{links})(?:[/?#]|$)"}, "known_as": {"$exists": False}}
            either.append(of_person | in_link)
        try:
            found = await settled(self._checkouts.find({"$or": either}, _NAMES).to_list(None))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc
        own: list[_Name] = []
        of_cart: list[_Name] = []
        for each in found:
            name = _Name(each["_id"].partition("/")[2], each["status"], each.get("ordered_at"))
            called = {name.order_id, *each.get("known_as", names)}
            (of_cart if called.isdisjoint(names) else own).append(name)
        own.sort(key=lambda name: (_place(name.order_id, names), name.order_id))
        return _Kept(own, of_cart)

    async def _update(self, query: Mapping[str, Any], update: Any) -> int:
        """Change all checkouts that match; return how many do."""
        try:
            result = await settled(self._checkouts.update_many(query, update))
        except PyMongoError as exc:
            raise _unavailable(exc) from exc
        return int(result.matched_count)

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

    def checkout(self, report: Checkout, *, aliases: Sequence[str] | None = None, cart: str | None = None) -> None:
        """Keep what is known of a checkout, new or changed: see `Recovery.checkout`. Raises `Unavailable`."""
        _run(self._recovery.checkout(report, aliases=aliases, cart=cart))

    def order(self, report: Order, *, aliases: Sequence[str] | None = None, cart: str | None = None) -> None:
        """Keep that a checkout was ordered: no reminder of it is sent from now on. See `Recovery.order`."""
        _run(self._recovery.order(report, aliases=aliases, cart=cart))

    def cancel(self, shop: str, order_id: str) -> bool:
        """Never remind of this checkout again; return whether there is such a checkout. Raises `Unavailable`."""
        return _run(self._recovery.cancel(shop, order_id))

    def consent(self, shop: str, email: str, consent: Consent) -> int:
        """Keep a word on consent in all checkouts of a person at this shop: see `Recovery.consent`."""
        return _run(self._recovery.consent(shop, email, consent))

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
