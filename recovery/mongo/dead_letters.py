"""Dead letters: messages that could not be sent, and documents that could not be read; inspect, replay or drop them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DeleteOne, UpdateOne

from recovery.domain.state import Cause, MessageState
from recovery.engine.writes import DeadLetter
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, OPTIONS, Database, Document, of_shop
from recovery.mongo.errors import translated
from recovery.mongo.marks import marks_of_step

ERRORS_KEPT = 20
"""The number of errors that a letter holds, the newest ones."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter for dead letters: those that match all given fields."""

    ids: tuple[str, ...] = ()
    cause: Cause | None = None
    shop: str | None = None
    step: str | None = None
    before: datetime | None = None
    replayed: bool = False

    def query(self) -> Document:
        """Return the MongoDB query."""
        query: Document = {} if self.replayed else {"replayed_at": None}
        if self.ids:
            query["_id"] = {"$in": list(self.ids)}
        if self.cause is not None:
            query["cause"] = self.cause.value
        if self.shop is not None:
            query["checkout"] = of_shop(self.shop)
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
    async def replay(self, letters: Sequence[KeptLetter], now: datetime) -> int:
        """Make these messages due now, for the daemon to look at again; return how many.

        The look decides: customers who have ordered or cancelled in the meantime get no mail. A message that is no
        longer dead is not changed.
        """
        if not letters:
            return 0
        result = await self._checkouts.bulk_write(
            [_replayed(letter, now) for letter in letters], ordered=False, bypass_document_validation=True
        )
        marks = [UpdateOne({"_id": letter.id}, {"$set": {"replayed_at": now}}) for letter in letters]
        await self._letters.bulk_write(marks, ordered=False)
        return result.modified_count

    @translated
    async def drop(self, letters: Sequence[KeptLetter]) -> int:
        """Delete these letters; return how many existed. The checkouts keep their history."""
        if not letters:
            return 0
        deletions = [DeleteOne({"_id": letter.id}) for letter in letters]
        return (await self._letters.bulk_write(deletions, ordered=False)).deleted_count


def letter_write(letter: DeadLetter) -> UpdateOne:
    """Return the write of a dead letter. Each message has one, which collects the errors of all its deaths."""
    kept = {"checkout": letter.checkout, "step": letter.step, "cause": letter.cause, "replayed_at": None}
    if letter.address is not None:
        kept["address"] = letter.address
    error = {"at": letter.at, "error": letter.error, "attempts": letter.attempts}
    update = {"$set": kept | error, "$push": {"errors": {"$each": [error], "$slice": -ERRORS_KEPT}}}
    return UpdateOne({"_id": letter.id}, update, upsert=True)


def _replayed(letter: KeptLetter, now: datetime) -> UpdateOne:
    """Return the write that makes a dead message due. It moves the revision, as a report does."""
    past = {"at": now, "decision": f"replay {letter.step or 'the document'}", "reason": "requested by an operator"}
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
