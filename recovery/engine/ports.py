"""What the engine needs of the world, as small protocols. Their real sides are `recovery.mongo` and `recovery.mail`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from recovery.domain.outcome import Outcome
from recovery.domain.recipient import Postpone, Skip, Standing
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState, Past
from recovery.engine.writes import Ask, Claiming, Completion, DeadLetter, Plan, Unreadable, Written


class Checkouts(Protocol):
    """The kept checkouts. Every method is one round trip for the whole batch, but for what lost a race.

    `plan`, `claim` and `complete` return what then holds; with it they keep its dead letters. A document that cannot be
    written is set aside alone, as one that cannot be read. All raise `Unavailable`.
    """

    async def load(self, ids: Sequence[str]) -> tuple[list[CheckoutState], list[Unreadable]]:
        """Return the checkouts of these ids as they are kept now; those that do not exist are left out."""
        ...

    async def plan(self, plans: Sequence[Plan]) -> Written:
        """Write the plans that still hold."""
        ...

    async def claim(self, claims: Sequence[Claiming]) -> set[str]:
        """Claim what can be claimed; return the ids of the checkouts that are now claimed by these tokens."""
        ...

    async def held(self, claims: Sequence[Claiming]) -> set[str]:
        """Return the ids of the checkouts that these claims still hold, and of which nothing was reported since."""
        ...

    async def hand_over(self, claims: Sequence[Claiming]) -> set[str]:
        """Keep that the content of these messages goes out now; return the ids of those that `held` would."""
        ...

    async def renew(self, claims: Sequence[Claiming]) -> None:
        """Move the ends of these leases to their `until`, where the claims still hold."""
        ...

    async def complete(self, completions: Sequence[Completion]) -> Written:
        """Record how sends ended."""
        ...

    async def set_aside(self, documents: Sequence[Unreadable], at: datetime, purge_at: datetime) -> Written:
        """Put documents to rest that cannot be read, each with a dead letter, unless they have changed since."""
        ...


class Shadows(Protocol):
    """The alarms: at most one for each checkout."""

    async def set(self, alarms: Mapping[str, datetime | None]) -> None:
        """Move each checkout's shadow to its time, or drop it where the time is None."""
        ...


class Addresses(Protocol):
    """What is known of addresses, whatever checkout they come in."""

    async def standings(self, checkouts: Sequence[CheckoutState], ask: Ask) -> Mapping[str, Standing]:
        """Return what is known of these checkouts' addresses, by checkout id; what nothing is known of is left out.

        Asked at the moment of the claim, and not of the load: what was kept before counts. Raises `Unavailable`.
        """
        ...

    async def found_dead(self, found: Sequence[tuple[CheckoutState, str]], at: datetime) -> None:
        """Suppress the addresses of these checkouts, since the relay says, in these words, that they do not exist."""
        ...

    async def found_alive(self, checkouts: Sequence[CheckoutState]) -> None:
        """Lift what `found_dead` has just suppressed: it was not the addresses."""
        ...


class Permission(Protocol):
    """Whether a claimed message may still be handed over. Whoever hands it over asks last, and says when it is done."""

    def granted(self) -> bool:
        """Return whether the content may be handed over at once, without asking anybody."""
        ...

    async def refused(self) -> str | None:
        """Return why the content must not be handed over now, or None where it may be, at once."""
        ...

    def used(self) -> None:
        """Tell that the content goes out now: from here on, only the relay knows what becomes of it."""
        ...


class _Allowed:
    """The permission for what nobody can call off."""

    def granted(self) -> bool:
        return True

    async def refused(self) -> str | None:
        return None

    def used(self) -> None:
        pass


ALLOWED: Permission = _Allowed()
"""For a test to oneself: nobody can call it off."""


class Mailer(Protocol):
    """The way out."""

    async def send(
        self, checkout: CheckoutState, step: Step, *, hand_over_within: float, permission: Permission
    ) -> Outcome:
        """Render and send one message; every fault is an outcome, never an exception.

        A message that no connection was free for within `hand_over_within` seconds is not sent. Nor is one that
        `permission` is refused for, which is asked immediately before the content is handed over.
        """
        ...

    async def greet(self) -> Outcome | None:
        """Return why the relay does not let us in, or None if it does. No message is sent."""
        ...


class Clock(Protocol):
    """The database's time."""

    def now(self) -> datetime:
        """Return the time now, in UTC, to the millisecond."""
        ...


class Observer(Protocol):
    """Whoever wants to know what the engine does: metrics, logs, the live view of the demo."""

    def looked(self, cause: str, count: int) -> None:
        """Tell that `count` checkouts were looked at, because of `cause`."""
        ...

    def decided(self, checkout: str, past: Past) -> None:
        """Tell what a look or a send came to, where it changed anything."""
        ...

    def attempted(self, step: str, outcome: Outcome, lateness: timedelta) -> None:
        """Tell how one attempt ended, and how long after its due time."""
        ...

    def held_back(self, step: str, why: Skip | Postpone) -> None:
        """A claimed message was skipped or postponed; no attempt was made."""
        ...

    def newer(self, checkout: str) -> None:
        """Tell of a checkout that a later version of Recovery has written, and that is left alone."""
        ...

    def failed(self, what: str, error: Exception) -> None:
        """Tell of an error that nobody expected, and what it kept from being done."""
        ...

    def relay(self, fault: str | None) -> None:
        """Tell that no message is claimed any more, for a fault of the relay; or again, without one."""
        ...

    def buried(self, letter: DeadLetter) -> None:
        """Tell of a message or document that is given up for dead."""
        ...
