"""Report of the demo: who got which mail, how late, and every difference from the schedule. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from recovery.demo.mails import Mail
from recovery.demo.timetable import CLOCK_ERROR, Event, expected, wrongly_stored


@dataclass(frozen=True, slots=True)
class Case:
    """One checkout of the demo with its events. `message_ids` are those of all its possible mails, by step."""

    customer: str
    email: str
    summary: str
    events: Sequence[Event]
    message_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """Result of one checkout: the lateness of each expected message, or None for one that did not come."""

    customer: str
    summary: str
    lateness: Mapping[str, timedelta | None]


@dataclass(frozen=True, slots=True)
class Report:
    """Results of all checkouts. `faults` has a sentence for each difference from the schedule."""

    rows: Sequence[Row]
    faults: Sequence[str]

    @property
    def lateness(self) -> list[timedelta]:
        """The lateness of each expected message that came, the least first."""
        return sorted(late for row in self.rows for late in row.lateness.values() if late is not None)

    @property
    def in_time(self) -> str:
        """Number of messages and their lateness, on one line."""
        called_for = sum(len(row.lateness) for row in self.rows)
        late = self.lateness
        if not late:
            return f"0 of {called_for} mails"
        p50, p99 = _milliseconds(percentile(late, 50)), _milliseconds(percentile(late, 99))
        return f"{len(late)} of {called_for} mails; lateness p50 {p50}, p99 {p99}, max {_milliseconds(late[-1])}"


def missing(cases: Sequence[Case], mails: Sequence[Mail], delays: Mapping[str, timedelta]) -> int:
    """Return the number of expected messages that have not come."""
    come = {mail.message_id for mail in mails}
    return sum(case.message_ids[step] not in come for case in cases for step in expected(case.events, delays))


def judge(cases: Sequence[Case], mails: Sequence[Mail], delays: Mapping[str, timedelta]) -> Report:
    """Compare the received mails with the expected ones. `delays` are those of the reminders."""
    arrivals, faults = _sorted_out(cases, mails)
    rows = []
    for case in cases:
        if fault := wrongly_stored(case.events):
            faults.append(f"{case.customer} {fault}.")
        due = expected(case.events, delays)
        lateness: dict[str, timedelta | None] = {}
        for step, message_id in case.message_ids.items():
            times = arrivals.get(message_id, [])
            if step in due:
                lateness[step] = times[0] - due[step] if times else None
            if fault := _fault(step, due.get(step), times):
                faults.append(f"{case.customer} {case.summary}, and {fault}.")
        rows.append(Row(case.customer, case.summary, lateness))
    return Report(rows, faults)


def _sorted_out(cases: Sequence[Case], mails: Sequence[Mail]) -> tuple[dict[str, list[datetime]], list[str]]:
    """Return the arrival times of known messages, by Message-ID, and a sentence for each unknown mail."""
    emails = {message_id: case.email for case in cases for message_id in case.message_ids.values()}
    arrivals: dict[str, list[datetime]] = {}
    faults = []
    for mail in sorted(mails, key=lambda mail: mail.at):
        email = emails.get(mail.message_id)
        if email is None:
            faults.append(f"An unknown mail came for {mail.recipient}: {mail.subject}.")
        elif email != mail.recipient:
            faults.append(f"A mail meant for {email} went to {mail.recipient}: {mail.subject}.")
        else:
            arrivals.setdefault(mail.message_id, []).append(mail.at)
    return arrivals, faults


def _fault(step: str, due_at: datetime | None, times: Sequence[datetime]) -> str | None:
    if due_at is None:
        return f"yet {step} came" if times else None
    if not times:
        return f"{step} did not come"
    if len(times) > 1:
        return f"{step} came {len(times)} times"
    if due_at - times[0] > CLOCK_ERROR:
        return f"{step} came {_milliseconds(due_at - times[0])} before it was due"
    return None


def percentile(ordered: Sequence[timedelta], percent: int) -> timedelta:
    """Return a percentile by nearest rank: the smallest value that this many percent of all do not exceed."""
    return ordered[max(ceil(len(ordered) * percent / 100), 1) - 1]


def table(report: Report, steps: Sequence[str]) -> Table:
    """Return the table of who got which mail, how late, by step; a dash is a mail that was not expected."""
    title = "Who got what, and how late against the schedule"
    drawn = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    drawn.add_column("customer")
    for step in steps:
        drawn.add_column(step, justify="right", no_wrap=True)
    for row in report.rows:
        who = Text.assemble((row.customer, "bold"), "\n", (row.summary, "dim"))
        drawn.add_row(who, *(_cell(row, step) for step in steps))
    return drawn


def _cell(row: Row, step: str) -> Text:
    if step not in row.lateness:
        return Text("–", "dim")
    late = row.lateness[step]
    return Text("missing", "bold red") if late is None else Text(_milliseconds(late), "green")


def _milliseconds(value: timedelta) -> str:
    return f"{round(value / timedelta(milliseconds=1))} ms"
