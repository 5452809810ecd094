"""What a service installs that only reports: the wheel as it is built, with its plain dependencies and no extra."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.paths import ROOT

OF_THE_DAEMON = (
    *("aiosmtplib", "babel", "cryptography", "css_inline", "fastapi", "jinja2", "prometheus_client"),
    *("pydantic_settings", "rich", "structlog", "typer", "uvicorn"),
)
IMPORTS = """
from recovery import Checkout, Customer, Item, Order, Recovery, SyncRecovery
from importlib.util import find_spec
print([name for name in {names!r} if find_spec(name)])
"""


def ran(*command: object) -> "subprocess.CompletedProcess[str]":
    """Run a command away from the source, so that what is installed is imported."""
    return subprocess.run(
        [str(each) for each in command], cwd="/", capture_output=True, text=True, check=False, timeout=240
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of the commands of a new virtual environment that has the wheel and what it demands."""
    folder = tmp_path_factory.mktemp("light")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = (folder / "dist").glob("recovery-*.whl")
    venv.create(folder / "venv", with_pip=True)
    commands = folder / "venv" / "bin"
    done = ran(commands / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    assert done.returncode == 0, done.stderr
    return commands


@pytest.mark.timeout(300)  # installing downloads
def test_a_service_that_reports_installs_no_daemon(installed):
    """`from recovery import Recovery` works where nothing of the daemon can be imported."""
    done = ran(installed / "python", "-c", IMPORTS.format(names=OF_THE_DAEMON))
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.timeout(300)
def test_the_command_without_the_daemon_says_what_to_install(installed):
    """`recovery`, and `python -m recovery`, end with 1 and a sentence, never with a traceback."""
    for command in ([installed / "recovery", "run"], [installed / "python", "-m", "recovery", "run"]):
        done = ran(*command)
        assert done.returncode == 1
        assert done.stderr.startswith("recovery: the daemon and its commands need ")
        assert done.stderr.endswith(": run pip install 'recovery[daemon]'.\n")
        assert len(done.stderr.splitlines()) == 1
