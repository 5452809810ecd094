"""Log lines of a kit: a developer's tests get them by the standard library's logging, and not on standard output."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

REFUSED = """
import asyncio
from recovery.testing import RecoveryKit

async def refuse():
    kit = RecoveryKit()
    headers = {"Content-Type": "application/json"}
    assert (await kit.request("POST", "/checkout", b"{}", headers)).status == 422

asyncio.run(refuse())
"""

LISTENED = """
import logging
logging.basicConfig(format="%(name)s: %(levelname)s: %(message)s", level="INFO")
"""

OF_ITS_OWN = """
import structlog
structlog.configure(processors=[lambda _logger, level, event: f"ours: {level}: {event['event']}"])
"""


@pytest.fixture
def ran(tmp_path):
    """Run a script as a developer does, outside of this process; return its standard output and error."""

    def run(script):
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run


def test_standard_output_is_the_developers(ran):
    """A warning goes where warnings of libraries go by default, and it is one line."""
    out, error = ran(REFUSED)
    assert out == ""
    assert error.startswith("report refused kind='checkout'")
    assert error.count("\n") == 1


def test_lines_have_the_name_of_their_module_and_their_level(ran):
    """So a developer turns them on, and off, as those of any library."""
    out, error = ran(LISTENED + REFUSED)
    assert out == ""
    assert "recovery.http." in error
    assert ": WARNING: report refused kind='checkout'" in error


def test_a_service_that_has_configured_structlog_keeps_its_configuration(ran):
    """Then Recovery's lines look like the service's own, as in production."""
    out, _ = ran(OF_ITS_OWN + REFUSED)
    assert "ours: warning: report refused\n" in out
