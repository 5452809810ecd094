"""What a check found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `fault` says what is wrong and how to mend it, or is None; `note` is worth knowing.

    `doubt` is what could be wrong, or better, and stands in nobody's way.
    """

    what: str
    fault: str | None = None
    note: str = ""
    doubt: str | None = None
