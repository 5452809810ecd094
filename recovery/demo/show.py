"""The demo's output on the terminal."""

import asyncio
import signal
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from recovery.demo import DemoFailed
from recovery.demo.mails import Mail
from recovery.demo.play import Play
from recovery.demo.report import Report, table
from recovery.demo.stage import Stage, running_stage
from recovery.demo.story import Scene, Visit, afternoon
from recovery.demo.timetable import Kind

T = TypeVar("T")

INTERRUPTED = 130
"""Exit code after an interrupt, as of shells: 128 + SIGINT."""

_MARKS = {Kind.LEFT: ("○", "yellow"), Kind.ORDERED: ("✓", "green"), Kind.CANCELLED: ("✗", "red")}


async def show(out: Console, *, keep: bool) -> int:
    """Run the demo and print it; see `recovery.demo.run`."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    view = _View(out)
    async with running_stage(view.say) as stage:
        play = Play(afternoon(), stage, view.scene)
        stage.inbox.on_mail = lambda mail: view.mail(mail, play)
        with view.clock():
            report = await _unless(stopped, stage.daemon, play.perform())
        if report is None:
            view.say("Stopped before the end.")
            return INTERRUPTED
        _print_report(out, report, play.steps)
        if keep:
            _print_addresses(out, stage)
            await _unless(stopped, stage.daemon, asyncio.Event().wait())
        return 1 if report.faults else 0


class _View:
    """Printer of events, each with its time since the start."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._begun: float | None = None
        self._mails = 0

    def say(self, what: str) -> None:
        """Print a line about the components, such as their start."""
        self._out.print(Text(what, "dim"), soft_wrap=True)

    def scene(self, visit: Visit, scene: Scene) -> None:
        """Print a customer's action."""
        mark, style = _MARKS[scene.kind]
        self._line(mark, style, Text.assemble((visit.customer, "bold"), f" {scene.does}"))

    def mail(self, mail: Mail, play: Play) -> None:
        """Print a received mail."""
        self._mails += 1
        visit, step = play.message(mail.message_id) or (None, "unknown")
        to = visit.customer if visit else mail.recipient
        self._line("✉", "cyan", Text.assemble((step, "cyan"), " → ", (to, "bold"), f": {mail.subject}"))

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Start the clock; on a terminal, it is shown below the events."""
        self._begun = time.monotonic()
        spinner = Spinner("dots", style="dim")

        def running() -> Spinner:
            mails = f"{self._mails} mail{'' if self._mails == 1 else 's'} in the inbox"
            spinner.update(text=Text(f"{self._time()}  {mails}", "dim"))
            return spinner

        with Live(console=self._out, get_renderable=running, transient=True, refresh_per_second=8):
            yield

    def _line(self, mark: str, style: str, text: Text) -> None:
        line = Text.assemble((self._time(), "dim"), "  ", (mark, style), "  ", text)
        self._out.print(line, soft_wrap=True)

    def _time(self) -> str:
        seconds = int(time.monotonic() - self._begun) if self._begun is not None else 0
        return f"{seconds // 60:02}:{seconds % 60:02}"


def _print_report(out: Console, report: Report, steps: Sequence[str]) -> None:
    out.print()
    out.print(table(report, steps))
    out.print(f"[bold]{report.in_time}[/bold]", soft_wrap=True)
    for fault in report.faults:
        out.print(Text.assemble(("✗ ", "red"), fault), soft_wrap=True)
    if not report.faults:
        out.print("[green]✓[/green] All is as the schedule says.")


def _print_addresses(out: Console, stage: Stage) -> None:
    api = stage.api.base_url
    out.print()
    for what, address in {
        "The inbox": stage.page,
        "The console": api.join("/console"),
        "The API": api.join("/docs"),
        "Is it well?": api.join("/readyz"),
    }.items():
        out.print(f"{what:12} {address}", soft_wrap=True)
    out.print("All of it runs until you press Ctrl-C; then it is gone without a trace.", soft_wrap=True)


async def _unless(stopped: asyncio.Event, daemon: asyncio.Task[None], work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of the work, or None if it is stopped before. Raises the daemon's error if it ends."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({working, stopping, daemon}, return_when=asyncio.FIRST_COMPLETED)
        if daemon.done():
            daemon.result()
            raise DemoFailed("The daemon ended unexpectedly.")
        return working.result() if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
