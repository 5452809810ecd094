"""The last check of a recipient before a message is sent: suppression, other checkouts, gap, what is still wanted.

Nothing here reads a clock, a file or a network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.domain.checkout import Facts, Item
from recovery.domain.pauses import why
from recovery.domain.schedule import Schedule, Step, StopOn
from recovery.domain.state import CheckoutState
from recovery.domain.suppression import Suppression

RIVALS_TURN = timedelta(seconds=2)
"""Backoff when two checkouts of one recipient are due at once: one to two times this, at random."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another checkout of the same address at the same shop.

    `claimed`: a message of it is being sent. `imminent`: one may be claimed at any moment. `written_at`: the time its
    last reminder was sent. `bought`: the items ordered under it at `ordered_at`.
    """

    claimed: bool = False
    imminent: bool = False
    written_at: datetime | None = None
    ordered_at: datetime | None = None
    bought: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class RecipientHistory:
    """The history of a checkout's recipient: suppression and other checkouts. Not `known` if the lookup failed.

    `paused` is the name of the pause of sending that covers the checkout, or None.
    """

    suppression: Suppression | None = None
    others: Sequence[Other] = ()
    known: bool = True
    paused: str | None = None

    @property
    def contested(self) -> bool:
        """Whether another checkout may be claimed at this moment, so that a second lookup after the claim is needed."""
        return any(other.claimed or other.imminent for other in self.others)


NOTHING_KNOWN = RecipientHistory()
UNKNOWN = RecipientHistory(known=False)


@dataclass(frozen=True, slots=True)
class Skip:
    """A message that is never sent: its recipient must not get it, or has no use for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Postpone:
    """A message that becomes due at `until`: its recipient has had another mail, or is about to get one."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class CallOff:
    """A message that goes back and stays due: sending is paused, or it is unknown whether it may be sent."""

    reason: str


HeldBack = Skip | Postpone | CallOff


def held_back(
    checkout: CheckoutState, step: Step, history: RecipientHistory, schedule: Schedule, now: datetime, jitter: float
) -> HeldBack | None:
    """Return the reason to hold back a claimed message, with what happens to it instead; None to send it.

    `jitter` is a number in [0, 1) that separates two checkouts of one address that step back for each other.
    """
    if not history.known:
        return CallOff("suppression lookup failed: trying again")
    if history.paused is not None:
        return CallOff(why(history.paused))
    suppression = history.suppression
    if not step.kind.is_marketing:
        return _suppressed(suppression) if suppression is not None and suppression.dead else None
    if suppression is not None:
        return _suppressed(suppression)
    if checkout.facts.items and not still_wanted(checkout, history, schedule).items:
        return Skip("the same customer has ordered all of it")
    if not schedule.min_gap_per_address:
        return None
    if any(other.claimed for other in history.others):
        return Postpone(now + RIVALS_TURN * (1 + jitter), "a mail about another checkout of this address is being sent")
    written = [other.written_at for other in history.others if other.written_at is not None]
    until = max(written) + schedule.min_gap_per_address if written else now
    if until > now:
        return Postpone(until, "this address had a mail about another checkout")
    return None


def still_wanted(checkout: CheckoutState, history: RecipientHistory, schedule: Schedule) -> Facts:
    """Return the facts of a checkout without the items that its customer has ordered under another since.

    Only if the schedule's `stop_on` is customer. The total of the remaining items is unknown then, because discounts
    are.
    """
    if schedule.stop_on is not StopOn.CUSTOMER:
        return checkout.facts
    bought = _bought(checkout, history)
    left = tuple(item for item in checkout.facts.items if _line(item) not in bought)
    if len(left) == len(checkout.facts.items):
        return checkout.facts
    return checkout.facts.model_copy(update={"items": left, "total": None})


def _bought(checkout: CheckoutState, history: RecipientHistory) -> set[tuple[str, str | None]]:
    return {
        _line(item)
        for other in history.others
        if other.ordered_at is not None and other.ordered_at >= checkout.opened_at
        for item in other.bought
    }


def _line(item: Item) -> tuple[str, str | None]:
    return item.name, item.variant


def _suppressed(suppression: Suppression) -> Skip:
    return Skip(f"the address is suppressed: {suppression.reason}")
