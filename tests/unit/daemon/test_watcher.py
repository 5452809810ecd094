"""A watcher: what a change stream brings is looked at, and its position is saved after that and never before."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from recovery.daemon import outage
from recovery.daemon.lanes import Lane, Lanes
from recovery.daemon.watcher import Watcher
from recovery.domain.per_shop import PerShop
from recovery.errors import Unavailable
from recovery.mongo.feed import Batch


class Stream:
    """A change feed of these batches, which stays open after them; it notes all that is done with them."""

    def __init__(self, batches: Sequence[Batch], *, room: int = 100, mine: Callable[[str], bool] = lambda _: True):
        self.batches = batches
        self.done: list[Any] = []
        self.all_read = asyncio.Event()
        self.behind = asyncio.Event()
        self.now = 0.0
        self.fails = 0
        self.answered: set[str] = set()
        engine = SimpleNamespace(
            sender=SimpleNamespace(room=lambda: room),
            ahead=SimpleNamespace(unanswered=self.unanswered),
            behind=self.behind,
            look=self.look,
        )
        lanes = Lanes(PerShop(Lane("relay", engine, SimpleNamespace()), {}))
        self.watcher = Watcher(
            "reports",
            self,
            self,
            lanes,
            SimpleNamespace(mine=mine),
            SimpleNamespace(now=lambda: datetime(2026, 3, 1, tzinfo=UTC)),
            expired=True,
            repair=self.repair,
            monotonic=lambda: self.now,
        )

    async def follow(self, token: object) -> AsyncIterator[Batch]:
        """Give all batches, then wait for ever."""
        self.done.append(("follow", token))
        for batch in self.batches:
            yield batch
            await asyncio.sleep(0)
        self.all_read.set()
        await asyncio.Event().wait()

    async def load(self, stream: str) -> dict[str, str]:
        """Return the position of the last run."""
        return {"_data": f"last of {stream}"}

    async def save(self, stream: str, token: Any, at: datetime) -> None:
        """Note a position."""
        self.done.append(("save", token["_data"]))

    async def repair(self) -> None:
        """Note that the collections are repaired."""
        self.done.append("repair")

    async def unanswered(self, ids: Sequence[str]) -> list[str]:
        """Return those that no claim has answered."""
        return [id_ for id_ in ids if id_ not in self.answered]

    async def look(self, ids: Collection[str], cause: str) -> None:
        """Note a look, unless it is to fail."""
        if self.fails:
            self.fails -= 1
            raise Unavailable("no primary")
        self.done.append((cause, list(ids)))

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Run the watcher until all batches were read and whatever comes of them is done."""
        task = asyncio.create_task(self.watcher.run())
        try:
            async with asyncio.timeout(30):
                await self.all_read.wait()
            for _ in range(20):
                await asyncio.sleep(0)
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


def batch(number: int, *ids: str, lost: str | None = None) -> Batch:
    """Return a batch; its token tells its number."""
    return Batch(ids=list(ids), token={"_data": str(number)}, lost=lost)


async def test_a_position_is_saved_after_the_look_and_at_most_once_a_second():
    """The first is saved, those of the same second are not."""
    stream = Stream([batch(1, "a"), batch(2, "b"), batch(3), batch(4)])
    async with stream.followed():
        assert stream.done[:3] == [("follow", {"_data": "last of reports"}), ("reports", ["a"]), ("reports", ["b"])]
        assert [each for each in stream.done if each[0] == "save"] == [("save", "1")]


async def test_where_history_is_lost_the_sweeps_take_over():
    """The collections are repaired, all that is due is looked at, and the new position is saved at once."""
    stream = Stream([batch(1, "a"), batch(2, lost="the oplog has rolled over"), batch(3)])
    async with stream.followed():
        assert "repair" in stream.done
        assert stream.behind.is_set()
        assert ("save", "2") in stream.done


async def test_a_look_that_the_database_refuses_is_made_again(monkeypatch: pytest.MonkeyPatch):
    """Nothing is skipped, and no position is saved before."""
    monkeypatch.setattr(outage, "AGAIN_AFTER", 0)
    stream = Stream([batch(1, "a"), batch(2), batch(3)])
    stream.fails = 3
    async with stream.followed():
        assert stream.done[1:] == [("reports", ["a"]), ("save", "1")]


async def test_what_there_is_no_room_for_is_left_to_the_sweep():
    """It is due by its `next_at` anyway: to load it would be in vain."""
    stream = Stream([batch(1, "a", "b", "c")], room=2)
    async with stream.followed():
        assert ("reports", ["a", "b"]) in stream.done
        assert stream.behind.is_set()


async def test_what_is_another_daemon_s_is_left_alone():
    """Each checkout is looked at by the daemon whose share it is in."""
    stream = Stream([batch(1, "a", "b")], mine=lambda id_: id_ == "b")
    async with stream.followed():
        assert ("reports", ["b"]) in stream.done
        assert ("reports", ["a"]) not in stream.done


async def test_what_was_claimed_ahead_is_not_looked_at_again():
    """Its shadow's event tells nothing new, and it takes no room from the others."""
    stream = Stream([batch(1, "a", "b", "c")], room=2)
    stream.answered = {"a"}
    async with stream.followed():
        assert ("reports", ["b", "c"]) in stream.done
        assert not stream.behind.is_set()
