"""The suppression list: addresses that get no more mails, stored by pseudonym.

An `_id` is `"<shop>/<pseudonym>"`, or `"/<pseudonym>"` for all shops. An address may have several: one for each shop,
and one for each key of the pseudonyms. A document without a reason only counts soft bounces, and suppresses nothing;
one with `until` suppresses until then.
"""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING, DESCENDING, UpdateOne

from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import (
    FULL_HOLD,
    SOFT_DAYS,
    SOFT_HOLD,
    SOFT_WITHIN,
    Suppression,
    SuppressionReason,
)
from recovery.mongo.collections import OPTIONS, SUPPRESSIONS, Database, Document, of_shop
from recovery.mongo.errors import translated, translating
from recovery.mongo.intake import Write
from recovery.mongo.listing import Position, position

REPORTS_KEPT = 20
"""The number of soft bounce ids stored per address, so that a repeated report is counted once."""

FIELDS = {"reason": 1, "at": 1}
"""The projection that `Suppressions.read` needs."""

RELAY = "the relay"
"""The beginning of the source of suppressions made from a relay's reply, which follows it."""

MOST_COUNTED = 10_000
"""Suppressions of one reason that are counted: an exact number of more would read that many keys of an index."""

SOURCE_KEPT = 200
"""Characters of a relay's reply that are stored with a suppression."""

_KEPT = "$$ROOT"
_NOW = "$$NOW"

IN_FORCE: Document = {"$or": [{"until": {"$exists": False}}, {"$expr": {"$gt": ["$until", _NOW]}}]}
"""The query for suppressions that have not ended."""


@dataclass(frozen=True, slots=True)
class KeptSuppression:
    """A stored suppression. Without a shop, it applies to all shops; without `until`, it has no end."""

    shop: str | None
    pseudonym: str
    reason: SuppressionReason
    at: datetime
    source: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Which:
    """A filter for suppressions: those that match all given fields. `source` is a substring, case-insensitive."""

    shop: str | None = None
    reason: SuppressionReason | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> Document:
        """Return the MongoDB query."""
        query: Document = {"reason": {"$exists": True} if self.reason is None else self.reason.value, **IN_FORCE}
        if self.shop is not None:
            query["_id"] = of_shop(self.shop)
        if self.source is not None:
            query["source"] = {"$regex": re.escape(self.source), "$options": "i"}
        between = {"$gte": self.since, "$lt": self.until}
        if given := {operator: at for operator, at in between.items() if at is not None}:
            query["at"] = given
        return query


@dataclass(frozen=True, slots=True)
class SuppressionPage:
    """One page of a list, the newest first. `next` is the `after` of the next page, None if this is the last one."""

    suppressions: Sequence[KeptSuppression]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """A suppression to store. A hard bounce is a property of the address: it applies to all shops, whichever is given.

    `source` is free text on its origin. `at` defaults to the server's time.
    """

    shop: str | None
    pseudonym: str
    reason: SuppressionReason
    source: str
    at: datetime | None = None


