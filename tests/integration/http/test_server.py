"""The HTTP server, on real sockets of the loopback."""

import asyncio
import contextlib
import resource
import signal

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse

from recovery.daemon.metrics import Telemetry
from recovery.http.app import create_app
from recovery.http.server import CannotListen, listen
from tests.support.configurations import LONGEST_BODY
from tests.support.feedback import feedback
from tests.support.serving import serving


async def hello(scope, receive, send):
    await PlainTextResponse("hello")(scope, receive, send)


class Slow:
    """An application that answers on demand."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope, receive, send):
        """Wait, then answer."""
        self.begun.set()
        await self.go_on.wait()
        await PlainTextResponse("done")(scope, receive, send)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_served(host):
    """Port 0 is a free port, which is reported."""
    async with serving(hello, host) as (port, _, _), httpx.AsyncClient() as client:
        assert (await client.get(f"http://{host}:{port}/")).text == "hello"


async def test_stop_lets_requests_finish():
    """An open request is answered after the stop, and then the port is closed."""
    slow = Slow()
    async with serving(slow) as (port, stop, task), httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/"))
        await slow.begun.wait()
        stop.set()
        while not await refused(port):
            pass
        assert not task.done()
        slow.go_on.set()
        assert (await asking).text == "done"
        await task
    assert await refused(port)


async def refused(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return False


async def test_stop_does_not_wait_for_ever(monkeypatch):
    """A request that does not finish within the grace is abandoned."""
    monkeypatch.setattr("recovery.http.server.GRACE", 0.1)
    slow = Slow()
    async with serving(slow) as (port, stop, task), httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/"))
        await slow.begun.wait()
        stop.set()
        await task
        with pytest.raises(httpx.HTTPError):
            (await asking).raise_for_status()


async def test_idle_connections_do_not_hold_up_the_stop():
    """An idle keep-alive connection does not delay the stop."""
    async with serving(hello) as (port, stop, task), httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{port}/")
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        stop.set()
        await task
        writer.close()


async def test_cancelled_server_leaves_the_port():
    """A cancelled server stops listening."""
    async with serving(hello) as (port, _, task):
        assert not await refused(port)
        task.cancel()
        await asyncio.wait([task])
        assert await refused(port)


async def test_port_in_use_is_told():
    """A port in use raises `CannotListen` with a sentence, and does not end the process."""
    async with serving(hello) as (port, _, _):
        with pytest.raises(
            CannotListen, match=rf"^Cannot listen on 127\.0\.0\.1 port {port} \(.+ in use\): choose another"
        ):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_address_not_to_be_had_is_told(host):
    """A foreign address and an unknown name raise `CannotListen`."""
    with pytest.raises(CannotListen, match=host):
        listen(host, 0)


async def test_signals_are_left_alone():
    """The server does not replace signal handlers."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serving(hello) as (port, _, _), httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{port}/")
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.fixture
def few_open_files():
    """A limit of open files below its maximum, as systemd and container engines set it; yield the maximum."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before, most - 1), most))
    yield most
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


async def test_as_many_files_may_be_open_as_the_system_allows(few_open_files):
    """The limit of open files is raised to its maximum: connections share it with the relay and the database."""
    async with serving(hello):
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (few_open_files, few_open_files)


async def nothing_wrong():
    return {}


def application():
    return create_app(
        None,
        feedback(),
        api_keys=(),
        max_body=LONGEST_BODY,
        readiness=nothing_wrong,
        registry=CollectorRegistry(),
        observer=Telemetry(CollectorRegistry()),
    )


@pytest.mark.parametrize("size", [300_000, 5_000_000])
async def test_long_body_is_answered(size):
    """A client that sends too much can read the 413, rather than a broken connection."""
    async with serving(application()) as (port, _, _), httpx.AsyncClient() as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.post(f"http://127.0.0.1:{port}/checkout", content=b" " * size, headers=headers)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


async def test_broken_off_body_is_no_fault(caplog):
    """A client that disconnects within its body is not logged as an internal error."""
    async with serving(application()) as (port, _, _), httpx.AsyncClient() as client:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
    assert not [record for record in caplog.records if record.exc_info]


async def test_what_is_no_request_is_logged_within_bounds(caplog):
    """Malformed requests cause a few log lines only."""
    async with serving(hello) as (port, _, _):
        for _ in range(30):
            assert b"400" in await told(port, b"\x00\x01\r\n\r\n")
    lines = [record for record in caplog.records if "Invalid HTTP request" in record.getMessage()]
    assert 0 < len(lines) <= 10


@pytest.mark.parametrize(("hosts", "status"), [(0, b"400"), (1, b"200"), (2, b"400")], ids=["none", "one", "two"])
async def test_a_request_has_one_host(hosts, status):
    """No Host header, and several, are rejected (RFC 9112 section 3.2)."""
    async with serving(application()) as (port, _, _):
        head = b"GET /healthz HTTP/1.1\r\n" + b"Host: localhost\r\n" * hosts + b"Connection: close\r\n\r\n"
        assert (await told(port, head)).startswith(b"HTTP/1.1 " + status)


async def told(port, *parts, within=5.0):
    """Send these bytes; return the response up to the closing of the connection, or raise `TimeoutError`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    try:
        async with asyncio.timeout(within):
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
            with contextlib.suppress(ConnectionError):
                while part := await reader.read(65536):
                    said += part
    finally:
        writer.close()
    return said


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_requests_beyond_what_is_read_ahead_end_their_connection():
    """Pipelined requests without reading the responses are limited."""
    slow = Slow()
    async with serving(slow) as (port, _, _):
        asking = asyncio.create_task(told(port, *[GET * 1000] * 300, within=20))
        await slow.begun.wait()
        assert (await asking) == b"", "it is cut off while the first is not answered yet"
        slow.go_on.set()


