"""Fetching of small files of other services: key sets, the certificates of Amazon SNS, confirmations it asks for."""

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from recovery.errors import RecoveryError

TIMEOUT = 5.0
"""Seconds for a file. Saleor waits for 20 for the answer to a webhook."""

LONGEST_WAIT = 8.0
"""Seconds after which a request is given up whatever holds it: looking up a name has no time limit of its own."""

LONGEST = 64 * 1024
"""Bytes of a file, a certificate or a key set."""

KEPT = 20
"""Files that are kept. A certificate of SNS has an address of its own, so that it never changes."""

PAUSE = 10.0
"""Seconds before an address that failed is asked again: anybody may name one."""


class CannotFetch(RecoveryError):
    """The error of a file that could not be fetched; the message says why."""


Fetch = Callable[[str], bytes]


def fetch(url: str) -> bytes:
    """Return the file at an address, within `TIMEOUT` as a whole and of at most `LONGEST` bytes. Follows no redirect.

    Raises `OSError`, `http.client.HTTPException`, or `ValueError` for another answer than a file of that size.
    """
    parts = urlsplit(url)
    ends = time.monotonic() + TIMEOUT
    connection = (
        HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=ssl.create_default_context())
        if parts.scheme == "https"
        else HTTPConnection(parts.netloc, timeout=TIMEOUT)
    )
    try:
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("GET", target, headers={"User-Agent": "Recovery"})
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"answered {response.status}")
        content = b""
        while chunk := response.read1(LONGEST):
            content += chunk
            if len(content) > LONGEST or time.monotonic() > ends:
                raise ValueError("is too long, or takes too long")
        return content
    finally:
        connection.close()


class Fetcher:
    """Fetches files by https, one at a time, and keeps them. Which addresses it may fetch is the caller's business."""

    def __init__(self, get: Fetch = fetch) -> None:
        self._get = get
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._failed: OrderedDict[str, float] = OrderedDict()
        self._one = asyncio.Lock()

    async def __call__(self, url: str) -> bytes:
        """Return the file at an address. Raises `CannotFetch`."""
        if not url.startswith("https://"):
            raise CannotFetch("only https is allowed")
        if url in self._files:  # without waiting: anybody may name any number of files that are fetched first
            self._files.move_to_end(url)
            return self._files[url]
        async with self._one:
            if url in self._files:
                return self._files[url]
            if time.monotonic() < self._failed.get(url, 0.0) + PAUSE:
                raise CannotFetch("it could not be fetched a moment ago")
            try:
                async with asyncio.timeout(LONGEST_WAIT):
                    content = await asyncio.to_thread(self._get, url)
            except (OSError, HTTPException, ValueError) as exc:
                _put(self._failed, url, time.monotonic())
                raise CannotFetch(f"it could not be fetched: {type(exc).__name__}") from exc
            _put(self._files, url, content)
            return content


def _put(kept: OrderedDict[str, bytes] | OrderedDict[str, float], url: str, value: bytes | float) -> None:
    kept[url] = value  # type: ignore[assignment]
    while len(kept) > KEPT:
        kept.popitem(last=False)
