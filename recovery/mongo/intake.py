"""What a report writes: one atomic update of one document, as data.

Each is an aggregation pipeline, so that the decision "does this report change anything?" is taken by the server, on
its own clock, in the same step as the write. A report that changes nothing writes nothing and wakes nobody.

The facts sit in one field: "the same again" is then one comparison, and a bulk of these is as fast as one of plain
upserts (measured: 9,600 to 11,500 inserts a second against 11,000 to 11,800; 19,800 against 13,900 for repeats).
"""

from datetime import datetime
from typing import Any, NamedTuple

from recovery.checkout import Checkout, Order, Status

NOW = "$$NOW"
KEPT = "$$ROOT"


class Write(NamedTuple):
    """The arguments of `update_one`."""

    filter: dict[str, Any]
    update: list[dict[str, Any]]
    upsert: bool


def checkout_write(report: Checkout) -> Write:
    """Return the write for a checkout report.

    An order or a cancellation stands. On an ordered checkout, the report only fills in who ordered, where the order did
    not say. Otherwise the newest report wins, and moves the timer of what is still unsent.
    """
    facts = {"$literal": report.facts()}
    touched_at = _not_in_future(report.touched_at)
    same = {"$eq": ["$facts", facts]}
    if report.touched_at is None:
        changes_nothing: dict[str, Any] = same
    else:
        older = {"$lt": [touched_at, "$touched_at"]}
        changes_nothing = {"$or": [older, {"$and": [same, {"$eq": [touched_at, "$touched_at"]}]}]}
    newest = _merged(
        facts=facts,
        status=Status.OPEN,
        opened_at={"$ifNull": ["$opened_at", touched_at]},
        touched_at=touched_at,
    )
    filled_in = _merged(facts={"$mergeObjects": [facts, "$facts"]})
    return _write(
        report.id,
        {
            "$switch": {
                "branches": [
                    {"case": {"$eq": ["$status", Status.CANCELLED]}, "then": KEPT},
                    {
                        "case": {"$eq": ["$status", Status.ORDERED]},
                        "then": {"$cond": [{"$gt": ["$facts.customer", None]}, KEPT, filled_in]},
                    },
                    {"case": {"$and": [{"$gt": ["$status", None]}, changes_nothing]}, "then": KEPT},
                ],
                "default": newest,
            }
        },
    )


def order_write(report: Order) -> Write:
    """Return the write for an order report: whatever was known, the checkout is ordered from now on.

    What the order says of its facts replaces what the checkout said. An order that is not known yet is kept as well, so
    that a checkout reported after its order does not open again.
    """
    facts = {"$mergeObjects": ["$facts", {"$literal": report.facts()}]}
    ordered_at = {"$ifNull": ["$ordered_at", _not_in_future(report.ordered_at)]}
    same = {"$and": [{"$eq": ["$status", Status.ORDERED]}, {"$eq": ["$facts", facts]}]}
    ordered = _merged(
        facts=facts,
        status=Status.ORDERED,
        opened_at={"$ifNull": ["$opened_at", ordered_at]},
        touched_at={"$ifNull": ["$touched_at", ordered_at]},
        ordered_at=ordered_at,
    )
    return _write(report.id, {"$cond": [same, KEPT, ordered]})


def cancel_write(id_: str) -> Write:
    """Return the write for a cancellation. It touches only a checkout that is known and not ordered."""
    standing = {"$in": ["$status", [Status.CANCELLED, Status.ORDERED]]}
    return _write(id_, {"$cond": [standing, KEPT, _merged(status=Status.CANCELLED)]}, upsert=False)


def _write(id_: str, document: dict[str, Any], *, upsert: bool = True) -> Write:
    return Write({"_id": id_}, [{"$replaceWith": document}], upsert)


def _merged(**fields: Any) -> dict[str, Any]:
    """Return the kept document with these fields changed, one revision on, to be looked at now."""
    revision = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}
    return {"$mergeObjects": [KEPT, {**fields, "revision": revision, "next_at": NOW, "purge_at": None}]}


def _not_in_future(at: datetime | None) -> Any:
    """Return the time of a fact, by the server's clock at the latest: a caller's clock may be ahead."""
    return NOW if at is None else {"$min": [at, NOW]}
