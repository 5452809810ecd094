"""Export and erasure of all data about a person, by their address (GDPR, articles 15, 17 and 20)."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recovery.domain.fields import formerly_normalised, normalised, spellings
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.mongo.collections import (
    CHANNELS,
    CHECKOUTS,
    DATA_REQUESTS,
    DEAD_LETTERS,
    FORGIVING,
    OPTIONS,
    RESULTS,
    SHADOWS,
    SUPPRESSIONS,
    Document,
    of_shop,
)
from recovery.mongo.drivers import settled
from recovery.mongo.suppressions import NewSuppression, suppress_write

LOOKS = 3
"""Passes over the collections; a later pass catches what was written during an earlier one."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of an erasure: the ids of the erased checkouts and dead letters, and the number of shadows.

    Only the suppression of the address remains, under a pseudonym, so that a shop that reports it again sends no mail.
    """

    checkouts: tuple[str, ...]
    dead_letters: tuple[str, ...]
    shadows: int


class Persons:
    """The people whose data is in a database, with any driver. Raises PyMongo's errors."""

    def __init__(self, database: Any, pseudonyms: Pseudonyms) -> None:
        names = (CHECKOUTS, SHADOWS, DEAD_LETTERS, SUPPRESSIONS, DATA_REQUESTS, CHANNELS, RESULTS)
        self._checkouts, self._shadows, self._dead_letters, self._suppressions, self._requests, *of_shops = (
            database.get_collection(name, **OPTIONS) for name in names
        )
        self._channels, self._results = of_shops
        self._pseudonyms = pseudonyms

    async def export(self, email: str, shop: str | None) -> dict[str, Any]:
        """Return all data about a person at a shop, or at all shops, as plain values with times in ISO 8601."""
        kept = await self._whole(self._checkouts, _by_address(email, shop))
        checkouts = [each for each in kept if _is_of(each, email)]
        letters = await self._whole(self._dead_letters, _letters(email, shop, checkouts))
        suppressions = await self._whole(self._suppressions, self._suppressed(email, {"", shop} if shop else None))
        found = {"email": email, "checkouts": checkouts, "dead_letters": letters, "suppressions": suppressions}
        return {name: _plain(value) for name, value in found.items()}

    async def erase(self, email: str, shop: str | None) -> Receipt:
        """Suppress the address, so that it gets no mail when it is reported again; then delete everything else."""
        new = NewSuppression(shop, self._pseudonyms.of(email), SuppressionReason.ERASED, "erased")
        await settled(self._suppressions.update_one(*suppress_write(new)))
        # Older versions stored personal data with a suppression: ids of reports, and replies of relays.
        theirs = self._suppressed(email, {shop} if shop else None)
        sourced = theirs | {"source": {"$exists": True}}
        await settled(self._suppressions.update_many(sourced, {"$set": {"source": "erased"}}))
        await settled(self._suppressions.update_many(theirs, {"$unset": {"reports": ""}}))
        checkouts: dict[str, None] = {}
        letters: dict[str, None] = {}
        shadows = 0
        for _ in range(LOOKS):
            known = await self._named(self._checkouts, _by_address(email, shop))
            found = [each for each in known if _is_of(each, email)]
            dead = await self._named(self._dead_letters, _letters(email, shop, found))
            if not found and not dead:
                break
            these = {"_id": {"$in": _ids(found)}}
            await settled(self._dead_letters.delete_many({"_id": {"$in": _ids(dead)}}))
            await settled(self._checkouts.delete_many(these))
            shadows += (await settled(self._shadows.delete_many(these))).deleted_count
            checkouts |= dict.fromkeys(_ids(found))
            letters |= dict.fromkeys(_ids(dead))
        of_shops = {"_id": of_shop(shop)} if shop else {}
        await settled(self._requests.delete_many({"address": normalised(email)} | of_shops))
        return Receipt(tuple(checkouts), tuple(letters), shadows)

    async def erase_shop(self, shop: str) -> Receipt:
        """Delete all data of a shop, in several passes to catch what is written meanwhile."""
        checkouts: dict[str, None] = {}
        letters: dict[str, None] = {}
        shadows = 0
        of_this = {"_id": of_shop(shop)}
        for _ in range(LOOKS):
            found = await self._named(self._checkouts, of_this)
            dead = await self._named(self._dead_letters, {"checkout": of_shop(shop)})
            checkouts |= dict.fromkeys(_ids(found))
            letters |= dict.fromkeys(_ids(dead))
            await settled(self._dead_letters.delete_many({"checkout": of_shop(shop)}))
            await settled(self._checkouts.delete_many(of_this))
            shadows += (await settled(self._shadows.delete_many(of_this))).deleted_count
        await settled(self._suppressions.delete_many(of_this))
        await settled(self._requests.delete_many(of_this))
        await settled(self._channels.delete_many(of_this))
        await settled(self._results.delete_many({"_id.shop": shop}))
        return Receipt(tuple(checkouts), tuple(letters), shadows)

    async def request_data(self, shop: str, id_: str, email: str, orders: Sequence[str]) -> None:
        """Store a person's request for their data. Idempotent."""
        asked = {"shop": shop, "address": normalised(email), "orders": list(orders)}
        new = {"$mergeObjects": ["$$ROOT", {"$literal": asked}, {"asked_at": "$$NOW", "done_at": None}]}
        once = [{"$replaceWith": {"$cond": [{"$gt": ["$asked_at", None]}, "$$ROOT", new]}}]
        await settled(self._requests.update_one({"_id": f"{shop}/{id_}"}, once, upsert=True))

    async def _whole(self, collection: Any, query: Document) -> list[Document]:
        forgiving = collection.with_options(codec_options=FORGIVING["codec_options"])
        found: list[Document] = await settled(forgiving.find(query).to_list(None))
        return found

    async def _named(self, collection: Any, query: Document) -> list[Document]:
        fields = ["_id", "address", "facts.customer.email"]
        found: list[Document] = await settled(collection.find(query, fields).to_list(None))
        return found

    def _suppressed(self, email: str, shops: Set[str] | None) -> Document:
        """Match the suppressions of an address: for these shops, where "" stands for all shops, or with any scope."""
        pseudonyms = self._pseudonyms.all(email)
        if shops is None:
            return {"_id": {"$regex": f"/(?:{'|'.join(pseudonyms)})$"}}
        return {"_id": {"$in": [f"{shop}/{pseudonym}" for pseudonym in pseudonyms for shop in shops]}}


