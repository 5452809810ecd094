"""`recovery preview`, `recovery send-test` and `recovery templates lint`: mails before any customer gets one."""

import asyncio
import webbrowser
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli.findings import print_finding
from recovery.cli.terminal import CommandError, load, load_checkout, open_database, say, say_lines, split_key

if TYPE_CHECKING:
    from recovery.domain.state import CheckoutState

mails = typer.Typer()
templates = typer.Typer(no_args_is_help=True, help="Check the templates of the mails.")
mails.add_typer(templates, name="templates")

Step = Annotated[str, typer.Argument(help="The name of a step, or 'confirmation'.")]
ForShop = Annotated[str, typer.Option("--shop", help="With this shop's settings; otherwise with the general ones.")]
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
        str | None, typer.Option(metavar="SHOP/ORDER", help="Render it for this checkout instead of a sample.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Render a step's mail with sample data or a real checkout, to the terminal, a file or the browser."""
    from recovery.app import preview
    from recovery.domain.checkout import shop_of

    settings = load().of(shop or shop_of(checkout or ""))
    rendered, message = preview.preview(settings, step, _checkout(step, checkout, locale))
    contents = {".html": rendered.html.encode(), ".txt": rendered.text.encode(), ".eml": message}
    if open_:
        output = output or Path(mkdtemp(prefix="recovery-")) / f"{step}.html"
    if output is None:
        say(("Subject:", "bold"), f" {rendered.subject}")
        say_lines(f"\n{rendered.text}")
        say((f"To see the HTML: recovery preview {step} --open", "dim"))
        return
    if output.suffix not in contents:
        raise CommandError(f"{output}: a file name must end in .html, .txt or .eml.")
    try:
        output.write_bytes(contents[output.suffix])
    except OSError as exc:
        raise CommandError(f"{output} cannot be written ({exc.strerror}): choose another file.") from exc
    say(f"Wrote {output}.")
    if open_ and not webbrowser.open(output.resolve().as_uri()):
        raise CommandError(f"No browser could be opened: open {output} in one.")


@mails.command()
def send_test(
    step: Step,
    to: Annotated[str, typer.Option(metavar="ADDRESS", help="One of mail.test_recipients.")],
    locale: Locale = "en",
    shop: ForShop = "",
) -> None:
    """Send one mail with sample data through the real relay, to a test recipient. Nothing is recorded."""
    from recovery.app import preview
    from recovery.domain.outcome import OutcomeKind

    outcome = asyncio.run(preview.send_test(load().of(shop), step, to, locale))
    if outcome.kind is not OutcomeKind.SENT:
        raise CommandError(f"The mail was not accepted ({outcome.kind}): {outcome.reply}")
    say(f"Sent to {to}. The relay replied: {outcome.reply}")


@templates.command(name="lint")
def run_lint() -> None:
    """Find faults in the mails, in every language and with edge cases; exit 1 if there are any."""
    from recovery.checks.finding import Severity
    from recovery.checks.templates import count_mails, examine

    settings = load()
    findings = list(examine(settings))
    for finding in findings:
        print_finding(finding)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(1)
    say(("✓", "green"), f" {count_mails(settings)} mails are in order")


def _checkout(step: str, wanted: str | None, locale: str) -> "CheckoutState":
    if wanted is None:
        from recovery.mail.templates import samples

        return samples.of(step, locale)
    split_key(wanted)
    return asyncio.run(_kept(wanted))


async def _kept(wanted: str) -> "CheckoutState":
    async with open_database() as session:
        return await load_checkout(session, wanted)
