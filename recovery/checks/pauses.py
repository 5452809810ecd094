"""The check of what is paused."""

from collections.abc import Iterator, Sequence

from recovery.checks.finding import Finding, warning
from recovery.mongo.pauses import KeptPause

SENDING = "sending"


def paused(pauses: Sequence[KeptPause]) -> Iterator[Finding]:
    """Yield a warning for each pause. It is no fault: an operator wanted it."""
    for each in pauses:
        what = "all sending is paused" if each.shop is None else f"sending for {each.shop} is paused"
        since = f" since {each.at:%Y-%m-%d %H:%M} UTC" if each.at else ""
        by = f" by {each.by}" if each.by else ""
        option = "" if each.shop is None else f" --shop {each.shop}"
        yield warning(SENDING, f"{what}{since}{by}{_reason(each)}", f"recovery resume{option} ends that.")


def _reason(pause: KeptPause) -> str:
    return f" ({pause.reason})" if pause.reason else ""
