"""Data on recipients for the last check before a send: their suppressions and their other checkouts."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recovery.domain.checkout import Item, shop_of
from recovery.domain.fields import Address
from recovery.domain.pauses import EVERYTHING
from recovery.domain.recipient import Other, RecipientHistory
from recovery.domain.state import CheckoutState, Status
from recovery.domain.suppression import SuppressionReason
from recovery.engine.writes import RecipientQuery
from recovery.mongo.collections import CHECKOUTS, FORGIVING, PAUSES, SUPPRESSIONS, Database, Document
from recovery.mongo.errors import translated
from recovery.mongo.suppressions import FIELDS, Suppressions

_ITEMS = TypeAdapter(tuple[Item, ...])

Recipient = tuple[str, Address]
"""A shop and the address of a recipient."""


class MongoAddresses:
    """The port `Addresses` on MongoDB."""

    def __init__(self, database: Database, suppressions: Suppressions) -> None:
        self._kept = database.get_collection(SUPPRESSIONS, **FORGIVING)
        self._suppressions = suppressions

    @translated
    async def histories(
        self, checkouts: Sequence[CheckoutState], query: RecipientQuery
    ) -> Mapping[str, RecipientHistory]:
        """Return the history of these checkouts' addresses, by checkout id; addresses without any are left out.

        One query covers these and the pauses of their shops: it runs for every batch of messages, concurrently with
        the claim.
        """
        addresses = {
            each.id: (shop_of(each.id), each.facts.customer.address)
            for each in checkouts
            if each.facts.customer is not None
        }
        asked = [
            {"$match": self._suppressions.matching(set(addresses.values()))},
            {"$project": FIELDS},
            {"$unionWith": {"coll": PAUSES, "pipeline": _pauses(checkouts)}},
        ]
        if (others := _others(addresses, query)) is not None:
            asked.append({"$unionWith": {"coll": CHECKOUTS, "pipeline": others}})
        async with await self._kept.aggregate(asked, batchSize=5 * len(checkouts) + 2) as cursor:
            documents = await cursor.to_list()
        if not documents:
            return {}
        suppressed = self._suppressions.read(set(addresses.values()), [each for each in documents if "reason" in each])
        found: dict[Recipient, dict[str, Other]] = defaultdict(dict)
        for document in documents:
            if "address" in document:
                found[shop_of(document["_id"]), document["address"]][document["_id"]] = _other(document, query)
        paused = {name for document in documents if "/" not in (name := document["_id"])}  # all other ids have one
        histories = {}
        for id_ in (each.id for each in checkouts):
            address = addresses.get(id_)
            # Checkouts in the same batch are rivals as well: each sees all but itself.
            rivals = [other for other_id, other in found.get(address, {}).items() if other_id != id_] if address else []
            suppression, pause = suppressed.get(address) if address else None, _of(id_, paused)
            if rivals or suppression or pause:
                histories[id_] = RecipientHistory(suppression, rivals, paused=pause)
        return histories

    @translated
    async def found_dead(self, found: Sequence[tuple[CheckoutState, str]], at: datetime) -> None:
        """Suppress the addresses of these checkouts: the relay's replies, given with them, say they do not exist."""
        await self._suppressions.suppress_dead(
            [(each.facts.customer.email, reply) for each, reply in found if each.facts.customer is not None], at
        )

    async def found_alive(self, checkouts: Sequence[CheckoutState]) -> None:
        """Lift the suppressions that `found_dead` has just made: the fault was not in the addresses."""
        for checkout in checkouts:
            if checkout.facts.customer is not None:
                await self._suppressions.remove(checkout.facts.customer.email, reason=SuppressionReason.HARD_BOUNCE)


def _pauses(checkouts: Sequence[CheckoutState]) -> list[Document]:
    """Return the pipeline for the names of the pauses that cover any of these checkouts."""
    names = {EVERYTHING, *(shop_of(each.id) for each in checkouts)}
    return [{"$match": {"_id": {"$in": sorted(names)}}}, {"$project": {"_id": 1}}]


def _of(id_: str, paused: Collection[str]) -> str | None:
    """Return the name of the pause, among these, that covers a checkout, or None."""
    if not paused:
        return None
    return EVERYTHING if EVERYTHING in paused else next((name for name in paused if name == shop_of(id_)), None)


def _others(addresses: Mapping[str, Recipient], query: RecipientQuery) -> list[Document] | None:
    """Return the pipeline for the recipients' other relevant checkouts; None if none can matter."""
    matters: list[Document] = []
    if query.written_since is not None:
        matters += [
            {"written_at": {"$gt": query.written_since}},
            {"next_at": {"$lte": query.imminent_until}},
            {"claim.token": {"$exists": True}},  # if claimed by a later decision, its lease ends later than ours
        ]
    if query.orders:
        matters.append({"status": Status.ORDERED})
    if not matters:
        return None
    # A checkout that is alone with its address here is found by that, and is no rival of itself.
    at = Counter(address for _, address in addresses.values())
    alone = [id_ for id_, (_, address) in addresses.items() if at[address] == 1]
    these = {"address": {"$in": sorted(at)}, "_id": {"$nin": alone}, "$or": matters}
    fields = ["address", "claim.token", "written_at", "next_at", *(["ordered_at", "facts.items"] * query.orders)]
    return [{"$match": these}, {"$project": dict.fromkeys(fields, 1)}]


def _other(document: Mapping[str, Any], query: RecipientQuery) -> Other:
    next_at, ordered_at = _time(document, "next_at"), _time(document, "ordered_at")
    return Other(
        claimed=bool(document.get("claim")),
        imminent=next_at is not None and next_at <= query.imminent_until,
        written_at=_time(document, "written_at"),
        ordered_at=ordered_at,
        bought=_bought(document) if ordered_at is not None else (),
    )


def _time(document: Mapping[str, Any], field: str) -> datetime | None:
    """Return the time in a field; None for one that was edited by hand and that datetime cannot hold."""
    value = document.get(field)
    return value if isinstance(value, datetime) else None


def _bought(document: Mapping[str, Any]) -> tuple[Item, ...]:
    try:
        return _ITEMS.validate_python(document.get("facts", {}).get("items", ()))
    except ValidationError:  # edited by hand: treated as no known items
        return ()
