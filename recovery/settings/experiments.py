"""The sections on experiments, `[experiments.<name>]`, and on results."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from recovery.domain.experiments import NO_EXPERIMENTS, Experiment, Experiments, Kind
from recovery.domain.fields import ShopKey, normalised
from recovery.domain.schedule import Step
from recovery.settings.durations import PositiveDuration, format_duration
from recovery.settings.fields import (
    Maybe,
    Section,
    TemplateName,
    from_json,
    from_lines,
    like,
    rule_violation,
    setting,
)
from recovery.settings.reminders import ScheduleSettings, StepSettings, in_order, longest, steps_of, too_close
from recovery.settings.warmup import Day

LARGEST_SHARE = 0.5


class ResultsSettings(Section):
    """What reminders bring: the figures of `recovery results` and of the console. See docs/results.md."""

    window: PositiveDuration = setting(
        "5d",
        "The time after a mail within which an order counts as one after it; in an experiment, the time after the first"
        " reminder was due. Five days are what mailing services use. The figures of a day are final that long after"
        " it.",
    )
    smallest_lift: float = setting(
        0.02,
        "The smallest difference between the arms of an experiment that is worth knowing, as a part of the checkouts:"
        " 0.02 is two points, from 8 to 10 in a hundred. Until there are enough checkouts to see it in four experiments"
        " of five, results say too little data, and how many more it takes.",
        gt=0,
        le=0.5,
    )
    every: PositiveDuration = setting(
        "5m",
        "The time between two counts by one of the daemons. It waits longer, up to an hour, while more is due than can"
        " be sent, and twenty times as long as the last count took.",
    )


def _share(value: float) -> float:
    if not 0 < value <= LARGEST_SHARE:
        raise ValueError(f"must be above 0 and at most {LARGEST_SHARE}, such as 0.1 for one person in ten")
    return value


class ExperimentSettings(Section):
    """One experiment."""

    share: Annotated[float, AfterValidator(_share)] = Field(
        description="The share of the people who get no reminders or, with templates or steps, those: above 0, at most"
        " 0.5."
    )
    until: Day = Field(description="The last day (UTC) on which checkouts are taken in, such as 2026-12-31.")
    from_: Maybe[Day] = setting(None, "The first such day. Empty: at once.", alias="from")
    shops: Annotated[tuple[ShopKey, ...], BeforeValidator(from_lines)] = setting((), "The shops. Empty: all shops.")
    templates: Mapping[str, TemplateName] = setting(
        {},
        'The other template of each step that has one, as in { "reminder-1" = "short" }. Empty, and no'
        " steps: a hold-out.",
    )
    steps: Annotated[tuple[StepSettings, ...], BeforeValidator(from_json), AfterValidator(in_order)] = setting(
        (),
        "The other steps, all of them, as in schedule.steps; every other rule of the schedule stays. A step of the same"
        " name is the same step: nobody gets it twice.",
    )

    @property
    def kind(self) -> Kind:
        """The kind of the experiment."""
        if self.steps:
            return Kind.SCHEDULES
        return Kind.TEMPLATES if self.templates else Kind.HOLD_OUT

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if self.steps and self.templates:
            raise rule_violation("must not be given beside steps: a step names its template itself", "templates")
        return self


def _checked(experiments: Mapping[str, ExperimentSettings]) -> Mapping[str, ExperimentSettings]:
    for (name, one), (other_name, other) in combinations(experiments.items(), 2):
        if _meet(one, other):
            raise ValueError(
                f"{name} and {other_name} would have the same checkouts on the same days: let one end before the other"
                " begins, or give them different shops"
            )
    return experiments


def _meet(one: ExperimentSettings, other: ExperimentSettings) -> bool:
    if one.kind is not other.kind:
        return False  # of those who are reminded, some get another template, and some of both get it by other steps
    if one.kind is Kind.TEMPLATES and not one.templates.keys() & other.templates.keys():
        return False
    if one.shops and other.shops and not set(one.shops) & set(other.shops):
        return False
    return (one.from_ or date.min) <= other.until and (other.from_ or date.min) <= one.until


_Name = Annotated[
    str,
    like(r"[a-z][a-z0-9_-]{0,39}", "must be a lower-case letter and up to 39 lower-case letters, digits, _ or -"),
]
ExperimentTables = Annotated[Mapping[_Name, ExperimentSettings], AfterValidator(_checked)]
"""The experiments by name."""


def unknown_steps(experiments: Mapping[str, ExperimentSettings], steps: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the experiments at all shops that name a step which is not in the schedule, with the step."""
    for name, experiment in experiments.items():
        for step in experiment.templates:
            if step not in steps and not experiment.shops:
                yield name, step


def unsendable(
    experiments: Mapping[str, ExperimentSettings], schedules: Mapping[str, ScheduleSettings]
) -> Iterator[str]:
    """Yield a sentence for each experiment with steps that could not be sent.

    `schedules` are those of the shops with their own, and by the empty name that of all others.
    """
    for name, experiment in experiments.items():
        steps = steps_of(experiment.steps)
        found = (_unsendable(steps, schedules.get(shop, schedules[""])) for shop in experiment.shops or schedules)
        for fault in dict.fromkeys(filter(None, found)):
            yield f"experiments.{name}.steps: {fault}"


def _unsendable(steps: Sequence[Step], schedule: ScheduleSettings) -> str | None:
    if pair := too_close(steps, schedule.min_gap):
        earlier, later = pair
        return (
            f"{later.name} is due {format_duration(later.delay - earlier.delay)} after {earlier.name}, and"
            f" schedule.min_gap is {format_duration(schedule.min_gap)}: it would wait beyond its max_lateness and never"
            " be sent"
        )
    if schedule.retention <= longest(steps):
        return (
            f"the last may take {format_duration(longest(steps))}, and schedule.retention is"
            f" {format_duration(schedule.retention)}: checkouts would be deleted before their last reminder"
        )
    return None


def experiments_of(
    tables: Mapping[str, ExperimentSettings], keys: Sequence[SecretStr], test_recipients: Sequence[str]
) -> Experiments:
    """Return the experiments. Their key is the oldest of the suppression list: the one that is never removed."""
    if not tables:
        return NO_EXPERIMENTS
    made = tuple(
        Experiment(
            name,
            table.share,
            table.until,
            table.from_,
            frozenset(table.shops),
            tuple(sorted(table.templates.items())),
            steps_of(table.steps),
        )
        for name, table in tables.items()
    )
    key = keys[-1].get_secret_value().encode() if keys else b""
    return Experiments(key, made, frozenset(normalised(each) for each in test_recipients))
