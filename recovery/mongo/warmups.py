"""The records of a warm-up: what it has counted, the days on which it halted, and the complaints of its shops."""

from datetime import date, datetime

from recovery.domain.suppression import SuppressionReason
from recovery.domain.warmup import Warmup
from recovery.engine.ports import PastDay
from recovery.mongo.collections import ALLOWANCES, OPTIONS, SUPPRESSIONS, Database
from recovery.mongo.errors import translated
from recovery.mongo.queues import Shops


class MongoWarmupRecords:
    """The records of the warm-up of one relay, in the document of its allowance."""

    def __init__(self, database: Database, relay: str, warmup: Warmup, shops: Shops) -> None:
        """Read what `MongoAllowance` counts for the same relay and warm-up. `shops` are those that send by it."""
        self._allowances = database.get_collection(ALLOWANCES, **OPTIONS)
        self._suppressions = database.get_collection(SUPPRESSIONS, **OPTIONS)
        self._relay = relay
        self._name = warmup.name
        self._shops = shops

    @translated
    async def since(self, at: datetime) -> PastDay:
        """Return the messages counted and the complaints made since that time, and all days on which it halted."""
        kept = await self._allowances.find_one({"_id": self._relay}, {"used": 1, "halted": 1}) or {}
        slots = kept.get("used", {}).get(self._name, ())
        sent = sum(int(slot["n"]) for slot in slots if slot["at"] >= at.timestamp() * 1000)
        halted = kept.get("halted", {}).get(self._name, ())
        return PastDay(sent, await self._complaints(at), frozenset(map(date.fromisoformat, halted)))

    @translated
    async def halt(self, day: date) -> None:
        """Record that it halted on a day, once for all daemons."""
        change = {"$addToSet": {f"halted.{self._name}": day.isoformat()}, "$currentDate": {"at": True}}
        await self._allowances.update_one({"_id": self._relay}, change, upsert=True)

    async def _complaints(self, since: datetime) -> int:
        """Return the number of addresses that complained: one of all shops counts for each."""
        query = {"reason": SuppressionReason.COMPLAINT.value, "at": {"$gte": since}}
        found = self._suppressions.find(query, {"_id": 1})
        return sum([self._shops.have(each["_id"].partition("/")[0] or None) async for each in found])