class Suppressions:
    """The suppressions of a database. Every method raises `Unavailable`."""

    def __init__(self, database: Database, pseudonyms: Pseudonyms) -> None:
        self._kept = database.get_collection(SUPPRESSIONS, **OPTIONS)
        self._pseudonyms = pseudonyms

    @translated
    async def of(self, addresses: Collection[tuple[str, str]]) -> dict[tuple[str, str], Suppression]:
        """Return the strongest suppression of each (shop, address) that has one, by one query for all."""
        if not addresses:
            return {}
        matching = self.matching(addresses)
        # In one batch: a cursor that came back for more would be a second round trip.
        found = self._kept.find(matching, FIELDS, batch_size=len(matching["_id"]["$in"]) + 1)
        return self.read(addresses, await found.to_list())

    def matching(self, addresses: Collection[tuple[str, str]]) -> Document:
        """Return the query for the suppressions of these (shop, address)."""
        ids = [id_ for address in addresses for id_ in self._keys(*address)]
        return {"_id": {"$in": ids}, "reason": {"$exists": True}, **IN_FORCE}

    def read(
        self, addresses: Collection[tuple[str, str]], documents: Sequence[Document]
    ) -> dict[tuple[str, str], Suppression]:
        """Return the strongest suppression of each address that has one among these documents."""
        if not documents:
            return {}
        found = {each["_id"]: Suppression(SuppressionReason.of(each["reason"]), each["at"]) for each in documents}
        held = {address: [found[id_] for id_ in self._keys(*address) if id_ in found] for address in addresses}
        return {address: max(several, key=_strength) for address, several in held.items() if several}

    async def add(
        self,
        email: str,
        reason: SuppressionReason,
        *,
        shop: str | None = None,
        source: str,
        at: datetime | None = None,
    ) -> bool:
        """Suppress an address, for a shop or for all; return whether that is new. Never weakens a stored one."""
        return await self.suppress(self._pseudonyms.of(email), reason, shop=shop, source=source, at=at)

    async def suppress(
        self,
        pseudonym: str,
        reason: SuppressionReason,
        *,
        shop: str | None = None,
        source: str,
        at: datetime | None = None,
    ) -> bool:
        """Suppress an address that is known by its pseudonym only; otherwise as `add`."""
        return await self.keep([NewSuppression(shop, pseudonym, reason, source, at)]) > 0

    @translated
    async def keep(self, suppressions: Sequence[NewSuppression]) -> int:
        """Store suppressions; return how many were new, or stronger than the stored ones."""
        if not suppressions:
            return 0
        result = await self._kept.bulk_write([UpdateOne(*suppress_write(each)) for each in suppressions], ordered=False)
        return result.upserted_count + result.modified_count

    async def suppress_dead(self, found: Sequence[tuple[str, str]], at: datetime) -> None:
        """Suppress addresses that do not exist, given with the relay's reply each, in one round trip."""
        await self.keep(
            [
                NewSuppression(
                    None,
                    self._pseudonyms.of(email),
                    SuppressionReason.HARD_BOUNCE,
                    f"{RELAY}: {reply[:SOURCE_KEPT]}",
                    at,
                )
                for email, reply in found
            ]
        )

    @translated
    async def lift(self, which: Which, *, dry_run: bool = False) -> int:
        """Lift all matching suppressions; return how many there are. With `dry_run`, only count them."""
        if dry_run:
            return int(await self._kept.count_documents(which.query()))
        return int((await self._kept.delete_many(which.query())).deleted_count)

    @translated
    async def remove(
        self,
        email: str,
        *,
        shop: str | None = None,
        reason: SuppressionReason | None = None,
        since: datetime | None = None,
    ) -> bool:
        """Lift the suppression for this shop or, without a shop, the one for all; return whether there was one.

        With `reason`, only one with that reason; with `since`, only one made at that time or later.
        """
        query = lift_query(self._pseudonyms, email, shop, reason)
        if since is not None:
            query["at"] = {"$gte": since}
        return (await self._kept.delete_many(query)).deleted_count > 0

    @translated
    async def bounced(self, pseudonym: str, report: str, at: datetime | None = None, *, full: bool = False) -> bool:
        """Count a soft bounce, once for each `report` id; return whether it was counted.

        After bounces on `SOFT_DAYS` days, the address gets no reminders for a while. `full`: its mailbox is full.
        """
        counted = await self._kept.update_one({"_id": f"/{pseudonym}"}, _soft(report, at, full=full), upsert=True)
        return counted.upserted_id is not None or counted.modified_count > 0

    async def each(
        self, which: Which | None = None, *, newest_first: bool = False, limit: int = 0, skip: int = 0
    ) -> AsyncIterator[KeptSuppression]:
        """Yield suppressions in order of shop and pseudonym, or newest first; `limit` 0 means all."""
        order: list[tuple[str, int]] = (
            [("at", DESCENDING), ("_id", ASCENDING)] if newest_first else [("_id", ASCENDING)]
        )
        with translating():
            async for document in self._kept.find((which or Which()).query()).sort(order).skip(skip).limit(limit):
                yield _read(document)

    @translated
    async def page(
        self, shops: Sequence[str], reason: SuppressionReason | None, limit: int, after: str | None = None
    ) -> SuppressionPage:
        """Return one page of the suppressions of these shops, or of all, the newest first.

        The index has them by reason and time: those of several reasons are merged. Raises
        `recovery.mongo.listing.BadFilter`.
        """
        reasons = [reason.value] if reason is not None else await self._reasons()
        every: list[Document] = [{"reason": {"$in": reasons}}, IN_FORCE, _of_shops(shops)]
        if after is not None:
            every.append(_following(position(after)))
        found = self._kept.find({"$and": every}).sort([("at", DESCENDING), ("_id", DESCENDING)]).limit(limit + 1)
        documents = await found.to_list()
        last = documents[limit - 1] if len(documents) > limit else None
        following = None if last is None else str(Position(int(DatetimeMS(last["at"])), last["_id"]))
        return SuppressionPage([_read(document) for document in documents[:limit]], following)

    @translated
    async def counts(self, shops: Sequence[str]) -> Mapping[SuppressionReason, int]:
        """Return the numbers of suppressions of these shops, or of all, by reason.

        At most `MOST_COUNTED + 1` of each, which stands for more.
        """
        counted: dict[SuppressionReason, int] = {}
        for kept in await self._reasons():
            reason = SuppressionReason.of(kept)
            ends = IN_FORCE if reason is SuppressionReason.SOFT_BOUNCES else {}
            query = {"$and": [{"reason": kept}, ends, _of_shops(shops)]}
            counted[reason] = counted.get(reason, 0) + await self._kept.count_documents(query, limit=MOST_COUNTED + 1)
        return counted

    @translated
    async def look_up(self, email: str, shops: Sequence[str]) -> list[KeptSuppression]:
        """Return the suppressions of an address, for all shops and for each of these, by shop."""
        addresses = [(shop, email) for shop in dict.fromkeys(["", *shops])]
        found = self._kept.find(self.matching(addresses)).sort("_id", ASCENDING)
        return [_read(document) async for document in found]

    def is_of(self, kept: KeptSuppression, email: str) -> bool:
        """Return whether a suppression is of this address; one of a former version may be of another as well."""
        return kept.pseudonym in self._pseudonyms.all(email)

    async def _reasons(self) -> list[str]:
        """Return the reasons that are stored, those of a newer version among them, by one index seek each."""
        return [reason for reason in await self._kept.distinct("reason") if isinstance(reason, str)]

    def _keys(self, shop: str, email: str) -> list[str]:
        return [f"{scope}/{pseudonym}" for pseudonym in self._pseudonyms.also(email) for scope in (shop, "")]


