"""Positions: where a daemon goes on in a stream after a restart."""

from datetime import UTC, datetime

from recovery.mongo.positions import Positions

AT = datetime(2026, 3, 1, tzinfo=UTC)


async def test_each_daemon_has_its_own_position_in_each_stream(database):
    """The last one that was saved; none before the first."""
    ours, theirs = Positions(database, "a"), Positions(database, "b")
    assert await ours.load("reports") is None
    for token in ("1", "2"):
        await ours.save("reports", {"_data": token}, AT)
    await theirs.save("reports", {"_data": "3"}, AT)
    assert await Positions(database, "a").load("reports") == {"_data": "2"}
    assert await theirs.load("reports") == {"_data": "3"}
    assert await ours.load("shadows") is None
