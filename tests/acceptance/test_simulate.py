"""`recovery simulate` as a process of its own: over many drawn checkouts, and interrupted."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import BINARY


def _heeding_interrupts():
    """Heed Ctrl-C, as in a terminal: what a shell runs in the background ignores it, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def started(tmp_path):
    """Start `recovery simulate` over drawn checkouts as the terminal does it, in a process group of its own."""
    (tmp_path / "new.toml").write_text('[schedule]\nsteps = [{ name = "reminder-1", delay = "2h" }]\n')
    running = []

    def start(count):
        command = [BINARY, "simulate", "--schedule", "new.toml", "--drawn", str(count), "--json"]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_heeding_interrupts,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def children(process):
    """Return the processes of a group that run the shards."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and int(each.name) != process.pid:
            try:
                group = int((each / "stat").read_text().rpartition(")")[2].split()[2])
                line = (each / "cmdline").read_text()
            except OSError:
                continue  # it has ended meanwhile
            if group == process.pid and "spawn_main" in line:
                found.append(int(each.name))
    return found


def wait_for(condition, seconds=60):
    """Wait until a condition holds; return its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it finds the processes in /proc")


def test_all_that_were_asked_for_are_replayed(started):
    """Also where the last shard is smaller."""
    out, err = started(40_001).communicate(timeout=300)
    assert (json.loads(out)["checkouts"], err) == (40_001, "")


@needs_proc
@pytest.mark.parametrize("whole_group", [True, False])
def test_an_interrupt_ends_it_in_a_sentence(started, whole_group):
    """Ctrl-C, which every process of the terminal gets, or SIGINT to the command alone; nothing runs on."""
    process = started(10_000_000)
    wait_for(lambda: children(process))
    if whole_group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "Stopped. Nothing was written.\n")
    assert not children(process)


@needs_proc
def test_its_processes_end_with_it(started):
    """Even if it is killed: none of them waits for more work for ever."""
    process = started(10_000_000)
    wait_for(lambda: children(process))
    process.kill()
    wait_for(lambda: not children(process))
