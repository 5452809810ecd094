"""The arms of people in a simulation: the experiments of a schedule, as if they took in checkouts at any time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from recovery.domain.experiments import Experiment, Experiments
from recovery.domain.fields import Address
from recovery.domain.schedule import Schedule, Step

_ALL_HELD_OUT = Experiments(all=(Experiment("all", 1.0, date.max),))

NO_ARMS: Mapping[str, str] = {}


class Arms:
    """The arms of people at a shop, and the schedule of each: one without an experiment in it that is to be decided.

    A template changes no mail's time, so people who differ in templates alone have the same schedule.
    """

    def __init__(self, schedule: Schedule, shop: str) -> None:
        self._schedule = schedule
        self._shop = shop
        self._schedules: dict[tuple[bool, tuple[Step, ...]], Schedule] = {}

    def of(self, person: str | None) -> Mapping[str, str]:
        """Return the arms of a person, by the id of the experiment."""
        if person is None or not self._schedule.experiments.all:
            return NO_ARMS
        return self._schedule.experiments.arms(self._shop, Address(person))

    def schedule(self, arms: Mapping[str, str]) -> Schedule:
        """Return the schedule of these arms: the same object for all people who fare alike."""
        held_out, steps = self._schedule.experiments.hold_out(arms), self._schedule.steps_of(arms)
        if (held_out, steps) not in self._schedules:
            alone = self._schedule.alone(steps)
            self._schedules[held_out, steps] = replace(alone, experiments=_ALL_HELD_OUT) if held_out else alone
        return self._schedules[held_out, steps]
