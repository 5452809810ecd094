"""Batches over a real connection: as slow as their sender, as fast as their reader, and no faster than the database."""

import asyncio
import contextlib
import json

import pytest
from structlog.testing import capture_logs

from tests.support.api import CHECKOUT, KEY, Api
from tests.support.serving import serving

LINE = json.dumps(CHECKOUT).encode() + b"\n"
LOOPS = ("asyncio", "uvloop")


def head(key=KEY, path="/checkouts"):
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


END = b"0\r\n\r\n"


@contextlib.asynccontextmanager
async def talking(api, *, key=KEY):
    """Begin a batch; yield the reader and writer of its connection."""
    async with serving(api.app) as (port, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head(key))
            yield reader, writer
        finally:
            writer.close()


@pytest.fixture
def api():
    return Api()


async def result(reader):
    """Return the next result of an answer, whose head and chunks are read over."""
    async with asyncio.timeout(10):
        while not (line := await reader.readline()).startswith(b"{"):
            assert line, "the answer ended"
        return json.loads(line)


async def test_each_report_is_answered_as_it_arrives(api):
    """A caller that sends a report when the last one is answered is answered, for as long as it goes on."""
    async with talking(api) as (reader, writer):
        for number in range(1, 20):
            writer.write(chunk(LINE))
            assert await result(reader) == {"line": number, "id": "bikes.example/1042"}
        writer.write(END)
        async with asyncio.timeout(10):
            assert (await reader.readuntil(END)).endswith(END)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in await reader.readline(), "the connection is of further use"


async def test_a_batch_may_take_longer_than_another_body(api, monkeypatch):
    """The time limit on a whole body is not for a batch whose caller is known."""
    monkeypatch.setattr("recovery.http.connections.BODY_WITHIN", 0.3)
    async with talking(api) as (reader, writer):
        for _ in range(6):
            writer.write(chunk(LINE))
            await asyncio.sleep(0.1)
            assert "id" in await result(reader)


async def test_the_body_of_a_stranger_has_the_usual_limit(api, monkeypatch):
    """Without a right key the connection ends when the time of a body is over, however much is sent."""
    monkeypatch.setattr("recovery.http.connections.BODY_WITHIN", 0.3)
    async with talking(api, key="wrong") as (reader, writer):
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(chunk(LINE))
                    await asyncio.sleep(0.05)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.01):
                            await reader.read(65536)
    assert api.ingestion.reports == []


async def test_a_body_that_does_not_go_on_ends_with_a_result_that_says_so(api, monkeypatch):
    """What came is stored; the last result says that the rest is missing; and the connection is closed in time."""
    monkeypatch.setattr("recovery.http.streaming.PATIENCE", 0.2)
    monkeypatch.setattr("recovery.http.connections.BODY_WITHIN", 0.2)
    async with talking(api) as (reader, writer):
        writer.write(chunk(LINE + LINE[:50]))
        assert await result(reader) == {"line": 1, "id": "bikes.example/1042"}
        last = await result(reader)
        assert (last["line"], last["status"], last["type"]) == (2, 400, "urn:recovery:problem:incomplete")
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert (await reader.read()).endswith(END)
    assert len(api.ingestion.reports) == 1


async def test_what_nobody_reads_is_not_written_without_end(api, monkeypatch, caplog):
    """A caller that sends, and never reads, is held back by the connection, and cut off after a while."""
    monkeypatch.setattr("recovery.http.streaming.PATIENCE", 0.5)
    sent = 0
    with capture_logs() as lines:
        async with talking(api) as (_, writer):
            writer.transport.pause_reading()
            short = b'{"a":1}\n' * 1000
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(20):
                    while True:
                        writer.write(chunk(short))
                        await writer.drain()
                        sent += len(short)
    (broken,) = [line for line in lines if line["event"] == "batch broken off"]
    assert broken["reason"] == "NotRead"
    assert sent < 20_000_000
    assert caplog.records == []


async def test_no_more_is_read_than_the_database_takes(api, monkeypatch):
    """While nothing is stored, the sender is held back; afterwards all of it is stored."""
    go_on = asyncio.Event()
    keep = api.ingestion._report

    async def held(call):
        await go_on.wait()
        return await keep(call)

    monkeypatch.setattr(api.ingestion, "_report", held)
    monkeypatch.setattr("recovery.http.streaming.PATIENCE", 0.2)
    async with talking(api) as (reader, writer):
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    writer.write(chunk(LINE * 100))
                    await writer.drain()
                    sent += 100
        assert sent * len(LINE) < 20_000_000
        go_on.set()
        writer.write(END)
        sent += 100  # the one that was written when the time was over
        for number in range(1, sent + 1):
            assert (await result(reader))["line"] == number


async def test_what_was_read_of_a_batch_that_is_broken_off_is_stored(api):
    """The connection ends in the middle of a line: the lines before it are stored, and no fault is logged."""
    with capture_logs() as lines:
        async with talking(api) as (reader, writer):
            writer.write(chunk(LINE * 3 + LINE[:50]))
            for _ in range(3):
                await result(reader)
            writer.close()
            async with asyncio.timeout(10):
                while not lines:
                    await asyncio.sleep(0.01)
    (line,) = lines
    assert (line["event"], line["log_level"], line["read"]) == ("batch broken off", "info", 3)
    assert len(api.ingestion.reports) == 3
