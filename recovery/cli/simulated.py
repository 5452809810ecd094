"""The result of a simulation, for the terminal and as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from recovery.cli.terminal import format_time, isoformatted, out, plain, print_table, say
from recovery.domain.schedule import CONFIRMATION
from recovery.domain.simulation import Cause, Comparison, Difference, Fate, Sums
from recovery.settings import format_duration

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SHADES = " ▁▂▃▄▅▆▇█"
_BAR = 24


def as_document(compared: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values."""
    return {
        "checkouts": compared.checkouts,
        "same": compared.same,
        "moved": compared.moved,
        "changed": compared.changed,
        "suppressed": compared.suppressed,
        "left_out": dict(compared.apart),
        "in_force": _sums(compared.in_force),
        "new": _sums(compared.new),
        "different": [_different(each) for each in compared.different],
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "mails": dict(sums.mails),
        "reminders": sums.reminders,
        "hours_of_the_week": sums.hours,
        "arms": [
            {"experiment": experiment, "arm": arm, "checkouts": count, "reminders": sums.arm_reminders[experiment, arm]}
            for (experiment, arm), count in sorted(sums.arms.items())
        ],
        "saved": dict(sums.saved),
        "ordered": sums.ordered,
        "ordered_unreminded": sums.ordered_unreminded,
        "moved": [{"step": step, "by": cause, "count": count} for (step, cause), count in sums.moved.items()],
        "moved_for_seconds": {cause: by.total_seconds() for cause, by in sums.moved_for.items()},
        "skipped": [{"step": step, "reason": why, "count": count} for (step, why), count in sums.skipped.items()],
    }


def _different(difference: Difference) -> dict[str, Any]:
    course = difference.course
    messages = [
        {"step": step, "in_force": isoformatted(asdict(old)), "new": isoformatted(asdict(new))}
        for step, old, new in difference.fates
    ]
    times = isoformatted({"left_at": course.left_at, "ordered_at": course.ordered_at})
    return {"checkout": course.id, **times, "messages": messages}


def print_comparison(compared: Comparison, notes: Sequence[str]) -> None:
    """Print a comparison: tables, charts, checkouts that come out differently, and what is not known."""
    say(f"{compared.checkouts:,} checkouts, {compared.in_force.ordered:,} of them ordered.")
    for reason, count in compared.apart.items():
        say((f"left out: {count:,}, {reason}", "dim"))
    if compared.suppressed:
        say((f"{compared.suppressed:,} of them have an address that is suppressed by now", "dim"))
    if not compared.checkouts:
        say("There is nothing to compare: ask for a longer time with --since, or try --drawn 100000.")
        return
    _print_counts(compared)
    _print_weeks(compared)
    _print_different(compared)
    for note in notes:
        say((note, "dim"))


def _print_counts(compared: Comparison) -> None:
    sides = compared.in_force, compared.new
    most = max((count for sums in sides for count in sums.mails.values()), default=1)
    rows: list[Sequence[object]] = []
    for step in _steps(lambda sums: sums.mails, sides):
        old, new = (sums.mails[step] for sums in sides)
        rows.append((step, *_counts(old, new), f"{_bar(old, most)}\n{_bar(new, most)}"))
    reminders = [sums.reminders for sums in sides]
    rows.append(("all reminders", *_counts(*reminders), ""))
    _print_rows("mails", rows)
    rows = [
        (f"{step}: the order came first", *_counts(*(sums.saved[step] for sums in sides)), "")
        for step in _steps(lambda sums: sums.saved, sides)
    ]
    rows.append(("people who ordered before any reminder", *_counts(*(sums.ordered_unreminded for sums in sides)), ""))
    _print_rows("mails saved", rows)
    rows = []
    for cause in Cause:
        moved = [sum(count for (_, by), count in sums.moved.items() if by is cause) for sums in sides]
        if any(moved):
            means = [_mean(sums.moved_for[cause], count) for sums, count in zip(sides, moved, strict=True)]
            rows.append((f"reminders moved by {cause}", *_counts(*moved), f"on average {means[0]}, new {means[1]}"))
    for step, reason in sorted({key for sums in sides for key in sums.skipped}):
        rows.append((f"{step} not sent: {reason}", *_counts(*(sums.skipped[step, reason] for sums in sides)), ""))
    if rows:
        _print_rows("moved and not sent", rows)
    rows = []
    for experiment, arm in sorted({key for sums in sides for key in sums.arms}):
        for what, counts in (("checkouts", "arms"), ("reminders", "arm_reminders")):
            pair = (getattr(sums, counts)[experiment, arm] for sums in sides)
            rows.append((f"{experiment} {arm}: {what}", *_counts(*pair), ""))
    if rows:
        _print_rows("experiments", rows)


def _print_rows(title: str, rows: Sequence[Sequence[object]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column(title)
    for column in ("in force", "new", "change"):
        table.add_column(column, justify="right")
    width = 5 if any(row[4] for row in rows) else 4
    if width == 5:
        table.add_column("")
    for row in rows:
        table.add_row(*(Text(plain(cell, keep="\n")) for cell in row[:width]))
    out.print(table)


def _counts(old: int, new: int) -> tuple[str, str, str]:
    change = f"{new - old:+,}" if new != old else "="
    return f"{old:,}", f"{new:,}", change


def _bar(count: int, most: int) -> str:
    return "█" * max(round(count / max(most, 1) * _BAR), 1 if count else 0) or "·"


def _mean(whole: timedelta, count: int) -> str:
    return format_duration(timedelta(minutes=round(whole / max(count, 1) / timedelta(minutes=1)))) if count else "none"


def _steps(counts: Callable[[Sums], Mapping[str, int]], sides: Sequence[Sums]) -> list[str]:
    """Return the steps that any side counts, the confirmation last."""
    return sorted({step for sums in sides for step in counts(sums)}, key=lambda step: (step == CONFIRMATION, step))


def _print_weeks(compared: Comparison) -> None:
    """Print when in the week the mails go out: a row for each day, a sign for each hour."""
    sides = compared.in_force, compared.new
    most = max(max(sums.hours) for sums in sides)
    print_table(
        ("mails by hour", "in force, 0 to 23 h", "new, 0 to 23 h"),
        (
            (name, *("".join(_shade(count, most) for count in sums.hours[day * 24 : day * 24 + 24]) for sums in sides))
            for day, name in enumerate(WEEKDAYS)
        ),
    )


def _shade(count: int, most: int) -> str:
    return _SHADES[-(-count * (len(_SHADES) - 1) // most)] if count else _SHADES[0]


def _print_different(compared: Comparison) -> None:
    say(
        f"{compared.changed:,} checkouts get other mails, {compared.moved:,} the same mails at other times, "
        f"{compared.same:,} the same."
    )
    rows = [
        (each.course.id, format_time(each.course.left_at), step, _fate(old), _fate(new))
        for each in compared.different
        for step, old, new in each.fates
    ]
    if rows:
        print_table(("checkout", "left (UTC)", "message", "in force (UTC)", "new (UTC)"), rows)


def _fate(fate: Fate) -> str:
    if fate.at is None:
        return f"none: {fate.why}"
    return format_time(fate.at) + (f", {fate.why}" if fate.why else "")