async def test_requests_that_are_read_ahead_are_answered_in_order():
    """A few pipelined requests are served, as proxies send them."""
    async with serving(hello) as (port, _, _):
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert (await told(port, GET * 20 + last)).count(b"hello") == 21


@pytest.mark.parametrize("line", [b"a: b\r\n", b"a: " + b"x" * 60_000 + b"\r\n"])
async def test_a_head_without_end_is_cut_off(line):
    """A head that is too long is cut off, of many short lines or few long ones; a usual size is accepted."""
    async with serving(hello) as (port, _, _):
        assert await told(port, GET[:-2], *[line * (1 + 60_000 // len(line))] * 300, within=20) == b""
        head = GET[:-2] + b"a: " + b"x" * 30_000 + b"\r\nConnection: close\r\n\r\n"
        assert b"hello" in await told(port, head)


@pytest.mark.parametrize("said", [b"", GET[:9], b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"])
async def test_silence_is_not_waited_for(said, monkeypatch):
    """A connection that sends nothing, half a head or half a body is closed in time."""
    monkeypatch.setattr("recovery.http.connections.HEAD_WITHIN", 0.1)
    monkeypatch.setattr("recovery.http.connections.BODY_WITHIN", 0.1)
    slow = Slow()
    async with serving(slow) as (port, _, _):
        assert await told(port, said) == b""
        slow.go_on.set()


async def test_connections_beyond_their_number_are_closed_and_the_others_served(monkeypatch):
    """Connections are limited to a part of the open files: the rest is for the relay and the database."""
    monkeypatch.setattr("recovery.http.connections.MOST_CONNECTIONS", 3)
    async with serving(hello) as (port, _, _):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert await told(port, GET) == b""
        held[0][1].write(GET)
        assert b"200" in await held[0][0].readline()
        held[1][1].close()
        await asyncio.sleep(0.1)
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert b"hello" in await told(port, last)
        for _, writer in held:
            writer.close()
