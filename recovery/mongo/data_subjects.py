"""All that is kept of a person, by their address: exported, or erased (GDPR, articles 15, 17 and 20)."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from recovery.domain.fields import formerly_normalised, normalised, spellings
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.mongo.collections import (
    CHECKOUTS,
    DATA_REQUESTS,
    DEAD_LETTERS,
    FORGIVING,
    OPTIONS,
    SHADOWS,
    SUPPRESSIONS,
    Document,
    of_shop,
)
from recovery.mongo.drivers import settled
from recovery.mongo.suppressions import NewSuppression, suppress_write

LOOKS = 3
"""How often is looked for what was kept while the rest was being erased, such as a message that was on its way."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was found of a person, and erased: the ids of checkouts and dead letters, and how many shadows.

    What stays is that the address is suppressed, under a pseudonym: a shop that reports it again writes to nobody.
    """

    checkouts: tuple[str, ...]
    dead_letters: tuple[str, ...]
    shadows: int

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class Persons:
    """The people of a database, whatever driver it comes from. Raises what PyMongo raises."""

    def __init__(self, database: Any, pseudonyms: Pseudonyms) -> None:
        self._checkouts, self._shadows, self._dead_letters, self._suppressions, self._requests = (
            database.get_collection(name, **OPTIONS)
            for name in (CHECKOUTS, SHADOWS, DEAD_LETTERS, SUPPRESSIONS, DATA_REQUESTS)
        )
        self._pseudonyms = pseudonyms

    async def export(self, email: str, shop: str | None) -> dict[str, Any]:
        """Return all that is kept of a person at a shop, or at all of them, as plain values: times in ISO 8601."""
        kept = await self._whole(self._checkouts, _by_address(email, shop))
        checkouts = [each for each in kept if _is_of(each, email)]
        letters = await self._whole(self._dead_letters, _letters(email, shop, checkouts))
        suppressions = await self._whole(self._suppressions, self._suppressed(email, {"", shop} if shop else None))
        found = {"email": email, "checkouts": checkouts, "dead_letters": letters, "suppressions": suppressions}
        return {name: _plain(value) for name, value in found.items()}

    async def erase(self, email: str, shop: str | None) -> Receipt:
        """Suppress the address, so that nobody writes to it when it is reported again; then delete all else."""
        new = NewSuppression(shop, self._pseudonyms.of(email), SuppressionReason.ERASED, "erased")
        await settled(self._suppressions.update_one(*suppress_write(new)))
        # What older versions kept with it names people: the id of a report, and a relay's words.
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
        """Delete all that is kept for a shop: what was on its way while the rest went is looked for again."""
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
        return Receipt(tuple(checkouts), tuple(letters), shadows)

    async def request_data(self, shop: str, id_: str, email: str, orders: Sequence[str]) -> None:
        """Keep that a person asks what is kept of them; the same request twice is kept once."""
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
        """Match the suppressions of an address: for these shops, "" being all of them, or for whichever there are."""
        pseudonyms = self._pseudonyms.all(email)
        if shops is None:
            return {"_id": {"$regex": f"/(?:{'|'.join(pseudonyms)})$"}}
        return {"_id": {"$in": [f"{shop}/{pseudonym}" for pseudonym in pseudonyms for shop in shops]}}


def _by_address(email: str, shop: str | None) -> Document:
    query: Document = {"address": {"$in": [normalised(email), formerly_normalised(email)]}}
    return query | {"_id": of_shop(shop)} if shop else query


def _is_of(checkout: Document, email: str) -> bool:
    """Return whether a checkout is that person's: what older versions kept it by may be somebody else's address."""
    match checkout:
        case {"facts": {"customer": {"email": str(told)}}}:
            return normalised(told) == normalised(email)
    return True  # damaged: nothing tells it apart


def _letters(email: str, shop: str | None, checkouts: Sequence[Document]) -> Document:
    """Match the dead letters of these checkouts, and those of purged ones that were to this address.

    Letters of older versions name it only in a relay's words: there it must stand alone, or it is somebody else's.
    """
    written = "|".join(map(_in_any_case, spellings(email)))
    alone = rf"(?<![\w.+'-])(?:{written})(?![\w-]|\.\w)"
    named: list[Document] = [{"address": normalised(email)}, {"errors.error": {"$regex": alone}}]
    if shop:
        named = [{"checkout": of_shop(shop), **each} for each in named]
    return {"$or": [{"checkout": {"$in": _ids(checkouts)}}, *named]}


def _in_any_case(text: str) -> str:
    """Return the pattern of a text in small or capital letters; the server's own option takes a ſ for an s as well."""
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
