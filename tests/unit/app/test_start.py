"""What a start of the daemon waits for, and what it does not."""

import json
import subprocess
import sys

import pytest

SELDOM = ("fastapi", "recovery.console", "recovery.http.endpoints", "recovery.mail.providers", "recovery.shops")
"""What is loaded when it is first needed: by a request, or by a setting that names a platform."""

HTTP = ("recovery.http.app", "recovery.http.server", "starlette.applications", "uvicorn")

REQUEST = """
import asyncio
from tests.support.api import Api
api = Api(api_keys=())
asyncio.run(api.client.request({method!r}, {path!r}))
"""


def loaded_by(code, prefixes):
    """Return the packages, of these, that Python has loaded after it has run code."""
    shown = (
        f"import json, sys\nprint(json.dumps([p for p in {prefixes!r} if any(m.startswith(p) for m in sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}\n{shown}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def test_a_start_waits_for_nothing_that_is_seldom_needed():
    """The console, FastAPI, platforms and providers are loaded when somebody first needs them."""
    assert loaded_by("import recovery.cli.running, recovery.app.api, recovery.http.server", SELDOM) == ()


def test_a_daemon_without_http_does_not_load_it():
    """Of several daemons on a machine, one serves HTTP: the others start, and live, without its libraries."""
    assert loaded_by("import recovery.cli.running", (*SELDOM, *HTTP)) == ()


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/checkout"), ("POST", "/orders"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")],
)
def test_what_is_asked_for_all_the_time_does_not_load_the_rest(method, path):
    """Reports, batches and health checks are answered without FastAPI."""
    assert loaded_by(REQUEST.format(method=method, path=path), SELDOM) == ()


def test_another_request_loads_the_rest():
    """The others are answered by FastAPI; the console still waits for a visit."""
    seldom = [each for each in SELDOM if each != "recovery.console"]
    assert loaded_by(REQUEST.format(method="GET", path="/checkouts"), SELDOM) == tuple(seldom)
