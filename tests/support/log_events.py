"""The log events of Recovery, found in its code, and the page about them: docs/logs.md.

`python -m tests.support.log_events` prints the page. What an event means and what to do stands in docs/logs.toml; the
level, the fields and the file come from the code.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from tests.support.paths import ROOT

PACKAGE = ROOT / "recovery"
MEANINGS = ROOT / "docs" / "logs.toml"
PAGE = ROOT / "docs" / "logs.md"
LEVELS = ("error", "warning", "info", "debug")
OTHERS = "**"
"""Stands for fields that a call takes from elsewhere."""
UNBROKEN: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}

HEAD = """\
# Log events

The daemon logs to standard error, one event a line. `log.format` chooses between JSON for machines and text for people;
`log.level` is the lowest level that is logged, `info` by default.

In JSON each line has `event`, `level` and `timestamp` (UTC), and the fields of the event. The name of an event does not
vary: search and alert by it. What a library logs (a warning of the driver, say) comes as an event too, with the name of
its logger in the field `logger`.

No line names a person. At the level `debug`, and only there, whole replies of the relay are logged.

A service that reports with an outbox logs by Python's `logging` instead, under `recovery.outbox`:
[reporting.md](reporting.md#the-outbox).

This page is generated: `make logs` writes it from the code and from [logs.toml](logs.toml), which holds the meanings.
"""

INTRODUCTIONS = {
    "error": "Something needs a person. Alert on these.",
    "warning": "Something is wrong, and Recovery goes on. Look at these once a day, and when they become many.",
    "info": "What an operator likes to know afterwards.",
    "debug": "What happened to each checkout and message. For looking into one case.",
}


@dataclass(frozen=True)
class Event:
    """One call that logs: its event's name, its level, its fields, and the file it is in."""

    name: str
    level: str
    fields: tuple[str, ...]
    file: str


class Unnamed(Exception):
    """A call that logs has no constant name."""


def found() -> list[Event]:
    """Return every call in `recovery/` that logs by structlog."""
    return [event for file in sorted(PACKAGE.rglob("*.py")) for event in _in_file(file)]


def page() -> str:
    """Return docs/logs.md as it ought to be. Raises `KeyError` for an event without a meaning."""
    meanings = tomllib.loads(MEANINGS.read_text())
    by_name: dict[str, list[Event]] = {}
    for event in found():
        by_name.setdefault(event.name, []).append(event)
    without = {name: events[0].file for name, events in by_name.items() if name not in meanings}
    beyond = sorted(meanings.keys() - by_name.keys())
    if without or beyond:
        raise KeyError(f"docs/logs.toml lacks {without}, and has what nothing logs: {beyond}")
    parts = [HEAD]
    for level in LEVELS:
        names = sorted(name for name, events in by_name.items() if _highest(events) == level)
        parts.append(f"## {level.capitalize()}\n\n{INTRODUCTIONS[level]}\n")
        parts.extend(_entry(name, by_name[name], meanings[name]) for name in names)
    return "\n".join(parts)


def _entry(name: str, events: list[Event], meaning: dict[str, str]) -> str:
    fields = dict.fromkeys(field for event in events for field in event.fields)
    files = dict.fromkeys(event.file for event in events)
    also = [level for level in LEVELS if level != _highest(events) and any(event.level == level for event in events)]
    facts = (
        [f"fields: {', '.join('others' if field == OTHERS else f'`{field}`' for field in fields)}"] if fields else []
    )
    facts += [f"also at level {', '.join(also)}"] if also else []
    facts += [f"logged in {', '.join(f'`{file}`' for file in files)}"]
    paragraphs = (meaning["meaning"], f"*What to do*: {meaning['do']}", f"({'; '.join(facts)})")
    return "\n\n".join([f"### `{name}`", *(fill(text, 120, **UNBROKEN) for text in paragraphs)]) + "\n"


def _highest(events: list[Event]) -> str:
    return min((event.level for event in events), key=LEVELS.index)


def _in_file(file: Path) -> Iterator[Event]:
    tree = ast.parse(file.read_text())
    loggers = {
        target
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("structlog.get_logger(")
        for target in map(ast.unparse, node.targets)
    }

    def levels(node: ast.expr) -> list[str]:
        """Return the levels of a method of a logger, or of a choice between several; none for anything else."""
        if isinstance(node, ast.IfExp):
            return levels(node.body) + levels(node.orelse)
        if not isinstance(node, ast.Attribute):
            return []
        logger = ast.unparse(node.value)
        known = logger in loggers or logger.startswith("structlog.get_logger(")
        level = {"exception": "error", "critical": "error"}.get(node.attr, node.attr)
        return [level] if known and level in LEVELS else []

    chosen = {
        ast.unparse(target): levels(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        for level in levels(call.func) or chosen.get(ast.unparse(call.func), []):
            name = call.args[0] if call.args else None
            fields = tuple(keyword.arg or OTHERS for keyword in call.keywords if keyword.arg != "exc_info")
            yield Event(_name(name, f"{file}:{call.lineno}"), level, fields, file.relative_to(ROOT).as_posix())


def _name(node: ast.expr | None, place: str) -> str:
    """Return the name of an event; what varies in it is an ellipsis. Raises `Unnamed`."""
    match node:
        case ast.Constant(str(name)):
            return name
        case ast.JoinedStr(parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
    raise Unnamed(f"{place}: the name of a log event is a constant")


if __name__ == "__main__":
    sys.stdout.write(page())
