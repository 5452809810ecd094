"""The writes of operators: guarded updates of one checkout, and the cancellation of many.

Each moves the revision, as a report does: a look follows at once, and a claim of what was there before fails.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import BaseModel
from pymongo import UpdateOne

from recovery.domain.operations import Change, NotPossible, Operator
from recovery.domain.state import CheckoutState, Past, Status
from recovery.errors import Damaged
from recovery.mongo import updates
from recovery.mongo.batch_updates import HISTORY_KEPT
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS, OPTIONS, Database, Document
from recovery.mongo.documents import to_document
from recovery.mongo.errors import translated
from recovery.mongo.marks import marks_of

TRIES = 5
"""Times that an operation is decided on again, because the checkout has changed meanwhile."""

UNORDERED = (Status.OPEN, Status.FINISHED)


class Operations:
    """What operators do with the checkouts of a database. Every method raises `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._checkouts = database.get_collection(CHECKOUTS, **OPTIONS)
        self._kept = MongoCheckouts(database)

    @translated
    async def change(
        self, id_: str, decide: Callable[[CheckoutState], Change], operator: Operator, now: datetime
    ) -> CheckoutState | None:
        """Change a checkout as `decide` says of its stored state; return what that makes of it, or None if it is gone.

        Raises `NotPossible`, which `decide` may raise as well, and `Damaged`.
        """
        for _ in range(TRIES):
            found, unreadable = await self._kept.load([id_])
            if unreadable:
                raise Damaged(f"checkout {id_} cannot be read: {unreadable[0].fault}")
            if not found:
                return None
            change = decide(found[0])
            result = await self._checkouts.update_one(updates.unchanged(found[0]), _changed(change, operator, now))
            if result.modified_count:
                return change.applied(found[0], now)
        raise NotPossible("The checkout is changing all the time: try again in a minute.")

    @translated
    async def cancel(
        self, ids: Sequence[str], operator: Operator, now: datetime, statuses: Sequence[Status] = UNORDERED
    ) -> int:
        """Cancel those of these checkouts that are in one of these statuses; return how many.

        As with a reported cancellation, a message that is being sent is called off if there is still time.
        """
        if not ids:
            return 0
        fields = {"status": Status.CANCELLED.value}
        update = _update(fields, "cancel", operator, now)
        among = {"status": {"$in": [status.value for status in statuses]}}
        writes = [UpdateOne({"_id": id_, **among}, update) for id_ in ids]
        return (await self._checkouts.bulk_write(writes, ordered=False)).modified_count


def _changed(change: Change, operator: Operator, now: datetime) -> Document:
    messages = {f"messages.{step}": to_document(message) for step, message in change.messages.items()}
    fields = {
        name: value.model_dump() if hasattr(value, "model_dump") else value for name, value in change.fields.items()
    }
    update = _update({**messages, **fields}, change.decision, operator, now)
    if marks := marks_of(change.messages):
        update["$addToSet"] = {"settled": {"$each": marks}}
    return update


def _update(fields: Document, decision: str, operator: Operator, now: datetime) -> Document:
    past = Past(at=now, decision=decision, reason=operator.reason).model_dump()
    kept = {
        name: value.model_dump() if isinstance(value, BaseModel) else value
        for name, value in fields.items()
        if value is not None
    }
    update: Document = {
        "$set": {**kept, "next_at": now, "purge_at": None},
        "$inc": {"revision": 1},
        "$push": {"history": {"$each": [past], "$slice": -HISTORY_KEPT}},
    }
    if gone := [name for name, value in fields.items() if value is None]:
        update["$unset"] = dict.fromkeys(gone, "")
    return update