def suppress_write(new: NewSuppression) -> Write:
    """Return the write that stores a suppression, unless one of the same strength or stronger exists."""
    return Write({"_id": _key(new)}, _suppressed(new), upsert=True)


def lift_query(
    pseudonyms: Pseudonyms, email: str, shop: str | None = None, reason: SuppressionReason | None = None
) -> Document:
    """Return the query for the suppressions of an address, by all of its pseudonyms: for this shop, or for all."""
    ids = [f"{shop or ''}/{pseudonym}" for pseudonym in pseudonyms.all(email)]
    return {"_id": {"$in": ids}, "reason": {"$exists": True} if reason is None else reason.value}


def _of_shops(shops: Sequence[str]) -> Document:
    return {"$or": [{"_id": of_shop(shop)} for shop in shops]} if shops else {}


def _following(after: Position) -> Document:
    """Return the query for what follows a position, the newest first."""
    at = DatetimeMS(after.at)
    return {"at": {"$lte": at}, "$or": [{"at": {"$lt": at}}, {"_id": {"$lt": after.id}}]}


def _key(suppression: NewSuppression) -> str:
    for_all = suppression.reason is SuppressionReason.HARD_BOUNCE
    return f"{'' if for_all else suppression.shop or ''}/{suppression.pseudonym}"


def _strength(suppression: Suppression) -> int:
    return list(SuppressionReason).index(suppression.reason)


def _suppressed(new: NewSuppression) -> list[Document]:
    reasons = list(SuppressionReason)
    weaker = [reason.value for reason in reasons[: reasons.index(new.reason)]]
    fields = {"reason": new.reason.value, "at": _time(new.at), "source": {"$literal": new.source}}
    if new.reason is SuppressionReason.SOFT_BOUNCES:
        fields["until"] = {"$add": [_time(new.at), _milliseconds(SOFT_HOLD)]}
    # A reason that this version does not know may be stronger.
    known = {"$not": [{"$in": [{"$ifNull": ["$reason", None]}, [None, *weaker]]}]}
    lasting = {"$unsetField": {"field": "until", "input": _KEPT}}
    return [{"$replaceWith": {"$cond": [known, _KEPT, {"$mergeObjects": [lasting, fields]}]}}]


def _soft(report: str, at: datetime | None, *, full: bool) -> list[Document]:
    """Return the update that counts a soft bounce, and suppresses after too many. Idempotent by its report's id."""
    reports, days = {"$ifNull": ["$reports", []]}, {"$ifNull": ["$soft_days", []]}
    day = {"$dateTrunc": {"date": _time(at), "unit": "day"}}
    recent = {"$gt": ["$$this", {"$subtract": [_NOW, _milliseconds(SOFT_WITHIN)]}]}
    fields = {
        "soft_bounces": {"$add": [{"$ifNull": ["$soft_bounces", 0]}, 1]},
        "last_bounce_at": _time(at),
        "reports": {"$slice": [{"$concatArrays": [reports, [{"$literal": report}]]}, -REPORTS_KEPT]},
        "soft_days": {"$filter": {"input": {"$setUnion": [days, [day]]}, "cond": recent}},
    }
    held = {
        "reason": SuppressionReason.SOFT_BOUNCES.value,
        "at": _NOW,
        "until": {"$add": [_NOW, _milliseconds(FULL_HOLD if full else SOFT_HOLD)]},
        "source": f"soft bounces on {SOFT_DAYS} days{', the mailbox is full' if full else ''}",
        "soft_days": [],
    }
    stronger = {"$not": [{"$in": [{"$ifNull": ["$reason", None]}, [None, SuppressionReason.SOFT_BOUNCES.value]]}]}
    few = {"$lt": [{"$size": days}, SOFT_DAYS]}
    return [
        *_unless({"$in": [{"$literal": report}, reports]}, fields),
        *_unless({"$or": [stronger, few]}, held),
    ]


def _unless(known: Document, fields: Document) -> list[Document]:
    return [{"$replaceWith": {"$cond": [known, _KEPT, {"$mergeObjects": [_KEPT, fields]}]}}]


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)


def _time(at: datetime | None) -> Any:
    """Return a time, capped at the server's: a caller's clock may be ahead."""
    return _NOW if at is None else {"$min": [at, _NOW]}


def _read(document: Document) -> KeptSuppression:
    shop, _, pseudonym = document["_id"].partition("/")
    reason, source = SuppressionReason.of(document["reason"]), document.get("source", "")
    return KeptSuppression(shop or None, pseudonym, reason, document["at"], source, document.get("until"))
