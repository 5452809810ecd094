"""New templates are tried in a process of their own, whose memory and time are bounded: a slip in them stops nobody.

It costs half a second of processor time, most of it to start Python, and is done only when a file has changed.
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
    """What a trial may take: bytes of address space, and seconds of processor time for all mails in all languages.

    `one_mail` is in seconds of processor time, too; the package's mails take less than a thousandth of one. `wall_time`
    is in seconds by the clock, on a machine that may be busy with something else.
    """

    memory: int = 1 << 30
    processor_time: int = 5
    wall_time: float = 30.0
    one_mail: float = 0.5


LIMITS = Limits()

_CHILD = "import sys; sys.path[:] = {path!r}; from recovery.mail.templates.trial import main; main()"


async def tried(files: Files, time_zone: str, steps: Sequence[Step], limits: Limits = LIMITS) -> TemplateError | None:
    """Fill these steps' mails with a sample in a process that ends if it takes too much; return what is wrong."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CHILD.format(path=sys.path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as exc:
        return TemplateError(f"the templates cannot be tried, for no process can be started: {exc}")
    try:
        async with asyncio.timeout(limits.wall_time):
            written, _ = await process.communicate(pickle.dumps((files, time_zone, tuple(steps), limits)))
    except TimeoutError:
        return TemplateError(
            f"the templates are not filled within {limits.wall_time:g} s: look for a loop without an end"
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _judged(written, process.returncode or 0, limits)


def _judged(written: bytes, returncode: int, limits: Limits) -> TemplateError | None:
    """Return what is wrong by what a trial wrote, a line for each mail and one for its end, and by how it ended."""
    lines = [json.loads(line) for line in written.splitlines()]
    last = lines[-1] if lines else {"mail": "the first mail"}
    if "fault" in last:
        return None if last["fault"] is None else TemplateError(last["fault"])
    if returncode == -signal.SIGXCPU:
        return TemplateError(
            f"{last['mail']}: filling the templates takes more than {limits.processor_time} s of processor time:"
            " look for a loop within a loop"
        )
    return TemplateError(f"{last['mail']}: the process that tried the templates ended with code {returncode}")


def main() -> None:
    """Be the process: read what to try from standard input, and tell at which mail it is, and what is wrong."""
    files, time_zone, steps, limits = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the daemon, by a pipe of its own
    from recovery.mail.templates.templates import Edition

    _limit(limits)
    fault: str | None = None
    try:
        edition = Edition(files, time_zone)
        for step in steps:
            for locale in edition.locales:
                _tell(mail=f"{step.name} in {locale}")
                edition.check(step, locale)
                fault = fault or _slow(edition, step, locale, limits.one_mail)
    except TemplateError as exc:
        fault = str(exc)
    except MemoryError:
        fault = f"the templates need more than {limits.memory >> 20} MiB of memory"
    _tell(fault=fault)


def _slow(edition: "Edition", step: Step, locale: str, most: float) -> str | None:
    before = time.process_time()
    edition.check(step, locale)
    if (taken := time.process_time() - before) <= most:
        return None
    return f"{step.name} in {locale}: it takes {taken:.1f} s to fill, and no more than {most:g} s are allowed"


def _tell(**what: str | None) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _limit(limits: Limits) -> None:
    with suppress(ImportError):  # where there is no such module, the wall clock alone bounds it
        import resource

        taken = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
        until = taken + limits.processor_time
        resource.setrlimit(resource.RLIMIT_CPU, (until, until + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
