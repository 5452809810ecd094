"""The sums of what one schedule does with checkouts."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from recovery.domain.schedule import CONFIRMATION
from recovery.domain.simulation.replay import Cause

HOURS_A_WEEK = 7 * 24


@dataclass(slots=True)
class Sums:
    """What a schedule does, summed up. Counts are by step, as `recovery list` names it.

    `hours` are the mails by hour of the week, in the shop's zone, from Monday 0:00 on. `moved` counts the reminders
    that quiet hours or gaps made later, and `moved_for` how much later they were together. `skipped` counts messages
    that were not sent, by step and reason. `saved` counts reminders that were not sent since the order came first.
    `ordered_unreminded` counts the people among `ordered` who had no reminder before. `arms` counts the checkouts in
    each arm of each experiment, and `arm_reminders` their reminders.
    """

    mails: Counter[str] = field(default_factory=Counter)
    hours: list[int] = field(default_factory=lambda: [0] * HOURS_A_WEEK)
    moved: Counter[tuple[str, Cause]] = field(default_factory=Counter)
    moved_for: dict[Cause, timedelta] = field(default_factory=lambda: dict.fromkeys(Cause, timedelta()))
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    saved: Counter[str] = field(default_factory=Counter)
    ordered: int = 0
    ordered_unreminded: int = 0
    arms: Counter[tuple[str, str]] = field(default_factory=Counter)
    arm_reminders: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def reminders(self) -> int:
        """The number of reminders."""
        return sum(count for step, count in self.mails.items() if step != CONFIRMATION)

    def add(self, other: "Sums") -> None:
        """Add the sums of other checkouts."""
        self.mails += other.mails
        self.moved += other.moved
        self.skipped += other.skipped
        self.saved += other.saved
        self.hours = [one + more for one, more in zip(self.hours, other.hours, strict=True)]
        self.moved_for = {cause: by + other.moved_for[cause] for cause, by in self.moved_for.items()}
        self.ordered += other.ordered
        self.ordered_unreminded += other.ordered_unreminded
        self.arms += other.arms
        self.arm_reminders += other.arm_reminders
