"""The result of one check, the same for all checks."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Severity of a finding. An error makes the command exit with 1; a warning is for people to judge."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `check` names what was checked; for a fault in a file, it is the fault with its file and line. `detail` is the
    state found, `fix` what to do about it; either may be empty.
    """

    check: str
    severity: Severity
    detail: str = ""
    fix: str = ""

    @property
    def text(self) -> str:
        """Detail and fix as one sentence."""
        return ": ".join(filter(None, (self.detail, self.fix)))


def ok(check: str, detail: str = "") -> Finding:
    """Return the finding of a passed check."""
    return Finding(check, Severity.OK, detail)


def warning(check: str, detail: str = "", fix: str = "") -> Finding:
    """Return a finding that may be a fault or could be better."""
    return Finding(check, Severity.WARNING, detail, fix)


def error(check: str, detail: str = "", fix: str = "") -> Finding:
    """Return the finding of a failed check."""
    return Finding(check, Severity.ERROR, detail, fix)
