"""A shop's afternoon, shown: checkouts are left, and become mails, through a real MongoDB and real SMTP."""

from rich.console import Console

from recovery.errors import RecoveryError

EXTRA = ("aiosmtpd", "httpx")


class DemoFailed(RecoveryError):
    """The demo cannot run, or cannot go on; the message is a sentence."""


async def run(out: Console, *, keep: bool) -> int:
    """Show the afternoon and return the exit code: 0, 1 if the mails are not what the schedule says, 130 if stopped.

    With `keep`, all is left running afterwards until SIGINT or SIGTERM. Raises `DemoFailed`, or what the parts that
    are started raise; nothing is left behind either way.
    """
    try:
        from recovery.demo.show import show
    except ModuleNotFoundError as exc:
        if (missing := (exc.name or "").partition(".")[0]) in EXTRA:
            raise DemoFailed(f"The demo needs {missing}: run pip install 'recovery[demo]'.") from exc
        raise
    return await show(out, keep=keep)
