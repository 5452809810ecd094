"""The demo: a shop's afternoon, in which abandoned checkouts become mails, through a real MongoDB and real SMTP."""

from rich.console import Console

from recovery.errors import RecoveryError

EXTRA = ("aiosmtpd", "httpx")


class DemoFailed(RecoveryError):
    """The demo cannot start or continue; the message is a sentence."""


async def run(out: Console, *, keep: bool) -> int:
    """Run the demo and return the exit code: 0, 1 if the mails differ from the schedule, 130 if interrupted.

    With `keep`, everything runs on afterwards until SIGINT or SIGTERM. Raises `DemoFailed`, or errors of the started
    components; everything is cleaned up in any case.
    """
    try:
        from recovery.demo.show import show
    except ModuleNotFoundError as exc:
        if (missing := (exc.name or "").partition(".")[0]) in EXTRA:
            raise DemoFailed(f"The demo needs {missing}: run pip install 'recovery[demo]'.") from exc
        raise
    return await show(out, keep=keep)
