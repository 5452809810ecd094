"""The public keys that shops publish: fetched from the address in the settings when one is needed, and kept."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException

import structlog

from recovery.http.fetching import LONGEST_WAIT, Fetch, fetch
from recovery.shops.key_sets import PublicKeys, read_key_set

ASKED_AGAIN_AFTER = 60.0
"""Seconds between two requests for a key set: anyone can name a key that there is not."""

KEPT_FOR = 24 * 3600.0
"""Seconds after which a key set is asked for again although the key is known: one may be withdrawn."""

_log = structlog.get_logger()


class KeySetUnavailable(Exception):
    """The error of a key set that cannot be fetched, or was asked for a moment ago. `retry_after` is in seconds."""

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

    def __init__(self, fetch: Fetch = fetch, now: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
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
