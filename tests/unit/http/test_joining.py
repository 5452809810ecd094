"""The writes of an answer: one for each turn of the event loop."""

import asyncio
import os

import pytest

from recovery.http.joining import JoinedWrites

if not os.environ.get("CI"):
    pytest.importorskip("httptools")

from uvicorn import Config
from uvicorn.server import ServerState

from recovery.http.connections import BoundedProtocol

GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport in memory: what is done to it, in order."""

    def __init__(self):
        super().__init__()
        self.done = []

    def write(self, data):
        """Record a write."""
        self.done.append(bytes(data))

    def close(self):
        """Record the end."""
        self.done.append("close")

    def abort(self):
        """Record the end."""
        self.done.append("abort")

    def is_closing(self):
        """Return whether it has ended."""
        return self.done[-1:] in (["close"], ["abort"])

    def pause_reading(self):
        """Record the pause."""
        self.done.append("pause")

    def resume_reading(self):
        """Record the end of a pause."""
        self.done.append("resume")


async def turns(count=3):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_writes_of_one_turn_are_one_write():
    """And those of the next turn are the next."""
    wire = Wire()
    joined = JoinedWrites(wire)
    joined.write(b"head ")
    joined.write(memoryview(b"body"))
    assert wire.done == []
    await turns()
    joined.write(b"more")
    await turns()
    assert wire.done == [b"head body", b"more"]


async def test_what_was_written_goes_out_before_the_end():
    """A close waits for it; an abort drops it."""
    closed, aborted = Wire(), Wire()
    for wire, end in ((closed, JoinedWrites.close), (aborted, JoinedWrites.abort)):
        joined = JoinedWrites(wire)
        joined.write(b"last")
        end(joined)
        assert joined.is_closing()
    assert (closed.done, aborted.done) == ([b"last", "close"], ["abort"])


async def test_an_answer_is_one_write():
    """Its head and its body go out together."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    wire = Wire()
    config = Config(app, lifespan="off", log_config=None)
    config.load()
    protocol = BoundedProtocol(config, ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(GET)
    await turns(5)
    protocol.connection_lost(None)
    (answer,) = [each for each in wire.done if isinstance(each, bytes)]
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\nhello")
