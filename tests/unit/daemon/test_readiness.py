"""Readiness: the faults that an operator must fix, each logged once."""

import structlog
from structlog.testing import capture_logs

from recovery.daemon.readiness import Readiness


def test_a_fault_is_logged_when_it_comes_and_when_it_goes():
    """Each error is logged once, with its first figure, however often it is checked; and so is its end."""
    faults = iter((None, "down for 1 s", "down for 2 s", None, None, "down for 1 s", "down for 1 s"))
    readiness = Readiness({"relay": lambda: next(faults), "mongodb": lambda: None})
    with capture_logs() as lines:
        for _ in range(6):
            readiness.log_changes()
    assert [(line["log_level"], line["event"], line.get("why")) for line in lines] == [
        ("error", "not ready", "down for 1 s"),
        ("info", "ready again", None),
        ("error", "not ready", "down for 1 s"),
    ]
    assert readiness.faults() == {"relay": "down for 1 s", "mongodb": None}
    structlog.reset_defaults()
