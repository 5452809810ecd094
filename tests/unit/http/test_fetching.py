"""Fetching of small files: what is kept, what is not asked again, and the bounds."""

import asyncio
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from recovery.http import fetching
from recovery.http.fetching import KEPT, CannotFetch, Fetcher, fetch


async def test_a_file_is_fetched_once():
    """A second request is answered from memory, up to a bound."""
    asked = []
    fetched = Fetcher(lambda url: asked.append(url) or url.encode())
    assert [await fetched("https://a.example/1") for _ in range(3)] == [b"https://a.example/1"] * 3
    assert asked == ["https://a.example/1"]
    for number in range(KEPT):
        await fetched(f"https://b.example/{number}")
    await fetched("https://a.example/1")
    assert asked.count("https://a.example/1") == 2


async def test_a_kept_file_waits_for_no_other():
    """Others may be slow, and any number of them: whoever knows the name of a topic may ask for certificates."""
    ended = threading.Event()
    fetched = Fetcher(lambda url: ended.wait(30) and b"" if "slow" in url else url.encode())
    await fetched("https://a.example/1")
    slow = asyncio.create_task(fetched("https://slow.example/1"))
    await asyncio.sleep(0)
    kept = asyncio.create_task(fetched("https://a.example/1"))
    await asyncio.sleep(0)
    try:
        assert kept.done()
    finally:
        ended.set()
        await asyncio.gather(slow, kept)


async def test_what_failed_is_not_asked_again_at_once(monkeypatch):
    """Anybody may name an address that does not answer."""
    asked, now = [], [100.0]
    monkeypatch.setattr(fetching.time, "monotonic", lambda: now[0])

    def get(url):
        asked.append(url)
        raise OSError("refused")

    fetched = Fetcher(get)
    for _ in range(3):
        with pytest.raises(CannotFetch):
            await fetched("https://a.example/1")
    assert len(asked) == 1
    now[0] += 11
    with pytest.raises(CannotFetch):
        await fetched("https://a.example/1")
    assert len(asked) == 2


@pytest.mark.parametrize("url", ["http://sns.eu-west-1.amazonaws.com/a.pem", "file:///etc/passwd"])
async def test_only_https_is_fetched(url):
    """Whoever calls it."""
    with pytest.raises(CannotFetch):
        await Fetcher()(url)


class Server:
    """An HTTP server on this machine that answers each request with a status, headers and pieces of a body."""

    def __init__(self, status=200, headers=(), pieces=(b"{}",), pause=0.0):
        self.paths = []
        self.ended = threading.Event()
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                told.paths.append(self.path)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                for piece in pieces:
                    try:
                        self.wfile.write(piece)
                    except OSError:
                        return
                    told.ended.wait(pause)

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/.well-known/jwks.json"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_the_document_is_fetched():
    """The path is that of the address, and the document is what was sent."""
    with Server(pieces=(b'{"keys"', b": []}")) as server:
        assert fetch(server.url) == b'{"keys": []}'
        assert server.paths == ["/.well-known/jwks.json"]


def test_the_query_is_a_part_of_the_address():
    """Amazon SNS confirms a subscription by an address with a token in its query."""
    with Server() as server:
        fetch(f"{server.url}?Action=ConfirmSubscription&Token=1")
        assert server.paths == ["/.well-known/jwks.json?Action=ConfirmSubscription&Token=1"]


@pytest.mark.parametrize("status", [204, 302, 404, 500])
def test_another_status_is_refused_and_no_redirect_followed(status):
    """A key set that lies elsewhere is not that of the configured shop."""
    with Server(status, [("Location", "/elsewhere")]) as server:
        with pytest.raises(ValueError, match=str(status)):
            fetch(server.url)
        assert server.paths == ["/.well-known/jwks.json"]


def test_a_document_that_is_too_long_is_cut_off(monkeypatch):
    """No more is read than a key set can have, however long there would be time."""
    monkeypatch.setattr(fetching, "TIMEOUT", 600)
    with Server(pieces=[b" " * 65536] * 3) as server, pytest.raises(ValueError, match="too long"):
        fetch(server.url)


def test_a_document_that_comes_byte_by_byte_is_cut_off(monkeypatch):
    """The bound is on the request as a whole, not on each read."""
    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)
    with Server(pieces=[b" "] * 1000, pause=0.05) as server, pytest.raises(ValueError, match="too long"):
        fetch(server.url)


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    """It accepts, and never answers."""
    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OSError, match="timed out"):
        fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/keys")
