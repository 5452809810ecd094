"""The public keys that shops publish: fetched from the address in the settings when one is needed, and kept."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import structlog

from recovery.shops.key_sets import PublicKeys, read_key_set

ASKED_AGAIN_AFTER = 60.0
"""Seconds between two requests for a key set: anyone can name a key that there is not."""

KEPT_FOR = 24 * 3600.0
"""Seconds after which a key set is asked for again although the key is known: one may be withdrawn."""

LONGEST_KEY_SET = 64 * 1024
TIMEOUT = 5.0
"""Seconds for a request as a whole. Saleor waits for 20."""

LONGEST_WAIT = 8.0
"""Seconds after which a request is given up whatever holds it: looking up a name has no time limit of its own."""

Fetch = Callable[[str], bytes]

_log = structlog.get_logger()


class KeySetUnavailable(Exception):
    """A key set cannot be fetched, or was asked for a moment ago. `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(slots=True)
class _Kept:
    keys: PublicKeys = field(default_factory=dict)
    asked_at: float | None = None
    read_at: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeySets:
    """The key sets of all shops, by their addresses, which come from the settings and are therefore few."""

    def __init__(self, fetch: Fetch | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch or fetch_key_set
        self._now = now
        self._kept: dict[str, _Kept] = {}

    async def of(self, url: str, key_id: str) -> PublicKeys:
        """Return the keys at `url`, among them `key_id`; without an id none. Raises `KeySetUnavailable`.

        They are fetched if the key is unknown, at most once a minute whatever the answer was, and once a day. So of a
        key that is unknown to a set of a moment ago nothing can be said yet: it is refused only if the set was read
        since this call began.
        """
        if not key_id:
            return {}
        kept, began = self._kept.setdefault(url, _Kept()), self._now()
        if not self._knows(kept, key_id):
            async with kept.lock:
                if not self._knows(kept, key_id):
                    await self._renew(url, kept)
        if key_id in kept.keys or (kept.read_at is not None and kept.read_at >= began):
            return kept.keys
        wait = max(1, round((kept.asked_at or 0.0) + ASKED_AGAIN_AFTER - self._now()))
        raise KeySetUnavailable(
            f"The signing key is not among those that {url} publishes, which is asked again in {wait} s.", wait
        )

    def _knows(self, kept: _Kept, key_id: str) -> bool:
        return key_id in kept.keys and kept.read_at is not None and self._now() - kept.read_at < KEPT_FOR

    async def _renew(self, url: str, kept: _Kept) -> None:
        if kept.asked_at is not None and self._now() - kept.asked_at < ASKED_AGAIN_AFTER:
            return
        kept.asked_at = self._now()
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                document = await asyncio.to_thread(self._fetch, url)
            kept.keys = read_key_set(document)
            kept.read_at = self._now()
        except (OSError, HTTPException, ValueError) as exc:
            _log.warning("could not fetch key set", url=url, error=type(exc).__name__)


def fetch_key_set(url: str) -> bytes:
    """Return the document at `url`, within `TIMEOUT` and of at most `LONGEST_KEY_SET` bytes. Follows no redirect.

    Raises `OSError`, `http.client.HTTPException`, or `ValueError` for an answer that is no key set.
    """
    parts = urlsplit(url)
    ends = time.monotonic() + TIMEOUT
    connection = (
        HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=ssl.create_default_context())
        if parts.scheme == "https"
        else HTTPConnection(parts.netloc, timeout=TIMEOUT)
    )
    try:
        connection.request("GET", parts.path, headers={"Accept": "application/json", "User-Agent": "Recovery"})
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"answered {response.status}")
        document = b""
        while chunk := response.read1(LONGEST_KEY_SET):
            document += chunk
            if len(document) > LONGEST_KEY_SET or time.monotonic() > ends:
                raise ValueError("is too long, or takes too long")
        return document
    finally:
        connection.close()
