"""Compiles Medusa's subscriber with a pinned TypeScript, and runs it with Node against an API that records."""

import json
import os
import shutil
import subprocess
import threading
from fcntl import LOCK_EX, flock
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

HERE = ROOT / "tests" / "support" / "medusa"
_INSTALLED = ROOT / ".bench" / "medusa"
_LOCK = "package-lock.json"


def _program(name: str) -> str:
    """Return a program; skip the test without it, and fail it where `CI` is set."""
    found = shutil.which(name)
    if found is None:
        _missing(f"{name} is missing: install Debian's nodejs and npm")
    return found or ""


def _missing(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def typescript() -> Path:
    """Return TypeScript's compiler, fetched by npm at the version that the lock pins."""
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    with (_INSTALLED / "busy").open("w") as busy:
        flock(busy, LOCK_EX)  # tests run in several processes
        installed = _INSTALLED / "node_modules" / "installed.json"
        if not installed.exists() or installed.read_bytes() != (HERE / _LOCK).read_bytes():
            _fetch()
            shutil.copy(HERE / _LOCK, installed)
    return _INSTALLED / "node_modules" / "typescript" / "bin" / "tsc"


def _fetch() -> None:
    for name in ("package.json", _LOCK):
        shutil.copy(HERE / name, _INSTALLED)
    command = [_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    done = subprocess.run(command, cwd=_INSTALLED, capture_output=True, text=True, timeout=140, check=False)
    if done.returncode:
        _missing(f"TypeScript cannot be fetched: {done.stderr.strip()[-300:]}")


def compiled(folder: Path) -> Path:
    """Return the subscriber as JavaScript. Fails if a type is wrong."""
    command = [_program("node"), str(typescript()), "-p", str(HERE), "--outDir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=140, check=False)
    assert done.returncode == 0, done.stdout
    module = folder / "recovery.mjs"
    (folder / "recovery.js").rename(module)
    return module


class RecordingApi:
    """An API in a thread that records what it is sent, and answers with `status`, after 503 for some `failures`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.status = 202
        self.failures = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                api.requests.append((self.command, self.path, dict(self.headers), body))
                api.failures -= 1
                self.send_response(503 if api.failures >= 0 else api.status)
                self.send_header("content-length", "0")
                self.end_headers()

            do_POST = _take  # noqa: N815 - http.server calls it so
            do_DELETE = _take  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Be silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop, and wait for the end."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def run(module: Path, events: list[dict[str, Any]], environment: dict[str, str], **rows: Any) -> dict[str, Any]:
    """Return the result of each event, what was asked of the database, and what was written to standard error.

    `rows` are the `cart` and the `order` that the database has. The subscriber's waits are recorded, and skipped.
    """
    done = subprocess.run(
        [_program("node"), str(HERE / "run.mjs"), str(module)],
        input=json.dumps({"events": events, **rows}),
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}
