"""`recovery import`: report the checkouts and orders in a file, such as all that a shop already has."""

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.terminal import CommandError

imports = typer.Typer()


@imports.command(name="import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="Lines of JSON, a JSON array, or CSV with a header; - for standard input. A record with ordered_at is"
            " an order, any other a checkout."
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read all, print what would be done, and store nothing.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the last import of this file ended.")] = False,
    refused: Annotated[
        Path | None,
        typer.Option("--refused", metavar="PATH", help="The refused records; otherwise FILE.refused.ndjson."),
    ] = None,
) -> None:
    """Report the checkouts and orders in a file. Importing it again changes nothing.

    Nobody gets a mail whose time is long over; how many get one is printed. Refused records are written to a file, each
    with its line and the reason. Ctrl-C ends the import, and --resume goes on from there.
    """
    from recovery.cli.import_run import Import

    standard_input = str(file) == "-"
    if resume and standard_input:
        raise CommandError("An import of standard input cannot be resumed: import it again, which changes nothing.")
    if resume and dry_run:
        raise CommandError("A dry run is of the whole file: leave out --resume or --dry-run.")
    if refused is None:
        refused = Path("import.refused.ndjson") if standard_input else file.with_name(f"{file.name}.refused.ndjson")
    raise typer.Exit(Import(None if standard_input else file, refused, dry_run=dry_run, resume=resume).run())
