"""The stored pauses of sending, one document for each: the claim of every message asks for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING

from recovery.domain.pauses import EVERYTHING
from recovery.mongo.collections import FORGIVING, PAUSES, Database
from recovery.mongo.errors import translated

REASON_KEPT = 500
BY_KEPT = 100
"""Characters that are kept of the reason, and of who paused."""


@dataclass(frozen=True, slots=True)
class KeptPause:
    """A pause: of one shop, or of all sending where `shop` is None. What nobody stored is None, or empty."""

    shop: str | None
    at: datetime | None
    by: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """The name of the pause: the shop, or `EVERYTHING`."""
        return EVERYTHING if self.shop is None else self.shop


class Pauses:
    """The pauses of a database. Every method raises `Unavailable`.

    Once `pause` has returned, no message that it covers is claimed and sent any more, whatever a daemon knows. Messages
    that were claimed up to half a second before still go.
    """

    def __init__(self, database: Database) -> None:
        self._pauses = database.get_collection(PAUSES, **FORGIVING)

    @translated
    async def all(self) -> list[KeptPause]:
        """Return the pauses: that of all sending first, then by shop."""
        return [_pause(each) async for each in self._pauses.find().sort("_id", ASCENDING)]

    @translated
    async def names(self) -> frozenset[str]:
        """Return the names of the pauses."""
        return frozenset([str(each["_id"]) async for each in self._pauses.find({}, {"_id": 1})])

    @translated
    async def pause(self, shop: str | None, by: str, reason: str, now: datetime) -> None:
        """Pause a shop, or all sending, until `resume`. What is paused already stays so, for the new reason.

        Raises `ValueError` for a shop that cannot be one.
        """
        change = {"$set": {"by": by[:BY_KEPT], "reason": reason[:REASON_KEPT]}, "$setOnInsert": {"at": now}}
        await self._pauses.update_one({"_id": _name(shop)}, change, upsert=True)

    @translated
    async def resume(self, shop: str | None) -> bool:
        """End the pause of a shop, or that of all sending; return whether there was one.

        A shop that was paused by itself stays so when all sending is resumed, and the other way round.
        """
        result = await self._pauses.delete_one({"_id": _name(shop)})
        return result.deleted_count > 0


def _name(shop: str | None) -> str:
    if shop is None:
        return EVERYTHING
    if not shop or "/" in shop or shop == EVERYTHING:
        raise ValueError(f"{shop!r} is not the name of a shop")
    return shop


def _pause(document: Mapping[str, Any]) -> KeptPause:
    """Return a stored pause. One that was made by hand counts as well, with what it says."""
    name, at = str(document["_id"]), document.get("at")
    return KeptPause(
        None if name == EVERYTHING else name,
        at if isinstance(at, datetime) else None,
        str(document.get("by", "")),
        str(document.get("reason", "")),
    )
