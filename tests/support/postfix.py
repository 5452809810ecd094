"""A real Postfix in a folder of its own, for tests of what a relay's manners come to."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from recovery.testing.mongod import free_port

POSTFIX = shutil.which("postfix")
CAN_RUN = POSTFIX is not None and os.geteuid() == 0
"""Its master process starts as root alone."""

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
maillog_file = /dev/stdout
myhostname = relay.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
relay_domains = known.example
relay_recipient_maps = inline:{{ann@known.example=x}}
transport_maps =
default_transport = smtp:[127.0.0.1]:{next_hop}
relay_transport = $default_transport
smtpd_relay_restrictions = permit_mynetworks, reject
disable_dns_lookups = yes
smtp_host_lookup = native
smtputf8_autodetect_classes = all
smtpd_client_event_limit_exceptions =
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n -  0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


@asynccontextmanager
async def postfix(folder: Path, next_hop: int, settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Run Postfix, which hands everything on to a port of the loopback; yield the port that it listens on."""
    port = free_port()
    for name in ("queue", "data", "config"):
        (folder / name).mkdir()
    for each in (folder, *folder.parents):  # its processes are of another user, who must get there
        if each.stat().st_uid == os.geteuid() and each.is_relative_to("/tmp"):
            each.chmod(each.stat().st_mode | 0o055)
    config = folder / "config"
    lines = [MAIN.format(folder=folder, next_hop=next_hop), *(f"{name} = {value}" for name, value in settings.items())]
    (config / "main.cf").write_text("\n".join(lines) + "\n")
    (config / "master.cf").write_text(MASTER.format(port=port))
    shutil.chown(folder / "data", "postfix")
    await _run("set-permissions", config)
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(str(POSTFIX), "-c", str(config), "start-fg", stdout=log, stderr=log)
    try:
        async with asyncio.timeout(30):
            while not await listens(port):
                if process.returncode is not None:
                    raise RuntimeError(f"Postfix did not start: {(folder / 'log').read_text()}")
                await asyncio.sleep(0.05)
        yield port
    finally:
        await _run("stop", config)
        await process.wait()
        log.close()


async def _run(command: str, config: Path) -> None:
    await asyncio.to_thread(
        subprocess.run, [str(POSTFIX), "-c", str(config), command], check=False, capture_output=True
    )


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
