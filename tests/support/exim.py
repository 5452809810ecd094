"""A real Exim in a folder of its own, unpacked from Debian's package by `scripts/set-up-relays`."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from recovery.testing.mongod import free_port
from tests.support.postfix import listens

UNPACKED = Path(__file__).parents[2] / ".bench" / "exim"
USER = "Debian-exim"
"""The user that Debian's build asks for."""

CONFIG = """
primary_hostname = relay.test
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
exim_user = {user}
exim_group = {user}
never_users =
keep_environment =
deliver_drop_privilege
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = acl_rcpt
{settings}

begin acl
acl_rcpt:
  accept

begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = out

begin transports
out:
  driver = smtp
  port = {next_hop}
  allow_localhost
"""


@asynccontextmanager
async def exim(folder: Path, next_hop: int, settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Run Exim, which hands everything on to a port of the loopback; yield the port that it listens on."""
    port = free_port()
    for name in ("spool", "log"):
        (folder / name).mkdir()
        shutil.chown(folder / name, USER, USER)
    folder.chmod(0o755)
    config = folder / "exim.conf"
    given = "\n".join(f"{name} = {value}" for name, value in settings.items())
    config.write_text(CONFIG.format(folder=folder, port=port, user=USER, next_hop=next_hop, settings=given))
    libraries = next(UNPACKED.glob("usr/lib/*-linux-gnu"))
    log = (folder / "out").open("wb")
    process = await asyncio.create_subprocess_exec(
        *(str(UNPACKED / "usr/sbin/exim4"), "-C", str(config), "-bdf", "-q10s"),
        env=os.environ | {"LD_LIBRARY_PATH": str(libraries)},
        stdout=log,
        stderr=log,
    )
    try:
        async with asyncio.timeout(30):
            while not await listens(port):
                if process.returncode is not None:
                    raise RuntimeError(f"Exim did not start: {(folder / 'out').read_text()}")
                await asyncio.sleep(0.05)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.close()
