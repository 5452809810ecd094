"""Dead letters: messages that could not be sent, and documents that could not be read; inspect, replay or drop them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING, DESCENDING, DeleteOne, UpdateOne

from recovery.domain.state import Cause, MessageState
from recovery.engine.writes import DeadLetter
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, OPTIONS, Database, Document, of_shop
from recovery.mongo.errors import translated, translating
from recovery.mongo.listing import Position, position
from recovery.mongo.marks import marks_of_step

ERRORS_KEPT = 20
"""The number of errors that a letter holds, the newest ones."""

MOST_SUMMED = 10_000
"""The number of letters, the newest ones, that a summary counts."""

_NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter for dead letters: those that match all given fields; with `shops`, those of these shops alone."""

    ids: tuple[str, ...] = ()
    cause: Cause | None = None
    shop: str | None = None
    step: str | None = None
    before: datetime | None = None
    replayed: bool = False
    shops: tuple[str, ...] = ()

    def query(self) -> Document:
        """Return the MongoDB query. A letter's id begins with its shop, as its checkout's does."""
        query: Document = {} if self.replayed else {"replayed_at": None}
        if self.ids:
            query["_id"] = {"$in": list(self.ids)}
        if self.shop is not None:
            query["checkout"] = of_shop(self.shop)
        if self.shops:
            query["$or"] = [{"_id": of_shop(shop)} for shop in self.shops]
        if self.cause is not None:
            query["cause"] = self.cause.value
        if self.step is not None:
            query["step"] = self.step
        if self.before is not None:
            query["at"] = {"$lt": self.before}
        return query


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A stored dead letter. Without a step, it is for a document that could not be read or written."""

    id: str
    checkout: str
    step: str | None
    cause: str
    error: str
    at: datetime
    attempts: int
    errors: tuple[dict[str, Any], ...]
    replayed_at: datetime | None


@dataclass(frozen=True, slots=True)
class LetterPage:
    """One page of a list of letters. `next` is the `after` of the next page, None if this is the last one."""

    letters: Sequence[KeptLetter]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class SameError:
    """The same cause and error, and how many letters have them."""

    cause: str
    error: str
    times: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What is counted of letters: by cause, and by error, the most frequent first.

    Of more than `MOST_SUMMED` letters only the newest are counted; then there are `more`.
    """

    count: int = 0
    more: bool = False
    causes: Mapping[str, int] = field(default_factory=dict)
    errors: Sequence[SameError] = ()


