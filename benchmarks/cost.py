"""The cost of work: processor time by process, and what it adds to the oplog.

Other programs on the machine disturb it less than rates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bson.timestamp import Timestamp
from pymongo import AsyncMongoClient

from tests.support.processor_time import processor_time


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time in seconds, user and system, by process; oplog entries and their bytes as BSON."""

    seconds: Mapping[str, float]
    entries: int
    bytes: int

    def of_each(self, count: int) -> dict[str, float]:
        """Return the cost of one of so many: microseconds by process and of all together, oplog entries and bytes."""
        each = {f"{name}, us": 1e6 * seconds / count for name, seconds in self.seconds.items()}
        together = {"processor time, us": sum(each.values())}
        return each | together | {"oplog entries": self.entries / count, "oplog bytes": self.bytes / count}


class Meter:
    """Measures the cost between `begin` and `end`."""

    def __init__(self, client: AsyncMongoClient, **processes: int) -> None:
        """Measure mongod, and these processes by their ids."""
        self._client = client
        self._processes = processes
        self._at_begin: dict[str, float] = {}
        self._since = Timestamp(0, 0)

    async def begin(self, **processes: int) -> None:
        """Begin; `processes` are measured beside those given before."""
        status = await self._client.admin.command({"serverStatus": 1})
        self._processes |= processes | {"mongod": int(status["pid"])}
        self._since = (await self._client.admin.command("hello"))["lastWrite"]["opTime"]["ts"]
        self._at_begin = self._seconds()

    async def end(self) -> Cost:
        """Return the cost since the beginning."""
        at_end = self._seconds()
        found = {"entries": 0, "bytes": 0}
        stages = [
            {"$match": {"ts": {"$gt": self._since}, "op": {"$ne": "n"}}},
            {"$group": {"_id": None, "entries": {"$sum": 1}, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}},
        ]
        async with await self._client.local["oplog.rs"].aggregate(stages) as cursor:
            async for each in cursor:
                found = each
        spent = {name: seconds - self._at_begin[name] for name, seconds in at_end.items()}
        return Cost(spent, found["entries"], found["bytes"])

    def _seconds(self) -> dict[str, float]:
        return {name: processor_time(pid) for name, pid in self._processes.items()}
