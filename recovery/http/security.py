"""Who may call: holders of an API key, or without any key configured whoever is on this machine."""

import asyncio
import hmac
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

import structlog
from fastapi import Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.datastructures import Headers

from recovery.http.keys import THIS_MACHINE, ApiKey, Caller, KeyRing, Scope, WrongKeys
from recovery.http.log_bound import LogBound
from recovery.http.observer import HttpObserver
from recovery.http.problems import Problem, ProblemType

TOLERANCE = 300
"""Seconds by which the clock of whoever signs may be off."""

_bearer = HTTPBearer(scheme_name="api_key", auto_error=False, description="A key of `http.keys` or `http.api_keys`.")
_log = structlog.get_logger()


def refusal(host: str, keys: Sequence[ApiKey]) -> str | None:
    """Return why Recovery must not start to listen on `host` with these keys, or None where it may."""
    if not all(key.secret for key in keys):
        return "An API key is empty: anybody would hold it. Give it a value or remove it."
    if not keys and not is_loopback(host):
        return (
            f"Without an API key anybody who can reach {host or 'this machine'} could write to your customers: "
            "set an API key, or listen on 127.0.0.1."
        )
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host name or address stands for this machine only: localhost, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets in who holds a key, or without any key configured whoever is on this machine.

    Raises `ValueError` if a key is empty.
    """

    def __init__(self, keys: Sequence[ApiKey], observer: HttpObserver | None = None) -> None:
        self._ring = KeyRing(keys) if keys else None
        self._wrong = WrongKeys()
        self._bound = LogBound()
        self._observer = observer

    async def admit(self, headers: Headers, *scopes: Scope) -> Caller:
        """Return who calls, by the headers of the request. Raises `Problem` for whoever may not do all of `scopes`."""
        if self._ring is None:
            _must_be_this_machine(headers)
            return THIS_MACHINE
        caller = self._ring.holder(headers.get("authorization", ""))
        if caller is None:
            raise await self._refused()
        for scope in scopes:
            caller.needs(scope)
        return caller

    def needs(self, *scopes: Scope) -> Any:
        """Return how an operation asks FastAPI for its caller, and says in its description which scopes it needs."""
        return Security(self._caller, scopes=[scope.value for scope in scopes])

    async def _caller(
        self, request: Request, needed: SecurityScopes, _described: Annotated[Any, Security(_bearer)]
    ) -> Caller:
        return await self.admit(request.headers, *map(Scope, needed.scopes))

    async def _refused(self) -> Problem:
        if self._observer is not None:
            self._observer.wrong_key()
        loop = asyncio.get_running_loop()
        if (left_out := self._bound.left_out(loop.time())) is not None:
            _log.warning("a call without a right API key was refused", not_logged_before=left_out)
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
        detail = "This needs an API key: send the header 'Authorization: Bearer <key>'."
        return Problem(401, detail, kind=ProblemType.KEY_NEEDED, headers=headers)


def signature_fault(secrets: Sequence[str], header: str, body: bytes, now: datetime) -> str | None:
    """Return what is wrong with a signature like `t=1767225600,v1=5f3a...`, or None where it is right.

    `v1` is HMAC-SHA256 of the time, a full stop and the body, by one of the secrets. It holds for `TOLERANCE` around
    its time, so that what was overheard once is of no use later.
    """
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    time, given = parts.get("t", ""), parts.get("v1", "").lower()
    if not (time.isascii() and time.isdigit() and len(time) < 12 and given.isascii()):
        return "Sign the body: send the header 'Recovery-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256>'."
    if abs(now.timestamp() - int(time)) > TOLERANCE:
        return f"The signature is of another time: its t must be within {TOLERANCE} seconds of now."
    known = [hmac.new(secret.encode(), f"{time}.".encode() + body, sha256).hexdigest() for secret in secrets]
    if not sum(hmac.compare_digest(given, each) for each in known):
        return "Recovery-Signature is not the signature of this body by a configured secret."
    return None


def _must_be_this_machine(headers: Headers) -> None:
    """Keep out web pages whose name was made to resolve to this machine (DNS rebinding): their Host tells."""
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        detail = "Without an API key this answers on this machine only, as localhost, 127.0.0.1 or [::1]."
        raise Problem(403, detail, kind=ProblemType.NOT_THIS_MACHINE)
