"""A message in flight: claimed, and not yet recorded."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from recovery.domain.decision import NOT_BEGUN, Send, decide
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import Postpone, Skip
from recovery.domain.state import CheckoutState, MessageState
from recovery.engine.last_check import LastCheck
from recovery.engine.ports import Clock
from recovery.engine.writes import ClaimRequest, Completion, completed, held_back

STOPPING = "the daemon is stopping"
"""The reason why a message goes back at a stop."""

ASKED_AT_MOST = 5
"""Questions to the database, each answered too late to be fresh, after which a message goes back."""

SUSPECT_AFTER = 2
"""Attempts without a recorded end after which a message is suspected of crashing its sender."""


class Flight:
    """A claimed message; implements the port `Permission` for handing it over.

    The mail is made from `checkout`. After the loop time `known_at`, an order may have arrived unseen: the facts may be
    `fresh_for` seconds old when the content is sent. An order does not call off its confirmation, which may be sent as
    long as its lease is certain to last.
    """

    def __init__(
        self,
        request: ClaimRequest,
        *,
        known_at: float,
        fresh_for: float,
        last_check: LastCheck,
        stopping: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.id = request.seen.id
        """The key of the checkout."""
        self.request = request
        self.lease = request.schedule.lease.total_seconds()
        """The duration of the lease, in seconds."""
        self.suspect = is_suspect(request.seen, request.step.name)
        """Whether this message seems to have crashed its sender before."""
        self.checkout = request.seen
        self.leased_at = known_at
        self.handed_over_at: float | None = None
        """The loop time at which the content was sent, or None."""
        self.starved = False
        """Whether the message is called off because the database did not answer in time."""
        self._known_at = known_at
        self._fresh_for = min(fresh_for, self.lease / 2) if request.step.kind.stops_on_order else self.lease / 2
        self._last_check = last_check
        self._stopping = stopping
        self._clock = clock
        self._must_ask = request.message.handed_over is not None

    def renewed(self, until: datetime, now: float) -> ClaimRequest:
        """Extend the lease; return the claim with its new end."""
        self.leased_at = now
        self.request = replace(self.request, until=until)
        return self.request

    def granted(self) -> bool:
        """Return whether the facts are fresh enough for the content to be sent at once."""
        if self._must_ask or self._stopping():
            return False
        return asyncio.get_running_loop().time() <= self._known_at + self._fresh_for

    async def refused(self) -> str | None:
        """Return the reason not to hand over the content, or None if it may be handed over at once."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        for _ in range(ASKED_AT_MOST):
            if self._stopping():
                return STOPPING
            if self.granted():
                return None
            answer = await self._last_check.ask(self.request)
            if answer.why_not is not None:
                return answer.why_not
            if not isinstance(decide(self.request.checkout, self.request.schedule, self._clock.now()), Send):
                return "it is no longer due: quiet hours have begun, or it is too late"
            self._known_at, self._must_ask = answer.known_at, False
        self.starved = True
        took = (loop.time() - asked_at) / ASKED_AT_MOST
        return f"the last check took {took:.1f} s: the database is too slow"

    def used(self) -> None:
        """Note that the content is sent now."""
        self.handed_over_at = asyncio.get_running_loop().time()

    @property
    def handed_over(self) -> bool:
        """Whether the content was sent."""
        return self.handed_over_at is not None

    def broken_off(self, why: str) -> Outcome:
        """Return the outcome if the send is aborted now: ambiguous if the content was sent."""
        return Outcome(OutcomeKind.AMBIGUOUS, why) if self.handed_over else self.called_off(why)

    @staticmethod
    def called_off(why: str) -> Outcome:
        """Return the outcome of a message that goes back."""
        return Outcome(OutcomeKind.CALLED_OFF, why)


def is_suspect(checkout: CheckoutState, step: str) -> bool:
    """Return whether a message seems to have crashed its sender before: such messages are sent one at a time."""
    message = checkout.messages.get(step, NOT_BEGUN)
    return message.state is MessageState.SENDING and message.attempts >= SUSPECT_AFTER


@dataclass(frozen=True, slots=True)
class Ended:
    """A flight that ended with an attempt, its outcome, and the loop time at which that was known (`heard_at`).

    `believed`: a refusal that nothing contradicted in time.
    """

    flight: Flight
    outcome: Outcome
    believed: bool = False
    heard_at: float = 0.0

    def completion(self, now: datetime, jitter: float) -> Completion:
        """Return the record of the attempt."""
        return completed(self.flight.request, self.outcome, now, jitter)

    @property
    def dead_reply(self) -> str | None:
        """The reply that calls the address dead, or None."""
        return self.outcome.reply if self.outcome.kind is OutcomeKind.DEAD_ADDRESS else None


@dataclass(frozen=True, slots=True)
class NotSent:
    """A flight that ended without an attempt: its message is skipped or postponed."""

    flight: Flight
    why: Skip | Postpone

    def completion(self, now: datetime, _: float) -> Completion:
        """Return the record of the message."""
        return held_back(self.flight.request, self.why, now)

    @property
    def dead_reply(self) -> None:
        """None: the relay was not asked."""
        return None
