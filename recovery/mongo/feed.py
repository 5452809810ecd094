"""The change feed: a change stream of reported checkouts, and one of expired shadows."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.errors import OperationFailure, PyMongoError

from recovery.mongo.collections import CHECKOUTS, OPTIONS, SHADOWS, Database, Document
from recovery.mongo.positions import Token

BATCH = 1000
AWAIT_MS = 1000
AGAIN_AFTER = 1.0
"""Seconds between attempts to open a failed stream: never a hot loop."""

STALLED_AFTER = 10.0
"""Seconds without an answer after which a stream counts as stalled. The server sends one each second, even if empty."""

FIRST_START = "no saved position: first start of this daemon"

REFUSED = {
    136,  # CappedPositionLost
    260,  # InvalidResumeToken
    280,  # ChangeStreamFatalError
    286,  # ChangeStreamHistoryLost
    40576,  # the resume point is not in the oplog
    40647,  # this and the next two: a token in a format that this server does not know
    40649,
    50811,
}
"""Error codes for a position (resume token) that is no longer valid. It must never be sent again."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The definition of a change stream. The pipeline must never change: resume tokens are bound to it."""

    name: str
    collection: str
    pipeline: Sequence[Mapping[str, Any]]


_ENDS = {"operationType": {"$in": ["drop", "rename", "dropDatabase", "invalidate"]}}
_OURS = {"documentKey._id": {"$type": "string"}}
_NAMES_ONLY = {"$project": {"_id": 1, "operationType": 1, "documentKey": 1}}

REPORTED = Stream(
    "reported",
    CHECKOUTS,
    (
        {
            "$match": {
                "$or": [
                    _ENDS,
                    {"operationType": {"$in": ["insert", "replace"]}, **_OURS},
                    {
                        "operationType": "update",
                        "updateDescription.updatedFields.revision": {"$exists": True},
                        **_OURS,
                    },
                ]
            }
        },
        _NAMES_ONLY,
    ),
)
"""Every report that changed something. Only reports change a revision."""

GONE = Stream("gone", SHADOWS, ({"$match": {"$or": [_ENDS, {"operationType": "delete", **_OURS}]}}, _NAMES_ONLY))
"""Every deleted shadow: by TTL, by the expirer, or by an operator's mistake."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Checkouts to look at. Afterwards `token` may be saved: everything before it is done.

    A quiet stream yields empty batches, so that its position still moves. `lost` is the reason of a gap in the stream,
    if there is one: then a full sweep must come before the token is saved.
    """

    ids: Sequence[str]
    token: Token
    lost: str | None = None


class Feed:
    """A change stream that survives lost connections, elections and lost history."""

    def __init__(self, database: Database, stream: Stream, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._collection = database.get_collection(stream.collection, **OPTIONS)
        self._stream = stream
        self._monotonic = monotonic
        self._moved_at = monotonic()
        self._closed: str | None = "not open yet"  # the reason

    @property
    def fault(self) -> str | None:
        """The fault of the stream: the reason why it is closed, or that it has stalled. Even a quiet one moves."""
        if self._closed is not None:
            return self._closed
        still_for = self._monotonic() - self._moved_at
        return f"has not moved for {still_for:.0f} s" if still_for > STALLED_AFTER else None

    async def follow(self, token: Token | None) -> AsyncGenerator[Batch]:
        """Yield batches for ever, from `token` on.

        Without a token, or if the server refuses it, a new stream is opened first, and then an empty batch reports the
        gap. The stream is reopened at most once a second.
        """
        lost = None if token else FIRST_START
        while True:
            try:
                async with await self._collection.watch(
                    list(self._stream.pipeline), resume_after=token, max_await_time_ms=AWAIT_MS, batch_size=BATCH
                ) as cursor:
                    self._closed, self._moved_at = None, self._monotonic()
                    if lost and cursor.resume_token:
                        yield Batch((), cursor.resume_token, lost)
                        lost = None
                    async with aclosing(_read(cursor, self._moved)) as batches:
                        async for batch in batches:
                            token = batch.token
                            yield batch
                token, lost = None, f"the collection {self._stream.collection} was dropped or renamed"
                self._closed = lost
            except PyMongoError as exc:
                self._closed = str(exc)
                if isinstance(exc, OperationFailure) and exc.code in REFUSED:
                    token, lost = None, f"the server refused the position: {exc}"
            await asyncio.sleep(AGAIN_AFTER)

    def _moved(self) -> None:
        self._moved_at = self._monotonic()


Event = tuple[str | None, Token]


async def _read(cursor: AsyncChangeStream[Document], moved: Callable[[], None]) -> AsyncGenerator[Batch]:
    """Yield the events of one cursor until it ends, in batches: all since the last batch, at most `BATCH`.

    A task reads ahead by at most one batch, because the cursor has no way to ask for more events without waiting.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue(BATCH)
    reader = asyncio.create_task(_read_ahead(cursor, events, moved))
    try:
        while True:
            taken = [await events.get()]
            while len(taken) < BATCH and not events.empty():
                taken.append(events.get_nowait())
            came = [event for event in taken if event is not None]
            if came:
                yield Batch(list(dict.fromkeys(id_ for id_, _ in came if id_ is not None)), came[-1][1])
            if len(came) < len(taken):
                await reader
                return
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, PyMongoError):
            await reader


async def _read_ahead(
    cursor: AsyncChangeStream[Document], events: asyncio.Queue[Event | None], moved: Callable[[], None]
) -> None:
    """Put the cursor's events into the queue, a bare token when quiet, and None at its end; then raise its error."""
    fault = None
    try:
        while cursor.alive:
            event = await cursor.try_next()
            moved()
            if event is not None:
                await events.put((event.get("documentKey", {}).get("_id"), event["_id"]))
            elif cursor.resume_token is not None:
                await events.put((None, cursor.resume_token))
    except PyMongoError as exc:
        fault = exc
    await events.put(None)
    if fault is not None:
        raise fault
