"""The keys that callers show: what each may be used for, and at which shops. Nothing here does I/O."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from recovery.http.problems import Problem, ProblemType


class Scope(StrEnum):
    """What a key may be used for. Each operation says which it needs."""

    REPORT = "report"
    READ = "read"
    OPERATE = "operate"
    PRIVACY = "privacy"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the API. Without `shops` it may be used at all of them; `name` is what the log calls it."""

    name: str
    secret: str = field(repr=False)
    scopes: frozenset[Scope] = frozenset(Scope)
    shops: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls: by the name of their key, with what they may do and where."""

    name: str
    scopes: frozenset[Scope] = frozenset(Scope)
    shops: frozenset[str] = frozenset()

    def needs(self, scope: Scope) -> None:
        """Raise `Problem` (403) if this caller lacks the scope."""
        if scope not in self.scopes:
            detail = f"The key {self.name!r} lacks the scope {scope.value!r}, which this operation needs."
            raise Problem(403, detail, kind=ProblemType.SCOPE_MISSING)

    def needs_shop(self, shop: str | None) -> None:
        """Raise `Problem` (403) if this caller may not act for a shop; None stands for all shops."""
        if not self.shops or shop in self.shops:
            return
        if shop is None:
            detail = f"The key {self.name!r} is for some shops only: name one of them as shop."
        else:
            detail = f"The key {self.name!r} is not for this shop."
        raise Problem(403, detail, kind=ProblemType.OTHER_SHOP)


THIS_MACHINE = Caller("this machine")
"""Whoever calls where no keys are configured."""


def unscoped(secrets: Sequence[str]) -> list[ApiKey]:
    """Return keys that may be used for everything, called key 1, key 2, … in the order of their secrets."""
    return [ApiKey(f"key {number}", secret) for number, secret in enumerate(secrets, 1)]


class KeyRing:
    """Tells who shows a key. Raises `ValueError` if a secret is empty."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        if not all(key.secret for key in keys):
            raise ValueError("an API key must not be empty")
        # Digests are of one length, and every one of them is compared: the time taken tells nothing of any key.
        self._known = [(sha256(key.secret.encode()).digest(), Caller(key.name, key.scopes, key.shops)) for key in keys]

    def holder(self, authorization: str) -> Caller | None:
        """Return who shows a right key in an Authorization header as it arrives (latin-1), or None."""
        scheme, _, key = authorization.partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else ""
        digest = sha256(given.encode("latin-1")).digest()  # the bytes that were sent
        found = None
        for known, caller in self._known:
            if hmac.compare_digest(digest, known):
                found = caller
        return found


MOST_AT_ONCE, EVERY = 10, 6.0
"""CommandError keys that are answered at once; and the seconds after which one more is."""

PAUSE, MOST_WAITING = 1.0, 50
"""Seconds by which the answer to a further wrong key is held back; and how many may wait for theirs at a time."""


class WrongKeys:
    """Decides how long the answer to a wrong key is held back. Right keys are never asked about."""

    def __init__(self, now: float = 0.0) -> None:
        self._left = float(MOST_AT_ONCE)
        self._since = now
        self.waiting = 0

    def pause(self, now: float) -> float | None:
        """Return the seconds to wait, `now` in seconds; None: too many wait already, so close the connection."""
        self._left = min(MOST_AT_ONCE, self._left + max(0.0, now - self._since) / EVERY)
        self._since = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return PAUSE if self.waiting < MOST_WAITING else None
