"""`recovery preview`, `recovery send-test` and `recovery templates`: mails, before any customer gets one."""

import asyncio
import webbrowser
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli.terminal import CommandError, house, kept, load, parted, say, say_lines

if TYPE_CHECKING:
    from recovery.domain.state import CheckoutState

mails = typer.Typer()
templates = typer.Typer(no_args_is_help=True, help="Check the templates of the mails.")
mails.add_typer(templates, name="templates")

Step = Annotated[str, typer.Argument(help="The name of a step, or 'confirmation'.")]
ForShop = Annotated[str, typer.Option("--shop", help="As this shop has it; otherwise as all shops that have no own.")]
Locale = Annotated[str, typer.Option(help="The customer's locale, as in de or de-CH.")]


@mails.command()
def preview(
    step: Step,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file: .html, .txt, or .eml for the whole message.")
    ] = None,
    locale: Locale = "en",
    shop: ForShop = "",
    checkout: Annotated[
        str | None, typer.Option(metavar="SHOP/ORDER", help="Fill it with this checkout instead of a sample.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Look at it in the browser.")] = False,
) -> None:
    """Render a step's mail with sample data or a real checkout, to the terminal, a file or the browser."""
    from recovery.app import preview

    settings = load().of(shop or (checkout or "").partition("/")[0])
    rendered, message = preview.preview(settings, step, _checkout(step, checkout, locale))
    contents = {".html": rendered.html.encode(), ".txt": rendered.text.encode(), ".eml": message}
    if open_:
        output = output or Path(mkdtemp(prefix="recovery-")) / f"{step}.html"
    if output is None:
        say(("Subject:", "bold"), f" {rendered.subject}")
        say_lines(f"\n{rendered.text}")
        say((f"To see it as customers do: recovery preview {step} --open", "dim"))
        return
    if output.suffix not in contents:
        raise CommandError(f"{output}: a file name must end in .html, .txt or .eml.")
    try:
        output.write_bytes(contents[output.suffix])
    except OSError as exc:
        raise CommandError(f"{output} cannot be written: {exc.strerror}.") from exc
    say(f"Wrote {output}.")
    if open_ and not webbrowser.open(output.resolve().as_uri()):
        raise CommandError(f"There is no browser here that could be opened: open {output} in one.")


@mails.command()
def send_test(
    step: Step,
    to: Annotated[str, typer.Option(metavar="ADDRESS", help="One of mail.test_recipients.")],
    locale: Locale = "en",
    shop: ForShop = "",
) -> None:
    """Send one mail with sample data through the real relay, to an address of your own. Nothing is recorded."""
    from recovery.app import preview
    from recovery.domain.outcome import OutcomeKind

    outcome = asyncio.run(preview.send_test(load().of(shop), step, to, locale))
    if outcome.kind is not OutcomeKind.SENT:
        raise CommandError(f"The mail was not taken ({outcome.kind}): {outcome.reply}")
    say(f"Sent to {to}. The relay says: {outcome.reply}")


@templates.command(name="lint")
def run_lint() -> None:
    """Find what is wrong with the mails, in every language and with awkward checkouts; exit 1 if anything is."""
    from recovery.mail.templates.lint import lint

    settings = load()
    mails = {(own.mail.templates, own.to_schedule().messages): None for own in settings.each()}
    found = [finding for folder, steps in mails for finding in lint(folder, steps)]
    for finding in found:
        say(("!", "yellow") if finding.is_warning else ("✗", "red"), f" {finding.detail}")
        say(f"  {finding.fix}")
    faults = sum(not finding.is_warning for finding in found)
    if faults:
        raise typer.Exit(1)
    say(("✓", "green"), f" {sum(len(steps) for _, steps in mails)} mails are in order")


def _checkout(step: str, wanted: str | None, locale: str) -> "CheckoutState":
    if wanted is None:
        from recovery.mail.templates import samples

        return samples.of(step, locale)
    parted(wanted)
    return asyncio.run(_kept(wanted))


async def _kept(wanted: str) -> "CheckoutState":
    async with house() as parts:
        return await kept(parts, wanted)
