"""The command line. Errors are printed as one sentence, on standard error.

Each command imports its dependencies when it is called: `recovery --help` loads neither the driver nor the templates.
"""

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from recovery.cli.checkouts import checkouts
from recovery.cli.dead import dead
from recovery.cli.deliverability import receivers
from recovery.cli.findings import print_findings, print_json
from recovery.cli.imports import imports
from recovery.cli.listing import listing
from recovery.cli.mails import mails
from recovery.cli.operations import operations
from recovery.cli.pauses import pauses
from recovery.cli.persons import persons
from recovery.cli.requests import requests
from recovery.cli.results import results
from recovery.cli.simulate import simulate
from recovery.cli.suppressions import suppress as suppressions
from recovery.cli.terminal import AsJson, CommandError, NotConfirmed, load, out, plain, say, sentence
from recovery.errors import RecoveryError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(checkouts)
cli.add_typer(imports)
cli.add_typer(listing)
cli.add_typer(mails)
cli.add_typer(operations)
cli.add_typer(pauses)
cli.add_typer(persons)
cli.add_typer(requests)
cli.add_typer(results)
cli.add_typer(receivers)
cli.add_typer(simulate)
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
        typer.Option(min=1, max=64, help="Number of daemons to run, one per core to use. The first serves HTTP."),
    ] = 1,
) -> None:
    """Run the daemon, with the HTTP API beside it, until SIGTERM or SIGINT."""
    gc.disable()  # nothing that is imported is garbage: looking for it takes a tenth of the start
    settings = load()
    from recovery.cli import running

    raise typer.Exit(running.run(settings, processes))


@cli.command(name="serve")
def run_serve(
    in_memory: Annotated[
        bool, typer.Option("--in-memory", help="Keep everything in memory, with a clock that the tests move.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 is any free one.")] = 8080,
) -> None:
    """Serve the HTTP API in memory, for tests of a shop in any language: no database, no relay, no waiting."""
    if not in_memory:
        raise CommandError("recovery serve needs --in-memory: it is for tests. recovery run starts the daemon.")
    from recovery.cli import serving

    raise typer.Exit(serving.run(port))


@cli.command(name="demo")
def run_demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep everything running afterwards, to look around.")] = False,
) -> None:
    """Watch a shop's afternoon: abandoned checkouts become mails, through a real MongoDB and real SMTP."""
    from recovery import demo

    raise typer.Exit(asyncio.run(demo.run(out, keep=keep)))


@cli.command(name="check")
def run_check(
    mail: Annotated[
        bool, typer.Option("--mail", help="Check the DNS records and settings that mails to real people need.")
    ] = False,
    shops: Annotated[
        bool, typer.Option("--shops", help="Show when each shop last reported, and what was refused, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check MongoDB, its indexes, the templates and the relay, and say how to fix each fault."""
    settings = load()
    if mail and shops:
        raise CommandError("Check --mail or --shops, one at a time.")
    if shops:
        from recovery.checks import shops as channels

        findings = channels.examine(settings)
    elif mail:
        from recovery.checks import deliverability  # loads libraries that nothing else needs

        findings = deliverability.examine(settings)
    else:
        from recovery.checks import installation

        findings = installation.examine(settings)
    raise typer.Exit(asyncio.run(print_json(findings) if as_json else print_findings(findings)))


@cli.command()
def init() -> None:
    """Prepare the database: make a fresh node a replica set, create collections, validators and indexes."""
    from recovery.app.initialise import initialise

    for done in asyncio.run(initialise(load())) or ["everything is there already"]:
        say(sentence(f"{done[0].upper()}{done[1:]}"))


@cli.command()
def health() -> None:
    """Check the daemon on this machine over HTTP; exit 1 if it does not answer."""
    from recovery.http.probe import probe

    settings = load()
    if not settings.http.enabled:
        raise CommandError("Cannot check health, since http.enabled is off: turn it on, or leave this check out.")
    if fault := probe(settings.http.host, settings.http.port):
        raise CommandError(fault)
    say("Recovery is alive.")


def main() -> None:
    """Run the command line."""
    import structlog

    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # no log before the settings are read
    exit_on_error(cli)


def exit_on_error(call: Callable[[], object]) -> None:
    """Call; print a `RecoveryError` as a sentence and any other error as a bug to report, and exit."""
    try:
        call()
    except Exception as exc:  # noqa: BLE001 - any error is printed
        if isinstance(exc, RecoveryError):
            message = plain(f"recovery: {exc}", keep="\n")
            if isinstance(exc, NotConfirmed):
                sys.stderr.write(f"{message}\n")
                sys.exit(exc.code)
            sys.exit(message)
        import structlog

        structlog.get_logger().debug("unexpected error", exc_info=True)
        sys.exit(
            plain(
                f"recovery: unexpected error ({type(exc).__name__}: {exc}). This is a bug: "
                "RECOVERY_LOG__LEVEL=debug logs the traceback; please report it."
            )
        )
