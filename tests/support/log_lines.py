"""Log lines of a test, and the check that none contains a customer's address."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from structlog import BoundLoggerBase

_ADDRESS = re.compile(r"[^\s<>\"'=:]+@[^\s<>\"']+")
_MESSAGE_ID = re.compile(r"[0-9a-f]{40}@")
"""The beginning of a Message-ID, which looks like an address."""

OPERATORS = (
    "shop@lampshop.example",  # the sender of the samples
)
"""Addresses of settings, which are the operator's own: these may be logged."""


def addresses(lines: Iterable[str]) -> list[str]:
    """Return the lines that have an address in them other than the operator's own."""
    return [
        line
        for line in lines
        if any(found not in OPERATORS and not _MESSAGE_ID.match(found) for found in _ADDRESS.findall(line))
    ]


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Yield a list to which every line that is logged is added, by structlog at whatever level, or by a library."""
    lines: list[str] = []
    process = BoundLoggerBase._process_event

    def hear(self, method_name, event, event_kw):
        lines.append(f"{method_name}: {event} {self._context | event_kw}")
        return process(self, method_name, event, event_kw)

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name}: {record.getMessage()} {record.exc_text or ''}")

    listening = Listening()
    logging.getLogger().addHandler(listening)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BoundLoggerBase, "_process_event", hear)
        try:
            yield lines
        finally:
            logging.getLogger().removeHandler(listening)
