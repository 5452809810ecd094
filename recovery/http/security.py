"""Who may call: holders of an API key, or without any key configured whoever is on this machine."""

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security, params
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers

from recovery.http.problems import Problem

Guard = Callable[[Headers], None]
"""Raises `Problem` for whoever may not call, by the headers of the request."""

TOLERANCE = 300
"""Seconds by which the clock of whoever signs may be off."""

_bearer = HTTPBearer(scheme_name="api_key", auto_error=False)


def refusal(host: str, api_keys: Sequence[str]) -> str | None:
    """Return why Recovery must not start to listen on `host` with these API keys, or None where it may."""
    if not all(api_keys):
        return "An API key is empty: anybody would hold it. Give it a value or remove it."
    if not api_keys and not is_loopback(host):
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


def guard(api_keys: Sequence[str]) -> Guard:
    """Return what keeps out who may not call. Raises `ValueError` if a key is empty."""
    if not all(api_keys):
        raise ValueError("an API key must not be empty")
    return _key_holders(api_keys) if api_keys else _this_machine


def dependencies(guard: Guard, api_keys: Sequence[str]) -> list[params.Depends]:
    """Return how FastAPI is to ask `guard`, and to describe the key where there is one."""

    async def check(request: Request) -> None:
        guard(request.headers)

    return [Depends(check), *([Security(_bearer)] if api_keys else [])]


def _key_holders(api_keys: Sequence[str]) -> Guard:
    # Digests are of one length, and every one of them is compared: the time taken tells nothing of any key.
    digests = [sha256(key.encode()).digest() for key in api_keys]

    def check(headers: Headers) -> None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else ""
        # Header values arrive as latin-1: this gives the bytes that were sent.
        digest = sha256(given.encode("latin-1")).digest()
        if not sum(hmac.compare_digest(digest, known) for known in digests):
            detail = "This needs an API key: send the header 'Authorization: Bearer <key>'."
            raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})

    return check


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


def _this_machine(headers: Headers) -> None:
    """Keep out web pages whose name was made to resolve to this machine (DNS rebinding): their Host tells."""
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise Problem(403, "Without an API key this answers on this machine only, as localhost, 127.0.0.1 or [::1].")
