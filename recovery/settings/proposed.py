"""Proposed settings: a schedule that is to be tried, over the settings in force. Nothing of it takes effect."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recovery.settings.durations import format_duration
from recovery.settings.experiments import unsendable
from recovery.settings.given import GivenSettings
from recovery.settings.loading import Settings, sentence
from recovery.settings.names import settings_of
from recovery.settings.sources import SettingsError, Source, shortened, why

SECTIONS = ("schedule", "confirmation")
"""The sections that a proposal may have, beside experiments."""

EXPERIMENTS = "experiments"


MOST_TOLD = 20
"""Faults that are told, at most: each takes milliseconds, in which a daemon does nothing else."""


def proposal_in(path: Path) -> dict[str, Any]:
    """Return the tables of a file with a proposed schedule. Raises `SettingsError`."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError([f"the schedule {shortened(path)} cannot be read: {why(exc)}"]) from None
    return proposal_of(text, f"the schedule {shortened(path)}")


def proposal_of(text: str, name: str) -> dict[str, Any]:
    """Return the tables in the text of a proposed schedule. `name` is for errors. Raises `SettingsError`."""
    try:
        tables = tomllib.loads(text)
    except ValueError as exc:  # a number of thousands of digits is none of TOML's own errors
        raise SettingsError([f"{name} is not TOML: {exc}"]) from None
    except RecursionError:
        raise SettingsError([f"{name} is not TOML that can be read: it is nested too deeply"]) from None
    if problems := [
        f"{section}: only [schedule], [confirmation] and [experiments.<name>] can be tried"
        for section in _others(tables)
    ]:
        raise SettingsError(problems)
    if not tables:
        raise SettingsError(
            [f"{name} has no [schedule], no [confirmation] and no [experiments.<name>]: there is nothing to try"]
        )
    return tables


def proposed(in_force: Settings, tables: Mapping[str, Any], origin: str) -> Settings:
    """Return the settings of a shop as a proposal would make them: what it leaves out stays as it is in force.

    They have the schedule, the confirmation and the experiments, and what is checked together with these. `origin` says
    in errors where the values come from. Raises `SettingsError`, with a sentence for each fault.
    """
    known = settings_of(Settings)
    values: dict[str, Any] = {section: _plain(getattr(in_force, section)) for section in (*SECTIONS, "smtp")}
    values[EXPERIMENTS] = dict(in_force.experiments)
    values["suppressions"] = {"keys": in_force.suppressions.keys}  # the arms of people depend on the oldest
    values["mail"] = {"test_recipients": in_force.mail.test_recipients}  # who are in no arm
    for section, table in tables.items():
        values[section] = {**values[section], **table} if isinstance(table, Mapping) else table
    problems: list[str] = []
    try:
        made = GivenSettings(**values)
        tried = {name: made.experiments[name] for name in tables.get(EXPERIMENTS, ())}
        problems += unsendable(tried, {"": made.schedule})
    except ValidationError as exc:
        errors = exc.errors()
        problems = [sentence(error, known, [Source(origin, dict(tables))]) for error in errors[:MOST_TOLD]]
        if len(errors) > MOST_TOLD:
            problems.append(f"and {len(errors) - MOST_TOLD:,} more")
    if not problems:
        return made
    raise SettingsError(problems)  # outside of the handler: the error that has the values is not chained


def text_of(settings: Settings) -> str:
    """Return the schedule of these settings as it stands in a configuration file, with what most often changes."""
    schedule, tables = settings.schedule, []
    for step in schedule.steps:
        entries = {"name": step.name, "delay": format_duration(step.delay), "template": step.template}
        written = ", ".join(f"{name} = {_quoted(value)}" for name, value in entries.items() if value)
        tables.append(f"    {{ {written} }},\n")
    quiet = schedule.quiet_hours
    lines = [
        "[schedule]\n",
        "steps = [\n",
        *tables,
        "]\n",
        f"quiet_hours = {_quoted(f'{quiet.begin:%H:%M}-{quiet.end:%H:%M}' if quiet is not None else '')}\n",
        f"time_zone = {_quoted(schedule.time_zone)}\n",
        f"min_gap = {_quoted(format_duration(schedule.min_gap))}\n",
        f"min_gap_per_address = {_quoted(format_duration(schedule.min_gap_per_address))}\n",
        f"require_consent = {'true' if schedule.require_consent else 'false'}\n",
        f"stop_on = {_quoted(schedule.stop_on)}\n",
    ]
    return "".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text)  # a basic string of TOML has the same escapes


def _others(tables: Mapping[str, Any]) -> list[str]:
    return [section for section in tables if section not in (*SECTIONS, EXPERIMENTS)]


def _plain(section: Any) -> dict[str, Any]:
    return {name: getattr(section, name) for name in type(section).model_fields}
