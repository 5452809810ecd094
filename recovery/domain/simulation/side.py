"""One schedule of a shop at work: a way for each of the schedules that its experiments make of it."""

from collections.abc import Iterable, Sequence

from recovery.domain.schedule import CONFIRMATION, Schedule
from recovery.domain.simulation.arms import NO_ARMS, Arms
from recovery.domain.simulation.courses import Course
from recovery.domain.simulation.replay import Entry
from recovery.domain.simulation.sums import Sums
from recovery.domain.simulation.way import Way


class Side:
    """One schedule of a shop at work. The sums are complete after `sum_up`; their hours are those of `shops_zone`."""

    def __init__(self, schedule: Schedule, sums: Sums, shops_zone: str, shop: str) -> None:
        self._arms = Arms(schedule, shop)
        self._sums = sums
        self._zone = shops_zone
        self._ways: dict[int, Way] = {}
        self._without_arms = self._way_of(self._arms.schedule(NO_ARMS))

    def way(self, person: str | None) -> Way:
        """Return the way of a person, by their arms."""
        arms = self._arms.of(person)
        return self._way_of(self._arms.schedule(arms)) if arms else self._without_arms

    def take(self, courses: Sequence[Course]) -> list[list[Entry]]:
        """Return the entries of the checkouts of one person, and add them to the sums."""
        person = courses[0].person
        entries = self.way(person).take(courses)
        self.count_arms(person, len(courses), (each.step for of_one in entries for each in of_one if not each.reason))
        return entries

    def count_arms(self, person: str | None, checkouts: int, mails: Iterable[str]) -> None:
        """Count checkouts of a person, and the reminders among their mails, in each arm of the person."""
        arms = self._arms.of(person)
        if arms:
            reminders = sum(step != CONFIRMATION for step in mails)
            for arm in arms.items():
                self._sums.arms[arm] += checkouts
                self._sums.arm_reminders[arm] += reminders

    def sum_up(self) -> None:
        """Add what was counted to the sums."""
        for way in self._ways.values():
            way.sum_up()

    def begin(self, sums: Sums) -> None:
        """Add what comes to other sums. Call `sum_up` before."""
        self._sums = sums
        for way in self._ways.values():
            way.sums = sums

    def _way_of(self, schedule: Schedule) -> Way:
        if id(schedule) not in self._ways:
            self._ways[id(schedule)] = Way(schedule, self._sums, self._zone)
        return self._ways[id(schedule)]
