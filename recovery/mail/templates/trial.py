"""Trial of changed templates in a process of its own, with limited memory and time: a mistake stops nobody's mails.

It costs half a second of CPU time, most of it to start Python, and runs only when a file has changed.
"""

import asyncio
import json
import pickle
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recovery.domain.schedule import Step
from recovery.mail.templates.files import Files, TemplateError

if TYPE_CHECKING:
    from recovery.mail.templates.templates import Edition


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a trial: bytes of address space, and seconds of CPU time for all mails in all languages.

    `one_mail` is in seconds of CPU time, too; the package's mails take less than a thousandth of one. `wall_time` is in
    seconds of real time, on a machine that may be busy.
    """

    memory: int = 1 << 30
    processor_time: int = 5
    wall_time: float = 30.0
    one_mail: float = 0.5


LIMITS = Limits()

_CHILD = "import sys; sys.path[:] = {path!r}; from recovery.mail.templates.trial import main; main()"


async def tried(files: Files, time_zone: str, steps: Sequence[Step], limits: Limits = LIMITS) -> TemplateError | None:
    """Render these steps' mails with a sample in a process with limits; return the first fault, or None."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CHILD.format(path=sys.path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as exc:
        return TemplateError(f"cannot try the templates: no process could be started: {exc}")
    try:
        async with asyncio.timeout(limits.wall_time):
            written, _ = await process.communicate(pickle.dumps((files, time_zone, tuple(steps), limits)))
    except TimeoutError:
        return TemplateError(f"the templates were not rendered within {limits.wall_time:g} s: look for an endless loop")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _judged(written, process.returncode or 0, limits)


def _judged(written: bytes, returncode: int, limits: Limits) -> TemplateError | None:
    """Return the fault found by a trial, from its output (a line per mail, and one at the end) and its exit code."""
    lines = [json.loads(line) for line in written.splitlines()]
    last = lines[-1] if lines else {"mail": "the first mail"}
    if "fault" in last:
        return None if last["fault"] is None else TemplateError(last["fault"])
    if returncode == -signal.SIGXCPU:
        return TemplateError(
            f"{last['mail']}: rendering the templates takes more than {limits.processor_time} s of CPU time:"
            " look for a loop within a loop"
        )
    return TemplateError(f"{last['mail']}: the process that tried the templates ended with code {returncode}")


def main() -> None:
    """Entry point of the trial's process: read the job from standard input, write progress and the fault to output."""
    files, time_zone, steps, limits = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the daemon, by a pipe of its own
    from recovery.mail.templates.templates import Edition

    _limit(limits)
    fault: str | None = None
    try:
        edition = Edition(files, time_zone)
        for step in steps:
            for locale in edition.locales:
                _write(mail=f"{step.name} in {locale}")
                edition.check(step, locale)
                fault = fault or _slow(edition, step, locale, limits.one_mail)
        _write(mail="the pages")
        edition.pages.check()
    except TemplateError as exc:
        fault = str(exc)
    except MemoryError:
        fault = f"the templates need more than {limits.memory >> 20} MiB of memory"
    _write(fault=fault)


def _slow(edition: "Edition", step: Step, locale: str, most: float) -> str | None:
    before = time.process_time()
    edition.check(step, locale)
    if (taken := time.process_time() - before) <= most:
        return None
    return f"{step.name} in {locale}: rendering takes {taken:.1f} s, and at most {most:g} s are allowed"


def _write(**what: str | None) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _limit(limits: Limits) -> None:
    with suppress(ImportError):  # without this module, only the wall clock limits the trial
        import resource

        taken = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
        until = taken + limits.processor_time
        resource.setrlimit(resource.RLIMIT_CPU, (until, until + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
