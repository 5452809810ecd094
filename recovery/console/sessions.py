"""Sessions of the console: who is signed in, in a sealed cookie, and the tokens of forms. Nothing is stored."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from urllib.parse import urlsplit

from fastapi import Request, Response

from recovery.domain.hosts import is_loopback
from recovery.http.console import PATH as PATH
from recovery.http.keys import Caller
from recovery.http.security import Guard
from recovery.mail.seals import Seals

COOKIE = "recovery_console"

LASTS = timedelta(hours=12)
"""How long a session lasts."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in caller. `nonce` is of this session alone."""

    caller: Caller
    nonce: str


def origin_of(request: Request) -> tuple[str, str]:
    """Return scheme and host of the page that posted a form, as its browser knows them; empty if it does not say.

    A proxy may pass on its own address for us as the Host, as nginx does by default.
    """
    try:
        parts = urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return "", ""
    return parts.scheme, parts.hostname or ""


def is_encrypted(request: Request) -> bool:
    """Return whether the browser that posted a form has https."""
    return origin_of(request)[0] == "https"


def keeps_no_cookie(request: Request) -> bool:
    """Return whether the browser that posted a form would refuse our cookie: it has neither https nor this machine."""
    scheme, host = origin_of(request)
    return scheme == "http" and not is_loopback(host)


class Sessions:
    """Opens and closes sessions of callers that `guard` knows.

    The cookie is sealed with a key made of all secrets of the API's keys, so every daemon reads it, and a changed
    secret ends the sessions. Without keys, a caller on this machine is signed in at once.
    """

    def __init__(self, guard: Guard, secrets: Sequence[str]) -> None:
        self._guard = guard
        together = "\n".join(sorted(secrets)) or token_urlsafe()
        self._seals = Seals([sha256(b"recovery console\n" + together.encode()).hexdigest()])

    def open(self, caller: Caller, response: Response, request: Request, now: datetime) -> Session:
        """Sign a caller in, by a cookie of the response."""
        session = Session(caller, token_urlsafe(12))
        content = json.dumps([caller.name, session.nonce, int((now + LASTS).timestamp())])
        response.set_cookie(
            COOKIE,
            self._seals.seal_text("session", content),
            max_age=int(LASTS.total_seconds()),
            path=PATH,
            secure=is_encrypted(request) or not is_loopback(request.url.hostname or ""),
            httponly=True,
            samesite="strict",
        )
        return session

    @staticmethod
    def close(response: Response) -> None:
        """Sign the caller out."""
        response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")

    def of(self, request: Request, now: datetime) -> Session | None:
        """Return the session of a request, or None. The caller has the rights that their key has now.

        Raises `Problem` (403) if no key is configured and the request is not for this machine.
        """
        opened = self._seals.open_text("session", request.cookies.get(COOKIE, ""))
        name, nonce, ends = ("", "", 0) if opened is None else json.loads(opened)
        caller = self._guard.signed_in(name, request.headers)
        if caller is None or ends <= now.timestamp():
            return None
        return Session(caller, nonce)

    def token(self, session: Session, act: str) -> str:
        """Return the token that the form of an act carries."""
        return self._seals.seal_text(f"act {act}", session.nonce)

    def fits(self, session: Session, act: str, token: str) -> bool:
        """Return whether a token was made for this act in this session."""
        return hmac.compare_digest(self._seals.open_text(f"act {act}", token) or "", session.nonce)

    def seal(self, purpose: str, text: str) -> str:
        """Return a text that comes back with a later request, encrypted."""
        return self._seals.seal_text(purpose, text)

    def unseal(self, purpose: str, sealed: str) -> str | None:
        """Return the text that was sealed for this purpose, or None."""
        return self._seals.open_text(purpose, sealed) if sealed.isascii() else None
