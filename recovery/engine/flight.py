"""A message on its way: claimed, and not yet recorded."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from recovery.domain.decision import NOT_BEGUN, Send, decide
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import Postpone, Skip
from recovery.domain.schedule import Schedule
from recovery.domain.state import CheckoutState, MessageState
from recovery.engine.last_check import LastCheck
from recovery.engine.ports import Clock
from recovery.engine.writes import Claiming, Completion, completed, held_back

ASKED_AT_MOST = 5
"""How often the database is asked before a message goes back, where each answer is stale when it comes."""

SUSPECT_AFTER = 2
"""Attempts without an end after which a message is suspected of ending its sender."""


class Flight:
    """A claimed message, and the port `Permission` for handing it over.

    `checkout` is what the mail is made of. From the loop time `known_at` on an order may have come unseen: what was
    known may be `fresh_for` seconds old when the content goes out. An order does not call off its confirmation, so that
    one may go out as long as its lease is certain to last.
    """

    def __init__(
        self,
        claiming: Claiming,
        due_at: datetime,
        schedule: Schedule,
        *,
        known_at: float,
        fresh_for: float,
        last_check: LastCheck,
        stopping: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.id = claiming.seen.id
        """The key of the checkout."""
        self.claiming = claiming
        self.due_at = due_at
        self.schedule = schedule
        self.lease = schedule.lease.total_seconds()
        """How long a lease lasts, in seconds."""
        self.suspect = is_suspect(claiming.seen, claiming.step.name)
        """Whether attempts at this message have ended its sender before, as it seems."""
        self.checkout = claiming.seen
        self.leased_at = known_at
        self.handed_over = False
        self.starved = False
        """Whether it is called off because the database did not answer in time."""
        self._known_at = known_at
        self._fresh_for = min(fresh_for, self.lease / 2) if claiming.step.kind.stops_on_order else self.lease / 2
        self._last_check = last_check
        self._stopping = stopping
        self._clock = clock
        self._must_ask = claiming.message.handed_over is not None

    def renewed(self, until: datetime, now: float) -> Claiming:
        """Take note of a longer lease; return the claim that has it."""
        self.leased_at = now
        self.claiming = replace(self.claiming, until=until)
        return self.claiming

    def granted(self) -> bool:
        """Return whether what is known is fresh enough for the content to go out at once."""
        if self._must_ask or self._stopping():
            return False
        return asyncio.get_running_loop().time() <= self._known_at + self._fresh_for

    async def refused(self) -> str | None:
        """Return why the content must not be handed over now, or None where it may be, at once."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        for _ in range(ASKED_AT_MOST):
            if self._stopping():
                return "the daemon is stopping"
            if self.granted():
                return None
            answer = await self._last_check.ask(self.claiming)
            if answer.why_not is not None:
                return answer.why_not
            if not isinstance(decide(self.claiming.seen, self.schedule, self._clock.now()), Send):
                return "it is not to be sent at this hour any more"
            self._known_at, self._must_ask = answer.known_at, False
        self.starved = True
        took = (loop.time() - asked_at) / ASKED_AT_MOST
        return f"the database takes {took:.1f} s to say whether it may still be handed over"

    def used(self) -> None:
        """Tell that the content goes out now."""
        self.handed_over = True

    def broken_off(self, why: str) -> Outcome:
        """Return what it comes to if the message is broken off here."""
        return Outcome(OutcomeKind.AMBIGUOUS, why) if self.handed_over else self.called_off(why)

    @staticmethod
    def called_off(why: str) -> Outcome:
        """Return what it comes to if the message goes back."""
        return Outcome(OutcomeKind.CALLED_OFF, why)


def is_suspect(checkout: CheckoutState, step: str) -> bool:
    """Return whether attempts at a message have ended its sender before, as it seems: these go alone."""
    message = checkout.messages.get(step, NOT_BEGUN)
    return message.state is MessageState.SENDING and message.attempts >= SUSPECT_AFTER


@dataclass(frozen=True, slots=True)
class Ended:
    """A flight that ended with an attempt, and its outcome. `believed` says that a refusal has been waited for."""

    flight: Flight
    outcome: Outcome
    believed: bool = False

    def completion(self, now: datetime, jitter: float) -> Completion:
        """Return the record of the attempt."""
        flight = self.flight
        return completed(flight.claiming, flight.due_at, self.outcome, flight.schedule, now, jitter)

    @property
    def dead_reply(self) -> str | None:
        """The words in which the relay called the address dead, if it did."""
        return self.outcome.reply if self.outcome.kind is OutcomeKind.DEAD_ADDRESS else None


@dataclass(frozen=True, slots=True)
class NotSent:
    """A flight that ended without an attempt: its message is skipped or postponed."""

    flight: Flight
    why: Skip | Postpone

    def completion(self, now: datetime, _: float) -> Completion:
        """Return the record of the message."""
        flight = self.flight
        return held_back(flight.claiming, flight.due_at, self.why, flight.schedule, now)

    @property
    def dead_reply(self) -> None:
        """Nothing: the relay was not asked."""
        return None
