"""The ports of the engine: small protocols, implemented in `recovery.mongo`, `recovery.mail` and `recovery.daemon`."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from recovery.domain.outcome import Outcome
from recovery.domain.recipient import Postpone, RecipientHistory, Skip
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState, Past
from recovery.engine.writes import ClaimRequest, Completion, DeadLetter, Plan, RecipientQuery, Unreadable, Written


class Checkouts(Protocol):
    """The stored checkouts. Every method is one round trip for the whole batch, except for writes that lost a race.

    `plan`, `claim` and `complete` return the stored result, and store its dead letters. A document that cannot be
    written is set aside alone, like one that cannot be read. All raise `Unavailable`.
    """

    async def load(self, ids: Sequence[str]) -> tuple[list[CheckoutState], list[Unreadable]]:
        """Return the stored checkouts of these ids; those that do not exist are left out."""
        ...

    async def plan(self, plans: Sequence[Plan]) -> Written:
        """Write the plans whose checkouts are unchanged since they were loaded."""
        ...

    async def claim(self, claims: Sequence[ClaimRequest]) -> set[str]:
        """Make the claims that still apply; return the ids of the checkouts that are now claimed by these tokens."""
        ...

    async def held(self, claims: Sequence[ClaimRequest]) -> set[str]:
        """Return the ids of the checkouts whose claims still hold and of which nothing was reported since."""
        ...

    async def hand_over(self, claims: Sequence[ClaimRequest]) -> set[str]:
        """Record that the content of these messages is sent now; return the same ids as `held`."""
        ...

    async def renew(self, claims: Sequence[ClaimRequest]) -> None:
        """Extend these leases to their `until`, where the claims still hold."""
        ...

    async def complete(self, completions: Sequence[Completion]) -> Written:
        """Record the ends of sends."""
        ...

    async def set_aside(self, documents: Sequence[Unreadable], at: datetime, purge_at: datetime) -> Written:
        """Put unreadable documents to rest, each with a dead letter, unless they have changed since."""
        ...


class Shadows(Protocol):
    """The alarms, at most one per checkout: TTL documents whose expiry is the alarm."""

    async def set(self, alarms: Mapping[str, datetime | None]) -> None:
        """Set each checkout's shadow to its time, or delete it where the time is None."""
        ...


class Addresses(Protocol):
    """The histories of recipients, across all their checkouts."""

    async def histories(
        self, checkouts: Sequence[CheckoutState], query: RecipientQuery
    ) -> Mapping[str, RecipientHistory]:
        """Return the histories of these checkouts' recipients, by checkout id; empty ones are left out.

        Call it at the claim, not at the load: a suppression stored before the claim counts. Raises `Unavailable`.
        """
        ...

    async def found_dead(self, found: Sequence[tuple[CheckoutState, str]], at: datetime) -> None:
        """Suppress the addresses of these checkouts: the relay says, with these replies, that they do not exist."""
        ...

    async def found_alive(self, checkouts: Sequence[CheckoutState]) -> None:
        """Lift the suppressions that `found_dead` has just made: the fault was not the addresses'."""
        ...


class Permission(Protocol):
    """The permission to hand over a claimed message. The mailer asks for it last, and reports the hand-over."""

    def granted(self) -> bool:
        """Return whether the content may be handed over at once, without asking the database."""
        ...

    async def refused(self) -> str | None:
        """Return the reason not to hand over the content, or None if it may be handed over at once."""
        ...

    def used(self) -> None:
        """Note that the content is sent now. From here on, only the relay knows the outcome."""
        ...


class _Allowed:
    """A permission that is always granted."""

    def granted(self) -> bool:
        return True

    async def refused(self) -> str | None:
        return None

    def used(self) -> None:
        pass


ALLOWED: Permission = _Allowed()
"""The permission for a test mail, which nothing calls off."""


class Mailer(Protocol):
    """Sends one message."""

    def send(
        self, checkout: CheckoutState, step: Step, *, hand_over_within: float, permission: Permission
    ) -> Awaitable[Outcome]:
        """Render and send one message; every fault is an outcome, never an exception. Cancelling it aborts the message.

        A message is not sent if no connection is free within `hand_over_within` seconds, or if `permission`, asked
        immediately before the content is handed over, is refused.
        """
        ...

    async def greet(self) -> Outcome | None:
        """Return the outcome of connecting and logging in if that fails, or None. No message is sent."""
        ...


@dataclass(frozen=True, slots=True)
class Grant:
    """The number of messages that may be sent now, and the seconds until there may be more (0: at once).

    Of the others, the warm-up holds back `put_off`; of these, more may be sent in `put_off_for` seconds.
    """

    count: int
    wait: float = 0.0
    put_off: int = 0
    put_off_for: float = 0.0


class Allowance(Protocol):
    """The number of messages that the configured rates and the warm-up of a relay leave, over all daemons."""

    async def take(self, wanted: int, *, urgent: int = 0, limit: int | None = None) -> Grant:
        """Count up to `wanted` messages as sent, and return how many. Raises `Unavailable`.

        `limit` is what the warm-up allows in 24 hours, None for all; it does not hold back the `urgent` among those
        wanted.
        """
        ...


@dataclass(frozen=True, slots=True)
class PastDay:
    """The messages that a warm-up counted in a time, the complaints in it, and the days on which it ever halted."""

    sent: int
    complaints: int
    halted: frozenset[date]


class WarmupRecords(Protocol):
    """The records of the warm-up of a relay, over all daemons."""

    async def since(self, at: datetime) -> PastDay:
        """Return the counts since that time. Raises `Unavailable`."""
        ...

    async def halt(self, day: date) -> None:
        """Record that it halted on a day. Raises `Unavailable`."""
        ...


class Clock(Protocol):
    """The database's time."""

    def now(self) -> datetime:
        """Return the current time in UTC, to the millisecond."""
        ...


class Observer(Protocol):
    """The observer of the engine, for metrics and logs."""

    def looked(self, cause: str, count: int) -> None:
        """`count` checkouts were looked at, because of `cause`."""
        ...

    def decided(self, checkout: str, past: Past) -> None:
        """A look or a send added this entry to the history of a checkout."""
        ...

    def attempted(self, shop: str, step: str, outcome: Outcome, lateness: timedelta) -> None:
        """An attempt at a message of this shop ended, so long after its due time."""
        ...

    def held_back(self, step: str, why: Skip | Postpone) -> None:
        """A claimed message was skipped or postponed; no attempt was made."""
        ...

    def newer(self, checkout: str) -> None:
        """A checkout was left alone because a later version of Recovery has written it."""
        ...

    def failed(self, what: str, error: Exception) -> None:
        """An unexpected error made this task fail."""
        ...

    def relay(self, fault: str | None) -> None:
        """The circuit breaker opened, for a fault of the relay; or closed, without one."""
        ...

    def buried(self, letter: DeadLetter) -> None:
        """A dead letter was recorded."""
        ...

    def warming(self, day: int, limit: int | None) -> None:
        """A day of the warm-up began, with so many messages in 24 hours; or it is over, without a limit."""
        ...

    def warmup_halted(self, fault: str | None) -> None:
        """The warm-up halted, for too many complaints; or it goes on, without a fault."""
        ...
