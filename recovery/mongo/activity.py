"""The stored activity: one document for each hour, daemon and shop, with totals and nobody's data."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from recovery.domain.activity import Entry, Fate, Lateness, Summary, hour_of
from recovery.mongo.collections import ACTIVITY, FORGIVING, Database, Document
from recovery.mongo.errors import translated


class Activity:
    """The activity of all daemons on a database, kept for eight days. Every method raises `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._activity = database.get_collection(ACTIVITY, **FORGIVING)

    @translated
    async def put(self, daemon: str, entries: Iterable[Entry]) -> None:
        """Store the totals of a daemon by one bulk write: a repetition changes nothing."""
        updates = [
            UpdateOne(
                {"_id": f"{each.hour:%Y-%m-%dT%H}/{daemon}/{each.shop}"}, {"$set": _set(daemon, each)}, upsert=True
            )
            for each in entries
        ]
        if updates:
            await self._activity.bulk_write(updates, ordered=False)

    @translated
    async def since(self, at: datetime, shops: Collection[str] | None = None) -> Summary:
        """Return the activity of these shops, or of all, from the beginning of that hour on, over all daemons."""
        query: Document = {"at": {"$gte": hour_of(at)}}
        if shops is not None:
            query["shop"] = {"$in": sorted(shops)}
        found = Summary()
        async with self._activity.find(query, {"_id": 0, "at": 1, "counts": 1, "lateness": 1}) as cursor:
            async for document in cursor:
                _add(document, found)
        return found


def _set(daemon: str, entry: Entry) -> Document:
    of = entry.of
    return {
        "at": entry.hour,
        "daemon": daemon,
        "shop": entry.shop,
        "counts": [
            {"step": step, "fate": fate.value, "reason": reason, "n": count}
            for (step, fate, reason), count in of.counts.items()
        ],
        "lateness": [
            {"step": step, "within": float(bound), "n": count}
            for step, each in of.lateness.items()
            for bound, count in each.counts.items()
        ],
    }


def _add(document: Mapping[str, Any], to: Summary) -> None:
    """Add a stored document; what a newer version stores otherwise, or somebody by hand, is left out."""
    for each in document.get("counts", ()):
        try:
            what = (str(each["step"]), Fate(each["fate"]), str(each.get("reason", "")))
            to.counts[document["at"], what] += int(each["n"])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    for each in document.get("lateness", ()):
        try:
            to.by_step.setdefault(str(each["step"]), Lateness()).counts[float(each["within"])] += int(each["n"])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