def _by_address(email: str, shop: str | None) -> Document:
    query: Document = {"address": {"$in": [normalised(email), formerly_normalised(email)]}}
    return query | {"_id": of_shop(shop)} if shop else query


def _is_of(checkout: Document, email: str) -> bool:
    """Return True if a checkout belongs to that person: the key that older versions used may match others as well."""
    match checkout:
        case {"facts": {"customer": {"email": str(reported)}}}:
            return normalised(reported) == normalised(email)
    return True  # damaged: treated as theirs


def _letters(email: str, shop: str | None, checkouts: Sequence[Document]) -> Document:
    """Match the dead letters of these checkouts, and those of purged checkouts with this address.

    Letters of older versions contain the address only in a relay's reply. It must match as a whole word there, or it
    is part of another address.
    """
    written = "|".join(map(_in_any_case, spellings(email)))
    alone = rf"(?<![\w.+'-])(?:{written})(?![\w-]|\.\w)"
    named: list[Document] = [{"address": normalised(email)}, {"errors.error": {"$regex": alone}}]
    if shop:
        named = [{"checkout": of_shop(shop), **each} for each in named]
    return {"$or": [{"checkout": {"$in": _ids(checkouts)}}, *named]}


def _in_any_case(text: str) -> str:
    """Return a case-insensitive pattern for a text. The server's own option also matches ſ for s."""
    letters = ({each, each.lower(), each.upper()} for each in text)
    return "".join(
        "(?:" + "|".join(re.escape(each) for each in sorted(every) if len(each) == 1) + ")" for every in letters
    )


def _ids(documents: Sequence[Document]) -> list[str]:
    return [document["_id"] for document in documents]


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case datetime():
            return value.isoformat()
        case str() | int() | float() | bool() | None:
            return value
        case _:
            return str(value)