class DeadLetters:
    """The dead letters of a database."""

    def __init__(self, database: Database) -> None:
        self._letters = database.get_collection(DEAD_LETTERS, **OPTIONS)
        self._checkouts = database.get_collection(CHECKOUTS, **OPTIONS)

    @translated
    async def find(self, which: Filter, limit: int = 0) -> list[KeptLetter]:
        """Return matching letters, oldest first; `limit` 0 means all."""
        cursor = self._letters.find(which.query()).sort("at", ASCENDING).limit(limit)
        return [_read(document) async for document in cursor]

    @translated
    async def page(self, which: Filter, limit: int, after: str | None = None) -> LetterPage:
        """Return one page of matching letters, the newest first. Raises `recovery.mongo.listing.BadFilter`."""
        query = which.query() if after is None else {"$and": [which.query(), _following(position(after))]}
        cursor = self._letters.find(query).sort(_NEWEST_FIRST).limit(limit + 1)
        found = [_read(document) async for document in cursor]
        last = found[limit - 1] if len(found) > limit else None
        return LetterPage(found[:limit], None if last is None else str(Position(int(DatetimeMS(last.at)), last.id)))

    async def ids(self, which: Filter) -> AsyncIterator[str]:
        """Yield the ids of matching letters, the newest first."""
        with translating():
            async for document in self._letters.find(which.query(), {"_id": 1}).sort(_NEWEST_FIRST):
                yield document["_id"]

    @translated
    async def summary(self, which: Filter) -> Summary:
        """Return the numbers of matching letters, by cause and by error."""
        pipeline: list[Document] = [
            {"$match": which.query()},
            {"$sort": dict(_NEWEST_FIRST)},
            {"$limit": MOST_SUMMED + 1},
            {"$group": {"_id": {"cause": "$cause", "error": "$error"}, "times": {"$sum": 1}}},
            {"$sort": {"times": -1, "_id": 1}},
        ]
        causes: dict[str, int] = {}
        errors = []
        async with await self._letters.aggregate(pipeline) as cursor:
            async for document in cursor:
                cause, error = document["_id"].get("cause", ""), document["_id"].get("error", "")
                causes[cause] = causes.get(cause, 0) + document["times"]
                errors.append(SameError(cause, error, document["times"]))
        count = sum(causes.values())
        return Summary(min(count, MOST_SUMMED), count > MOST_SUMMED, causes, errors)

    @translated
    async def replay(self, letters: Sequence[KeptLetter], now: datetime, by: str = "an operator") -> int:
        """Make these messages due now, for the daemon to look at again; return how many.

        The look decides: customers who have ordered or cancelled in the meantime get no mail. A message that is no
        longer dead is not changed. `by` is who asked for it, for the history.
        """
        if not letters:
            return 0
        result = await self._checkouts.bulk_write(
            [_replayed(letter, now, by) for letter in letters], ordered=False, bypass_document_validation=True
        )
        # One that has died again meanwhile is not replayed.
        marks = [UpdateOne({"_id": letter.id, "at": letter.at}, {"$set": {"replayed_at": now}}) for letter in letters]
        await self._letters.bulk_write(marks, ordered=False)
        return result.modified_count

    @translated
    async def drop(self, letters: Sequence[KeptLetter]) -> int:
        """Delete these letters, unless they died again since; return how many. The checkouts keep their history."""
        if not letters:
            return 0
        deletions = [DeleteOne({"_id": letter.id, "at": letter.at}) for letter in letters]
        return (await self._letters.bulk_write(deletions, ordered=False)).deleted_count


def letter_write(letter: DeadLetter) -> UpdateOne:
    """Return the write of a dead letter. Each message has one, which collects the errors of all its deaths."""
    kept = {"checkout": letter.checkout, "step": letter.step, "cause": letter.cause, "replayed_at": None}
    if letter.address is not None:
        kept["address"] = letter.address
    error = {"at": letter.at, "error": letter.error, "attempts": letter.attempts}
    update = {"$set": kept | error, "$push": {"errors": {"$each": [error], "$slice": -ERRORS_KEPT}}}
    return UpdateOne({"_id": letter.id}, update, upsert=True)


def _following(after: Position) -> Document:
    """Return the query for what follows a position, the newest first."""
    at = DatetimeMS(after.at)
    return {"at": {"$lte": at}, "$or": [{"at": {"$lt": at}}, {"_id": {"$lt": after.id}}]}


def _replayed(letter: KeptLetter, now: datetime, by: str) -> UpdateOne:
    """Return the write that makes a dead message due. It moves the revision, as a report does."""
    past = {"at": now, "decision": f"replay {letter.step or 'the document'}", "reason": f"requested by {by}"}
    update: Document = {"$set": {"next_at": now, "purge_at": None}, "$inc": {"revision": 1}}
    if letter.step is None:
        return UpdateOne({"_id": letter.checkout, "revision": {"$type": "number"}}, update)
    message = f"messages.{letter.step}"
    update["$set"] |= {message: {"state": MessageState.WAITING, "attempts": 0, "replayed_at": now}}
    update["$push"] = {"history": past}
    update["$pull"] = {"settled": marks_of_step(letter.step)}
    return UpdateOne({"_id": letter.checkout, f"{message}.state": MessageState.DEAD}, update)


def _read(document: Document) -> KeptLetter:
    return KeptLetter(
        id=document["_id"],
        checkout=document.get("checkout", ""),
        step=document.get("step"),
        cause=document.get("cause", ""),
        error=document.get("error", ""),
        at=document["at"],
        attempts=document.get("attempts", 0),
        errors=tuple(document.get("errors", ())),
        replayed_at=document.get("replayed_at"),
    )
