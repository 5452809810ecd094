"""Permanent refusals: each is held for a moment before it is believed, since the fault may be ours.

The brake says when too many come at once. Then those that are held become our fault (the messages wait), and addresses
that were suppressed shortly before are to be released.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from recovery.domain.outcome import OutcomeKind
from recovery.domain.state import CheckoutState
from recovery.engine.brake import Brake
from recovery.engine.flight import STOPPING, Ended


class Refusals:
    """The permanent refusals of one relay. Times are seconds of a monotonic clock; `held_for` is in seconds."""

    def __init__(self, brake: Brake, *, held_for: float) -> None:
        self._brake = brake
        self._held_for = held_for
        self._held: list[tuple[float, Ended]] = []
        self._suppressed: dict[str, CheckoutState] = {}
        """The checkouts whose addresses were suppressed and that are in the brake's row, by id."""

    def sift(self, ended: Sequence[Ended], now: float, *, stopping: bool) -> list[Ended]:
        """Return the ends to record now, and hold the refusals among them for a moment.

        When the brake finds the fault to be ours, those that are held are released too: answers on several connections
        come in any order. While `stopping`, nothing can be held, and the message of a refusal goes back.
        """
        found: list[Ended] = []
        for each in ended:
            kind, reply = each.outcome.kind, each.outcome.reply
            if kind is OutcomeKind.SENT:
                self._brake.passed(each.flight.id, each.flight.handed_over_at)
                if self._suppressed:
                    row = self._brake.row
                    self._suppressed = {id_: each for id_, each in self._suppressed.items() if id_ in row}
            if not each.outcome.is_refusal or each.believed:
                found.append(each)
            elif self._brake.refused(each.flight.id, reply, each.heard_at, address=kind is OutcomeKind.DEAD_ADDRESS):
                found += [_ours(other) for other in (*self.release(), each)]
            elif stopping:
                found.append(replace(each, outcome=each.flight.called_off(STOPPING)))
            else:
                self._held.append((now + self._held_for, each))
        return found

    def believed(self, now: float) -> list[Ended]:
        """Release and return the refusals that nothing has contradicted in time."""
        due = [replace(ended, believed=True) for until, ended in self._held if until <= now]
        self._held = [(until, ended) for until, ended in self._held if until > now]
        return due

    def release(self) -> list[Ended]:
        """Release and return all refusals that are held, believed or not."""
        held, self._held = self._held, []
        return [ended for _, ended in held]

    def suppressed(self, checkouts: Iterable[CheckoutState]) -> None:
        """Note that the addresses of these checkouts were suppressed, each for a refusal that was believed."""
        row = self._brake.row
        self._suppressed |= {checkout.id: checkout for checkout in checkouts if checkout.id in row}

    @property
    def to_lift(self) -> list[CheckoutState]:
        """The checkouts whose addresses were suppressed before the brake found the fault to be ours."""
        return list(self._suppressed.values()) if self._brake.fault is not None else []

    def lifted(self) -> None:
        """Note that these suppressions are lifted."""
        self._suppressed.clear()


def _ours(ended: Ended) -> Ended:
    """Return a refusal as our fault, as the brake judges it."""
    return replace(ended, outcome=replace(ended.outcome, kind=OutcomeKind.OUR_FAULT))
