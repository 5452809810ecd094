"""Fetching of small files by https: the certificates of Amazon SNS, and the confirmation of a subscription."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from recovery.errors import RecoveryError

TIMEOUT = 5.0
"""Seconds for a file."""

LONGEST = 64 * 1024
"""Bytes of a file."""

KEPT = 20
"""Files that are kept. A certificate of SNS has an address of its own, so that it never changes."""

PAUSE = 10.0
"""Seconds before an address that failed is asked again: anybody may name one."""


class CannotFetch(RecoveryError):
    """A file could not be fetched; the message says why."""


Get = Callable[[str], bytes]


class Fetcher:
    """Fetches files, one at a time, and keeps them. Which addresses may be fetched is the caller's business."""

    def __init__(self, get: Get | None = None) -> None:
        self._get = get or _get
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._failed: OrderedDict[str, float] = OrderedDict()
        self._one = asyncio.Lock()

    async def __call__(self, url: str) -> bytes:
        """Return the file at an address. Raises `CannotFetch`."""
        async with self._one:
            if url in self._files:
                self._files.move_to_end(url)
                return self._files[url]
            if time.monotonic() < self._failed.get(url, 0.0) + PAUSE:
                raise CannotFetch("it could not be fetched a moment ago")
            try:
                content = await asyncio.to_thread(self._get, url)
            except (OSError, ValueError) as exc:
                _put(self._failed, url, time.monotonic())
                raise CannotFetch(f"it could not be fetched: {type(exc).__name__}") from exc
            _put(self._files, url, content)
            return content


def _put(kept: OrderedDict[str, bytes] | OrderedDict[str, float], url: str, value: bytes | float) -> None:
    kept[url] = value  # type: ignore[assignment]
    while len(kept) > KEPT:
        kept.popitem(last=False)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        """Follow no redirect: it could lead anywhere."""


def _get(url: str) -> bytes:
    if not url.startswith("https://"):
        raise URLError("only https is allowed")
    with build_opener(_NoRedirects()).open(Request(url), timeout=TIMEOUT) as answer:  # noqa: S310 - https, as checked
        content: bytes = answer.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise URLError(f"the file is longer than {LONGEST} bytes")
    return content
