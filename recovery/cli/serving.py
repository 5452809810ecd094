"""`recovery serve --in-memory`: Recovery's HTTP API without a database or a relay, for test suites in any language."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from recovery.app.logs import configure_logging
from recovery.cli.terminal import CommandError, say
from recovery.http.server import listen, serve
from recovery.settings.given import given_settings, path_of_config, set_in
from recovery.testing.kit import RecoveryKit
from recovery.testing.serving import KitApplication

HOST = "127.0.0.1"

REAL = ("mongodb.uri", "smtp.host")
"""Settings that say that this is an installation which writes to people."""


def run(port: int) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. Raises `CommandError` where real settings are present."""
    if found := set_in(REAL):
        raise CommandError(_refused(found))
    config = path_of_config()
    configure_logging(given_settings({"log": {"level": "warning"}}))
    asyncio.run(_serve(KitApplication(lambda: RecoveryKit(config=config)), port, config))
    return 0


def _refused(found: Sequence[str]) -> str:
    return (
        f"recovery serve --in-memory does not start beside the settings of a real installation ({', '.join(found)}): it"
        " would take reports and send nothing. Run it without these settings; recovery run starts the daemon."
    )


async def _serve(app: KitApplication, port: int, config: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def ready(port: int) -> None:
        of = f" with {config}" if config is not None else ""
        say(f"Recovery in memory{of}: http://{HOST}:{port}. Nothing is stored, and no mail is sent.")

    with listen(HOST, port) as listener:
        await serve(app, listener, stop=stop, on_listening=ready)
