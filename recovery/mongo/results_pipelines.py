"""The aggregations that count what reminders bring, as data: one over mails, one over the arms of experiments.

No document fails a count, whatever was written into it by hand: what has another type counts as if it were absent.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson.decimal128 import Decimal128

from recovery.domain.schedule import CONFIRMATION
from recovery.domain.state import Status
from recovery.mongo.collections import BY_ASSIGNMENT, BY_LAST_MAIL, CHECKOUTS, OPTIONS, RESULTS, Database, Document

LONGEST_COUNT = timedelta(minutes=10)
"""The time after which the server gives up a count."""

AT_ONCE = timedelta(minutes=1)
"""An order so soon after a mail was under way before it, and counts as none."""

KEYS = ("day", "shop", "step", "language", "coupon", "experiment", "arm", "currency")
COUNTS = ("mails", "checkouts", "returned", "returned_orders", "ordered", "open")
AMOUNTS = ("money", "squares", "returned_money")

_NOTHING = Decimal128("0")
_LARGEST = Decimal128("1E16")


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _if(condition: Any, then: Any, otherwise: Any) -> Document:
    return {"$cond": [condition, then, otherwise]}


def _is(kind: str, value: str) -> Document:
    return {"$eq": [{"$type": value}, kind]}


def _pairs(value: str) -> Document:
    """Return the fields of an embedded document as an array of `k` and `v`."""
    return {"$objectToArray": _if(_is("object", value), value, {"$literal": {}})}


def _those(values: Any, condition: Document) -> Document:
    return {"$filter": {"input": values, "cond": condition}}


def _within(start: Any, end: Any, least: timedelta, most: timedelta) -> Document:
    """Return whether a time is so long after another; false if either is null."""
    gap = {"$subtract": [end, start]}
    return {"$and": [{"$gte": [gap, _milliseconds(least)]}, {"$lte": [gap, _milliseconds(most)]}]}


_TOTAL = {"$convert": {"input": "$facts.total", "to": "decimal", "onError": None, "onNull": None}}
_LOCALE = {"$replaceAll": {"input": {"$toLower": "$facts.locale"}, "find": "_", "replacement": "-"}}
_LANGUAGE = {"$arrayElemAt": [{"$split": [_LOCALE, "-"]}, 0]}

COMMON: Document = {
    "shop": 1,
    "language": _if(_is("string", "$facts.locale"), _LANGUAGE, ""),
    "currency": _if(_is("string", "$facts.currency"), "$facts.currency", ""),
    "total": _if({"$and": [{"$gte": [_TOTAL, _NOTHING]}, {"$lt": [_TOTAL, _LARGEST]}]}, _TOTAL, _NOTHING),
    "bought_at": _if(
        {"$and": [{"$eq": ["$status", Status.ORDERED.value]}, _is("date", "$ordered_at")]}, "$ordered_at", None
    ),
    "back": _those(_pairs("$returned"), _is("date", "$$this.v")),
}
"""The fields that both counts need of a checkout."""


def _mail_stages(since: datetime, window: timedelta) -> list[Document]:
    """Return the stages that make one row of each mail sent since then.

    An order counts for the last mail before it, and of those who came back, for the last that brought them.
    """
    sent = {"$and": [_is("date", "$$this.v.sent_at"), {"$ne": ["$$this.k", CONFIRMATION]}]}
    own_back = _those("$back", {"$eq": ["$$this.k", "$mail.k"]})
    before = {"$lte": ["$$this", "$bought_at"]}
    return [
        {"$project": COMMON | {"mail": _those(_pairs("$messages"), sent)}},
        {
            "$set": {
                "first_at": {"$min": "$mail.v.sent_at"},
                "last_at": {"$max": _those("$mail.v.sent_at", before)},
                "brought_at": {"$max": _those("$back.v", before)},
            }
        },
        {"$unwind": "$mail"},
        {"$match": {"mail.v.sent_at": {"$gte": since}}},
        {"$set": {"at": "$mail.v.sent_at", "back_at": {"$max": {"$map": {"input": own_back, "in": "$$this.v"}}}}},
        {
            "$set": {
                "came": _within("$at", "$back_at", timedelta(), window),
                "bought": {
                    "$and": [{"$eq": ["$at", "$last_at"]}, _within("$at", "$bought_at", AT_ONCE, window)],
                },
            }
        },
        {
            "$set": {
                "brought": {
                    "$and": [
                        "$came",
                        {"$eq": ["$back_at", "$brought_at"]},
                        _within("$back_at", "$bought_at", timedelta(), window),
                    ]
                },
                "is_first": {"$eq": ["$at", "$first_at"]},
                "is_open": False,
            }
        },
        _grouped(step="$mail.k", coupon=_if(_is("string", "$mail.v.coupon"), "$mail.v.coupon", "")),
    ]


def _arm_stages(_: datetime, window: timedelta) -> list[Document]:
    """Return the stages that make one row of each checkout and experiment.

    The window begins when the first reminder was due, in every arm alike.
    """
    back = {"$min": "$back.v"}
    return [
        {"$project": COMMON | {"at": "$assigned_at", "arm": _those(_pairs("$experiments"), _is("string", "$$this.v"))}},
        {"$unwind": "$arm"},
        {"$set": {"came": _within("$at", back, timedelta(), window)}},
        {
            "$set": {
                "bought": _within("$at", "$bought_at", timedelta(), window),
                "brought": {"$and": ["$came", _within(back, "$bought_at", timedelta(), window)]},
                "is_first": True,
                "is_open": {
                    "$and": [
                        {"$eq": ["$bought_at", None]},
                        {"$gt": [{"$add": ["$at", _milliseconds(window)]}, "$$NOW"]},
                    ]
                },
            }
        },
        _grouped(experiment="$arm.k", arm="$arm.v"),
    ]


def _grouped(**keys: Any) -> Document:
    """Return the stage that sums up rows, by day and these keys."""
    day = {"$dateTrunc": {"date": "$at", "unit": "day"}}
    key = {"shop": "$shop", "language": "$language", "currency": "$currency", **keys, "day": day}
    counted = {
        "checkouts": "$is_first",
        "returned": "$came",
        "returned_orders": "$brought",
        "ordered": "$bought",
        "open": "$is_open",
    }
    return {
        "$group": {
            "_id": {name: key.get(name, "") for name in KEYS},
            "mails": {"$sum": 1 if "step" in keys else 0},
            **{name: {"$sum": _if(flag, 1, 0)} for name, flag in counted.items()},
            "money": {"$sum": _if("$bought", "$total", _NOTHING)},
            "squares": {"$sum": _if("$bought", {"$multiply": ["$total", "$total"]}, _NOTHING)},
            "returned_money": {"$sum": _if("$brought", "$total", _NOTHING)},
        }
    }


@dataclass(frozen=True, slots=True)
class Pipeline:
    """An aggregation over checkouts: they are found by their time in `field`, by `index`; `kind` matches its sums."""

    field: str
    index: str
    kind: Document
    rows: Callable[[datetime, timedelta], list[Document]]

    async def run(self, database: Database, since: datetime, window: timedelta, left_out: Sequence[str]) -> None:
        """Count the days since then, and replace their sums."""
        checkouts = database.get_collection(CHECKOUTS, **OPTIONS)
        stages, limit = self.stages(since, window, left_out), _milliseconds(LONGEST_COUNT)
        cursor = await checkouts.aggregate(stages, hint=self.index, allowDiskUse=True, maxTimeMS=limit)
        await cursor.close()

    def stages(self, since: datetime, window: timedelta, left_out: Sequence[str]) -> list[Document]:
        """Return all stages. Sums of these days that no checkout belongs to any more become zero."""
        known = [{"$match": {"_id.day": {"$gte": since}} | self.kind}, {"$project": {"_id": 1}}]
        return [
            {"$match": {self.field: {"$gte": since}, "shop": {"$type": "string"}, **_but(left_out)}},
            *self.rows(since, window),
            {"$unionWith": {"coll": RESULTS, "pipeline": known}},
            {"$group": {"_id": "$_id"} | {name: {"$sum": f"${name}"} for name in (*COUNTS, *AMOUNTS)}},
            {"$set": {"at": "$$NOW"} | {name: {"$toDecimal": f"${name}"} for name in AMOUNTS}},
            {"$merge": {"into": RESULTS, "on": "_id", "whenMatched": "replace", "whenNotMatched": "insert"}},
        ]


def _but(left_out: Sequence[str]) -> Document:
    """Return the filter that leaves out checkouts of these addresses and domains."""
    if not left_out:
        return {}
    domains = [re.compile(f"{re.escape(each)}$") for each in left_out if each.startswith("@")]
    return {"address": {"$nin": [*(each for each in left_out if not each.startswith("@")), *domains]}}


MAILS = Pipeline("written_at", BY_LAST_MAIL, {"_id.experiment": ""}, _mail_stages)
ARMS = Pipeline("assigned_at", BY_ASSIGNMENT, {"_id.experiment": {"$ne": ""}}, _arm_stages)
