"""Updates of many checkouts by one statement, in which each document takes its own values.

The server plans a query for each statement, and a guarded one costs it more than the write itself.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo import UpdateMany, UpdateOne

from recovery.domain.state import CheckoutState
from recovery.mongo.collections import Document

HISTORY_KEPT = 50
"""The number of history entries that a checkout holds, the newest ones."""


@dataclass(frozen=True, slots=True)
class GuardedUpdate:
    """An update of the checkout `seen`, which applies only while the fields of `guard`, named by path, have its values.

    `guard` includes the `_id`. None in it stands for a field that is null or absent. `fields` are set, `messages` are
    set by step name, `marks` are added to those of settled messages, and `history` is appended.
    """

    seen: CheckoutState
    guard: Mapping[str, Any]
    fields: Mapping[str, Any]
    messages: Mapping[str, Document] = field(default_factory=dict)
    marks: Sequence[str] = ()
    history: Sequence[Document] = ()
    drops_claim: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether making it again changes nothing, because its guard does not match what it has written."""
        if self.drops_claim and self.guard.get("claim.token") is not None:
            return True
        return any(_stored(self.guard[name]) != _stored(new) for name, new in self.fields.items() if name in self.guard)

    @property
    def group(self) -> Hashable:
        """The key of its group: updates with equal keys can be made by one statement."""
        return tuple(self.guard), bool(self.messages), bool(self.marks), bool(self.history), self.drops_claim

    def alone(self) -> UpdateOne:
        """Return it as a statement of its own."""
        update: Document = {
            "$set": {**self.fields, **{f"messages.{step}": each for step, each in self.messages.items()}}
        }
        if self.marks:
            update["$addToSet"] = {"settled": {"$each": list(self.marks)}}
        if self.history:
            update["$push"] = {"history": {"$each": list(self.history), "$slice": -HISTORY_KEPT}}
        if self.drops_claim:
            update["$unset"] = {"claim": ""}
        return UpdateOne(dict(self.guard), update)


def grouped(updates: Sequence[GuardedUpdate]) -> tuple[list[list[GuardedUpdate]], list[GuardedUpdate]]:
    """Return groups of updates that can each be made by one statement, and the updates that must be made alone.

    The driver does not repeat a statement that updates many, so the caller has to: only repeatable updates are in a
    group. An id is in one group at most, since a document finds its values by its id. Without a group of two or more
    all are made alone: then the driver repeats them.
    """
    groups: dict[Hashable, list[GuardedUpdate]] = {}
    ids: set[str] = set()
    rest: list[GuardedUpdate] = []
    for update in updates:
        if update.seen.id in ids or not update.is_repeatable:
            rest.append(update)
        else:
            groups.setdefault(update.group, []).append(update)
            ids.add(update.seen.id)
    if all(len(group) == 1 for group in groups.values()):
        return [], list(updates)
    return list(groups.values()), rest


def together(group: Sequence[GuardedUpdate]) -> UpdateOne | UpdateMany:
    """Return the statement that makes the updates of a group, each under its own guard."""
    first = group[0]
    if len(group) == 1:
        return first.alone()
    own = [
        {
            "fields": each.fields,
            "messages": each.messages,
            "settled": list(each.marks),
            "history": list(each.history),
        }
        for each in group
    ]
    changed: Document = {}
    if first.messages:
        changed["messages"] = {"$mergeObjects": ["$messages", "$$own.messages"]}
    if first.marks:
        known: Document = {"$ifNull": ["$settled", []]}
        new = {"$filter": {"input": "$$own.settled", "cond": {"$not": [{"$in": ["$$this", known]}]}}}
        changed["settled"] = {"$concatArrays": [known, new]}
    if first.history:
        grown = {"$concatArrays": [{"$ifNull": ["$history", []]}, "$$own.history"]}
        changed["history"] = {"$slice": [grown, -HISTORY_KEPT]}
    after = {"$mergeObjects": ["$$ROOT", "$$own.fields", changed]}
    pipeline: list[Document] = [{"$replaceWith": {"$let": {"vars": {"own": _own(group, own)}, "in": after}}}]
    if first.drops_claim:
        pipeline.append({"$unset": "claim"})
    return UpdateMany(_guard(group), pipeline)


def _guard(group: Sequence[GuardedUpdate]) -> Document:
    """Return the filter that matches each document of a group only if it matches the guard of its own update."""
    first = group[0].guard
    alike = {path: value for path, value in first.items() if all(each.guard[path] == value for each in group)}
    guard = {"_id": {"$in": [each.seen.id for each in group]}} | alike
    if differing := [path for path in first if path != "_id" and path not in alike]:
        stored = [{"$ifNull": [f"${path}", None]} for path in differing]
        seen = [[each.guard[path] for path in differing] for each in group]
        guard["$expr"] = {"$eq": [stored, _own(group, seen)]}
    return guard


def _own(group: Sequence[GuardedUpdate], values: Sequence[Any]) -> Document:
    """Return the expression for a document's own of these values, one for each update of the group.

    Values are literal: texts in them that start with a dollar sign are not read as expressions.
    """
    position = {"$indexOfArray": [{"$literal": [each.seen.id for each in group]}, "$_id"]}
    return {"$arrayElemAt": [{"$literal": list(values)}, position]}


def _stored(value: object) -> object:
    """Return a value as MongoDB stores it: times to the millisecond."""
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value
