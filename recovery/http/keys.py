"""API keys: their scopes and shops, and the rate limit on wrong ones. No I/O."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from recovery.domain.scopes import Scope as Scope
from recovery.http.problems import Problem, ProblemType


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key. Without `shops` it is valid for all of them; the log shows its `name`, never its `secret`."""

    name: str
    secret: str = field(repr=False)
    scopes: frozenset[Scope] = frozenset(Scope)
    shops: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: the name, scopes and shops of their key."""

    name: str
    scopes: frozenset[Scope] = frozenset(Scope)
    shops: frozenset[str] = frozenset()

    def needs(self, scope: Scope) -> None:
        """Raise `Problem` (403) if this caller lacks the scope."""
        if scope not in self.scopes:
            detail = f"The key {self.name!r} lacks the scope {scope.value!r}, which this operation requires."
            raise Problem(403, detail, kind=ProblemType.SCOPE_MISSING)

    def needs_shop(self, shop: str | None) -> None:
        """Raise `Problem` (403) if this caller may not act for a shop; None means all shops."""
        if not self.shops or shop in self.shops:
            return
        if shop is None:
            detail = f"The key {self.name!r} is limited to some shops: name one of them in the field shop."
        else:
            detail = f"The key {self.name!r} is not valid for this shop."
        raise Problem(403, detail, kind=ProblemType.OTHER_SHOP)


THIS_MACHINE = Caller("this machine")
"""The caller if no keys are configured."""


def unscoped(secrets: Sequence[str]) -> list[ApiKey]:
    """Return keys with all scopes for all shops, named key 1, key 2, … in the order of their secrets."""
    return [ApiKey(f"key {number}", secret) for number, secret in enumerate(secrets, 1)]


class KeyRing:
    """Looks up the caller of an API key. Raises `ValueError` if a secret is empty."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        if not all(key.secret for key in keys):
            raise ValueError("an API key must not be empty")
        # All digests have one length, and each is compared in constant time: timing reveals nothing about a key.
        self._known = [(sha256(key.secret.encode()).digest(), Caller(key.name, key.scopes, key.shops)) for key in keys]

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._known)

    def holder(self, authorization: str) -> Caller | None:
        """Return the caller whose key is in an Authorization header (latin-1, as it arrives), or None."""
        scheme, _, key = authorization.partition(" ")
        return self.owner(key.strip().encode("latin-1") if scheme.lower() == "bearer" else b"")  # the bytes as sent

    def owner(self, key: bytes) -> Caller | None:
        """Return the caller whose key this is, or None."""
        digest = sha256(key).digest()
        found = None
        for known, caller in self._known:
            if hmac.compare_digest(digest, known):
                found = caller
        return found

    def named(self, name: str) -> Caller | None:
        """Return the caller whose key has this name, or None."""
        return next((caller for _, caller in self._known if caller.name == name), None)


MOST_AT_ONCE, EVERY = 10, 6.0
"""Token bucket: wrong keys that are answered at once, and the seconds until one more is."""

PAUSE, MOST_WAITING = 1.0, 50
"""Seconds by which the response to a further wrong key is delayed, and how many may be delayed at a time."""


class WrongKeys:
    """Rate limit on wrong keys, as a token bucket. Valid keys never reach it."""

    def __init__(self, now: float = 0.0) -> None:
        self._left = float(MOST_AT_ONCE)
        self._since = now
        self.waiting = 0

    def pause(self, now: float) -> float | None:
        """Return the delay in seconds, or None if too many wait already: close the connection. `now` is in seconds."""
        self._left = min(MOST_AT_ONCE, self._left + max(0.0, now - self._since) / EVERY)
        self._since = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return PAUSE if self.waiting < MOST_WAITING else None
