"""The command line. What goes wrong is said in a sentence, on standard error.

A command imports what it needs when it is called: `recovery --help` waits for neither the database nor the templates.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli.checkouts import checkouts
from recovery.cli.dead import dead
from recovery.cli.mails import mails
from recovery.cli.persons import persons
from recovery.cli.requests import requests
from recovery.cli.suppressions import suppress as suppressions
from recovery.cli.terminal import AsJson, CommandError, Unasked, load, out, plain, say, say_json, sentence
from recovery.errors import RecoveryError

if TYPE_CHECKING:
    from recovery.checks.finding import Finding

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(checkouts)
cli.add_typer(mails)
cli.add_typer(persons)
cli.add_typer(requests)
cli.add_typer(dead, name="dead")
cli.add_typer(suppressions, name="suppress")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"recovery {version('recovery')}")
        raise typer.Exit


@cli.callback()
def recovery(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
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
    from recovery.cli import running

    raise typer.Exit(running.run(settings, processes))


@cli.command(name="demo")
def run_demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards, to look around.")] = False,
) -> None:
    """Watch a shop's afternoon: checkouts are left, and become mails, through a real MongoDB and real SMTP."""
    from recovery import demo

    raise typer.Exit(asyncio.run(demo.run(out, keep=keep)))


@cli.command(name="check")
def run_check(
    mail: Annotated[
        bool, typer.Option("--mail", help="Work through what must be so before mails go to real people: DNS and all.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that MongoDB, its indexes, the templates and the relay are as they must be, and say how to mend them."""
    settings = load()
    if mail:
        from recovery.checks import deliverability  # takes libraries that nothing else needs

        findings = deliverability.examine(settings)
    else:
        from recovery.checks import installation

        findings = installation.examine(settings)
    raise typer.Exit(asyncio.run(_tell_json(findings) if as_json else _tell(findings)))


@cli.command()
def init() -> None:
    """Make the database ready: a fresh single node becomes a replica set; collections, validators and indexes."""
    from recovery.app.initialise import initialise

    for done in asyncio.run(initialise(load())) or ["everything is there already"]:
        say(sentence(f"{done[0].upper()}{done[1:]}"))


@cli.command()
def health() -> None:
    """Ask the Recovery that runs on this machine whether it lives; exit 1 if it does not answer."""
    from recovery.http.probe import probe

    settings = load()
    if not settings.http.enabled:
        raise CommandError("There is no telling: http.enabled is off, and Recovery answers over HTTP alone.")
    if fault := probe(settings.http.host, settings.http.port):
        raise CommandError(fault)
    say("Recovery is alive.")


async def _tell(findings: "AsyncIterator[Finding]") -> int:
    """Print what is found as it comes; return the exit code."""
    faults = 0
    async for finding in findings:
        faults += finding.fault is not None
        mark = ("✗", "red") if finding.fault else ("!", "yellow") if finding.doubt else ("✓", "green")
        say(mark, f" {finding.what}", (f" ({finding.note})" if finding.note else "", "dim"))
        if advice := finding.fault or finding.doubt:
            say(f"  {advice}", keep="\n")
    return int(faults > 0)


async def _tell_json(findings: "AsyncIterator[Finding]") -> int:
    found = [finding async for finding in findings]
    well = not any(finding.fault for finding in found)
    listed = [{"what": each.what, "fault": each.fault, "doubt": each.doubt, "note": each.note} for each in found]
    say_json({"well": well, "findings": listed})
    return int(not well)


def main() -> None:
    """Run the command line."""
    import structlog

    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # nothing is logged before the settings say how
    telling(cli)


def telling(call: Callable[[], object]) -> None:
    """Turn what is foreseen to go wrong into a sentence, and anything else into an apology."""
    try:
        call()
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is told
        if isinstance(exc, RecoveryError):
            told = plain(f"recovery: {exc}", keep="\n")
            if isinstance(exc, Unasked):
                sys.stderr.write(f"{told}\n")
                sys.exit(exc.code)
            sys.exit(told)
        import structlog

        structlog.get_logger().debug("unforeseen", exc_info=True)
        sys.exit(
            plain(
                f"recovery: this should not have happened ({type(exc).__name__}: {exc}). "
                "With RECOVERY_LOG__LEVEL=debug, the log tells where; please report it."
            )
        )
