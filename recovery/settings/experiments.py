"""The sections on experiments, `[experiments.<name>]`, and on results."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from recovery.domain.experiments import NO_EXPERIMENTS, Experiment, Experiments
from recovery.domain.fields import ShopKey, normalised
from recovery.settings.durations import PositiveDuration
from recovery.settings.fields import Maybe, Section, TemplateName, from_lines, like, setting
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
        description="The share of the people who get no reminders or, with templates, those: above 0, at most 0.5."
    )
    until: Day = Field(description="The last day (UTC) on which checkouts are taken in, such as 2026-12-31.")
    from_: Maybe[Day] = setting(None, "The first such day. Empty: at once.", alias="from")
    shops: Annotated[tuple[ShopKey, ...], BeforeValidator(from_lines)] = setting((), "The shops. Empty: all shops.")
    templates: Mapping[str, TemplateName] = setting(
        {}, 'The other template of each step that has one, as in { "reminder-1" = "short" }. Empty: a hold-out.'
    )


def _checked(experiments: Mapping[str, ExperimentSettings]) -> Mapping[str, ExperimentSettings]:
    for (name, one), (other_name, other) in combinations(experiments.items(), 2):
        if _meet(one, other):
            raise ValueError(
                f"{name} and {other_name} would have the same checkouts on the same days: let one end before the other"
                " begins, or give them different shops"
            )
    return experiments


def _meet(one: ExperimentSettings, other: ExperimentSettings) -> bool:
    if bool(one.templates) != bool(other.templates):
        return False  # of those who are reminded, some get another template
    if one.templates and not one.templates.keys() & other.templates.keys():
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
        )
        for name, table in tables.items()
    )
    key = keys[-1].get_secret_value().encode() if keys else b""
    return Experiments(key, made, frozenset(normalised(each) for each in test_recipients))
