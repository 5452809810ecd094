"""A client of the HTTP API, as openapi-python-client generates it from docs/openapi.json."""

import fcntl
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

HOME = ROOT / ".bench" / "openapi-client"
_BYTES = "application/octet-stream"
CONFIGURATION = {"content_type_overrides": {"message/rfc822": _BYTES, "application/x-ndjson": _BYTES}}
"""It knows no media type of mails, which /bounces takes, and none of lines of JSON: they are bytes."""


def generate(folder: Path) -> str:
    """Generate the package `recovery_client` into a folder, and make it importable; return what was printed.

    Skips the test if the generator cannot be fetched, as without a network; with CI set, that is a failure.
    """
    HOME.parent.mkdir(exist_ok=True)
    with (HOME.parent / "openapi-client.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the same run may fetch it too
        command = [ROOT / "scripts/set-up-openapi-client", sys.executable]
        fetched = subprocess.run(command, capture_output=True, text=True, check=False)
    if fetched.returncode:
        why = f"openapi-python-client cannot be fetched: {fetched.stderr[-500:]}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    configuration = folder / "configuration.json"
    configuration.write_text(json.dumps(CONFIGURATION))
    command = [HOME / "bin/openapi-python-client", "generate", "--path", ROOT / "docs/openapi.json", "--meta", "none"]
    command += ["--config", configuration, "--output-path", folder / "recovery_client", "--fail-on-warning"]
    path = f"{HOME / 'bin'}{os.pathsep}{os.environ['PATH']}"  # it formats with its own ruff
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path})
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    return made.stdout


def operation(tag: str, name: str):
    """Return the module of one operation of the generated package."""
    return importlib.import_module(f"recovery_client.api.{tag}.{name}")
