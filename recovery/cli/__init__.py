"""The command line. What goes wrong is said in a sentence, on standard error."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing import parent_process
from typing import Annotated

import structlog
import typer
from rich.markup import escape
from rich.table import Table

from recovery import app, check, client, demo
from recovery.checkout import CheckoutState
from recovery.cli.dead import dead
from recovery.cli.mails import mails
from recovery.cli.persons import persons
from recovery.cli.processes import each_of, run_together
from recovery.cli.requests import requests
from recovery.cli.suppressions import suppress as suppressions
from recovery.cli.terminal import Wrong, get, load, out, written
from recovery.embedded import NoMongod
from recovery.findings import Finding
from recovery.http.probe import probe
from recovery.http.server import CannotListen
from recovery.mail.compose import RenderError
from recovery.mail.templates import TemplateError
from recovery.parts import CannotStart
from recovery.ports import StoreUnavailable
from recovery.settings import Settings, SettingsError

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
cli.add_typer(mails)
cli.add_typer(persons)
cli.add_typer(requests)
cli.add_typer(dead, name="dead")
cli.add_typer(suppressions, name="suppress")
log = structlog.get_logger()

TOLD = (
    Wrong,
    SettingsError,
    TemplateError,
    RenderError,
    CannotListen,
    NoMongod,
    CannotStart,
    client.RecoveryError,
    demo.DemoFailed,
    StoreUnavailable,
)


@cli.callback()
def recovery() -> None:
    """Reminds people of the checkouts they left, on time and only until they order."""


@cli.command()
def run(
    processes: Annotated[
        int,
        typer.Option(min=1, max=64, help="How many daemons to run, one for each core to use. The first serves HTTP."),
    ] = 1,
) -> None:
    """Run the daemon, with the HTTP API beside it, until it is told to stop."""
    settings = load()
    if processes > 1:
        raise typer.Exit(run_together(_one_of_several, each_of(settings, processes)))
    _run(settings)


@cli.command(name="demo")
def run_demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards, to look around.")] = False,
) -> None:
    """Watch a shop's afternoon: checkouts are left, and become mails, through a real MongoDB and real SMTP."""
    raise typer.Exit(asyncio.run(demo.run(out, keep=keep)))


@cli.command(name="check")
def run_check(
    mail: Annotated[
        bool, typer.Option("--mail", help="Work through what must be so before mails go to real people: DNS and all.")
    ] = False,
) -> None:
    """Check that MongoDB, its indexes, the templates and the relay are as they must be, and say how to mend them."""
    settings = load()
    if mail:
        from recovery import golive  # takes libraries that nothing else needs, and that a start would wait for

        findings = golive.examine(settings)
    else:
        findings = check.examine(settings)
    raise typer.Exit(asyncio.run(_tell(findings)))


@cli.command()
def init() -> None:
    """Make the database ready: a fresh single node becomes a replica set; collections, validators and indexes."""
    for done in asyncio.run(app.initialise(load())) or ["everything is there already"]:
        out.print(f"{done[0].upper()}{done[1:]}.")


@cli.command()
def show(checkout: Annotated[str, typer.Argument(metavar="SHOP/ORDER", help="As in shop.example/1042.")]) -> None:
    """Show a checkout: where it stands, its messages, and why everything happened."""
    _print_checkout(get(load(), checkout))


@cli.command()
def health() -> None:
    """Ask the Recovery that runs on this machine whether it lives; exit 1 if it does not answer."""
    settings = load()
    if not settings.http.enabled:
        raise Wrong("There is no telling: http.enabled is off, and Recovery answers over HTTP alone.")
    if fault := probe(settings.http.host, settings.http.port):
        raise Wrong(fault)
    out.print("Recovery is alive.")


def _run(settings: Settings) -> None:
    gc.freeze()  # what was imported stays: no collection need go through it again
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        runner.run(_until_signalled(settings))


def _one_of_several(settings: Settings) -> None:
    """Run one daemon in a process that was just made for it."""
    app.configure_logging(settings)
    _telling(lambda: _run(settings))


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where the extra is installed: nearly twice the messages a second."""
    with suppress(ModuleNotFoundError):
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
        return factory
    return None


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if (parent := parent_process()) is not None:
        loop.add_reader(parent.sentinel, stop.set)  # several daemons are stopped together, however the first went

    def ready(ready: app.Ready) -> None:
        _settle_down()
        address = f"{settings.http.host}:{ready.port}" if ready.port else "off"
        log.info("ready", http=address, loop=type(asyncio.get_running_loop()).__module__)

    await app.run(settings, stop=stop, on_ready=ready)
    log.info("stopped")


def _settle_down() -> None:
    """Make a process cheaper that is going to stay: a tenth more mails a second.

    What stands at the start is left out of garbage collection, which strikes less often: a message leaves few cycles
    behind, so that little more is held. Loggers are made once; else a line not logged costs as much as one that is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    structlog.configure(cache_logger_on_first_use=True)


async def _tell(findings: AsyncIterator[Finding]) -> int:
    """Print what is found as it comes; return the exit code."""
    faults = 0
    async for finding in findings:
        faults += finding.fault is not None
        mark = "[red]✗[/red]" if finding.fault else "[yellow]![/yellow]" if finding.doubt else "[green]✓[/green]"
        note = f"[dim]({escape(finding.note)})[/dim]" if finding.note else ""
        out.print(f"{mark} {finding.what}", note, soft_wrap=True)
        if advice := finding.fault or finding.doubt:
            out.print(f"  {advice}", markup=False, soft_wrap=True)
    return int(faults > 0)


def _consent(state: CheckoutState) -> str:
    consent = state.consent
    if consent is None:
        return "consent: nothing is known"
    said = {True: "given", False: "refused", None: "taken back"}[consent.given]
    return f"consent: {said} {written(consent.at)}, {consent.basis} ({consent.source})"


def _print_checkout(state: CheckoutState) -> None:
    facts = state.facts
    out.print(f"[bold]{state.id}[/bold]  {state.status}", soft_wrap=True)
    if facts.customer is not None:
        out.print(f"{facts.customer.name or ''} <{facts.customer.email}>".strip(), markup=False)
    out.print(_consent(state), markup=False)
    out.print(f"{len(facts.items)} items, {facts.total or '?'} {facts.currency or ''}")
    times = {"opened": state.opened_at, "touched": state.touched_at, "ordered": state.ordered_at}
    out.print("  ".join(f"{what} {written(at)}" for what, at in times.items() if at is not None))
    out.print(f"next look at {written(state.next_at)}" if state.next_at else "at rest")
    messages = Table("message", "state", "attempts", "due", "sent", "reason or reply", title_justify="left")
    for name, message in state.messages.items():
        why = message.reason or message.reply or ""
        messages.add_row(
            name, message.state, str(message.attempts), written(message.due_at), written(message.sent_at), why
        )
    if state.messages:
        out.print(messages)
    history = Table("when (UTC)", "decision", "reason")
    for past in state.history:
        history.add_row(written(past.at), past.decision, past.reason)
    out.print(history)


def main() -> None:
    """Run the command line."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # nothing is logged before the settings say how
    _telling(cli)


def _telling(call: Callable[[], object]) -> None:
    """Turn what is foreseen to go wrong into a sentence, and anything else into an apology."""
    try:
        call()
    except TOLD as exc:
        sys.exit(f"recovery: {exc}")
    except Exception as exc:
        log.debug("unforeseen", exc_info=True)
        sys.exit(
            f"recovery: this should not have happened ({type(exc).__name__}: {exc}). "
            "With RECOVERY_LOG__LEVEL=debug, the log tells where; please report it."
        )
