"""Authentication: API keys, signatures of bodies, and callers on this machine if no key is configured."""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import structlog

from recovery.domain.hosts import is_loopback
from recovery.http.keys import THIS_MACHINE, ApiKey, Caller, KeyRing, Scope, WrongKeys
from recovery.http.log_bound import LogBound
from recovery.http.observer import HttpObserver
from recovery.http.problems import Problem, ProblemType

TOLERANCE = 300
"""Seconds by which the time of a signature may differ from ours, in both directions."""

_log = structlog.get_logger()


class Guard:
    """Authenticates callers: by API key, or by the Host header (this machine only) if no key is configured.

    Raises `ValueError` if a key is empty.
    """

    def __init__(self, keys: Sequence[ApiKey], observer: HttpObserver | None = None) -> None:
        self._ring = KeyRing(keys) if keys else None
        self._wrong = WrongKeys()
        self._bound = LogBound()
        self._observer = observer

    async def admit(self, headers: Mapping[str, str], *scopes: Scope) -> Caller:
        """Return the authenticated caller. Raises `Problem`: 401 without a valid key, 403 if a scope is missing."""
        if self._ring is None:
            return self._this_machine(headers)
        caller = self._ring.holder(headers.get("authorization", ""))
        if caller is None:
            raise await self._refused()
        for scope in scopes:
            caller.needs(scope)
        return caller

    @property
    def has_keys(self) -> bool:
        """Whether any key is configured; without, callers on this machine need none."""
        return self._ring is not None

    @property
    def has_several_keys(self) -> bool:
        """Whether more than one key is configured."""
        return self._ring is not None and len(self._ring) > 1

    async def sign_in(self, key: str) -> Caller:
        """Return the caller whose key this is. Raises `Problem` (401), delayed as for any wrong key."""
        caller = None if self._ring is None else self._ring.owner(key.encode())
        if caller is None:
            raise await self._refused()
        return caller

    def signed_in(self, name: str, headers: Mapping[str, str]) -> Caller | None:
        """Return the caller with this name as the settings have them now, or None. Raises `Problem` (403)."""
        return self._this_machine(headers) if self._ring is None else self._ring.named(name)

    def needs(self, *scopes: Scope) -> Any:
        """Return the FastAPI dependency that yields the caller; it also documents the required scopes."""
        from recovery.http.api.bearer import needed  # FastAPI, which reports do without

        return needed(self.admit, scopes)

    @staticmethod
    def _this_machine(headers: Mapping[str, str]) -> Caller:
        _must_be_this_machine(headers)
        return THIS_MACHINE

    async def _refused(self) -> Problem:
        if self._observer is not None:
            self._observer.wrong_key()
        loop = asyncio.get_running_loop()
        if (left_out := self._bound.left_out(loop.time())) is not None:
            _log.warning("API key rejected", not_logged_before=left_out)
        headers = {"WWW-Authenticate": "Bearer"}
        pause = self._wrong.pause(loop.time())
        if pause is None:
            headers |= {"Connection": "close"}
        elif pause > 0:
            self._wrong.waiting += 1
            try:
                await asyncio.sleep(pause)
            finally:
                self._wrong.waiting -= 1
        detail = "A valid API key is required: send the header 'Authorization: Bearer <key>'."
        return Problem(401, detail, kind=ProblemType.KEY_NEEDED, headers=headers)


def signature_fault(secrets: Sequence[str], header: str, body: bytes, now: datetime) -> str | None:
    """Return the error of a signature like `t=1767225600,v1=5f3a...`, or None if it is valid.

    `v1` is the HMAC-SHA256 of the time, a full stop and the body, with one of the secrets. It is valid for `TOLERANCE`
    seconds around its time, so that a recorded request cannot be replayed later.
    """
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    time, given = parts.get("t", ""), parts.get("v1", "").lower()
    if not (time.isascii() and time.isdigit() and len(time) < 12 and given.isascii()):
        return "A signature is required: send the header 'Recovery-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256>'."
    if abs(now.timestamp() - int(time)) > TOLERANCE:
        return f"The signature has expired, or its time is in the future: t must be within {TOLERANCE} seconds of now."
    known = [hmac.new(secret.encode(), f"{time}.".encode() + body, sha256).hexdigest() for secret in secrets]
    if not sum(hmac.compare_digest(given, each) for each in known):
        return (
            "Recovery-Signature matches no configured secret: check bounces.secrets, and sign the body exactly as sent."
        )
    return None


def _must_be_this_machine(headers: Mapping[str, str]) -> None:
    """Reject a Host that is not this machine: DNS rebinding makes the name of a web page resolve to it."""
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        detail = "No API key is configured: set http.keys, or call from this machine as localhost, 127.0.0.1 or [::1]."
        raise Problem(403, detail, kind=ProblemType.NOT_THIS_MACHINE)
