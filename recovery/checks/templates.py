"""`recovery templates lint`: faults in the mails of all shops, in every language."""

from collections.abc import Iterator
from pathlib import Path

from recovery.checks.finding import Finding, error, warning
from recovery.domain.schedule import Step
from recovery.mail.templates.lint import lint
from recovery.settings import Settings


def count_mails(settings: Settings) -> int:
    """Return the number of mails that `examine` checks."""
    return sum(len(steps) for _, steps in _mails(settings))


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield the faults in the mails; each folder of templates is checked once for the same steps."""
    for folder, steps in _mails(settings):
        for fault in lint(folder, steps):
            yield (warning if fault.is_warning else error)(fault.detail, fix=fault.fix)


def _mails(settings: Settings) -> list[tuple[Path | None, tuple[Step, ...]]]:
    return list({(own.mail.templates, own.to_schedule().mails): None for own in settings.each()})
