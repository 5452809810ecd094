"""The programs of the peers: what they are told, how they are run, and what became of it."""

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from benchmarks.bench import Bench
from benchmarks.peers.redis_server import redis_server
from benchmarks.relay import ROOT

CALLERS = 64
"""How many jobs are scheduled at a time where the API is concurrent, as ours are reported."""

SENDER = "shop@shop.example"

NODE = ("node", "--preserve-symlinks", "--preserve-symlinks-main")
"""By links, for the modules are beside the links."""

PEERS_FOLDER = ROOT / "benchmarks" / "peers"


class PeerFailed(Exception):
    """A peer did not do what it was told; the message says what, with the end of its output."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer. `schedules` is how many jobs a second it certainly schedules: so long before it is due work is begun."""

    name: str
    command: tuple[str, ...]
    on_mongodb: bool
    schedules: int


def _python(peer: str) -> tuple[str, ...]:
    return str(ROOT / ".bench" / "peers" / peer / "bin" / "python"), str(PEERS_FOLDER / "python" / f"{peer}_peer.py")


def _node(program: str, *arguments: str) -> tuple[str, ...]:
    return *NODE, str(ROOT / ".bench" / "node" / f"{program}.mjs"), *arguments


AGENDA = Peer("Agenda", _node("agenda"), on_mongodb=True, schedules=1_000)
APSCHEDULER = Peer("APScheduler", _python("apscheduler"), on_mongodb=True, schedules=500)
ARQ = Peer("arq", _python("arq"), on_mongodb=False, schedules=2_000)
CELERY = Peer("Celery", _python("celery"), on_mongodb=False, schedules=800)
BULLMQ = Peer("BullMQ", _node("bullmq"), on_mongodb=False, schedules=5_000)
BULLMQ_ADD = Peer("BullMQ, add", _node("bullmq", "add"), on_mongodb=False, schedules=2_000)

PEERS = (AGENDA, APSCHEDULER, ARQ, CELERY, BULLMQ)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program did.

    `took` is how many seconds the scheduling took; `late` how many seconds after it was due each job was done, in
    order; `again` how often a job ran that had run before.
    """

    took: float
    late: list[float]
    again: int


async def run(
    bench: Bench, peer: Peer, offsets: Sequence[float], *, mail: Path | None = None, work: bool = True
) -> Outcome:
    """Have a peer schedule jobs and, unless `work` is off, do them.

    The first can be due some seconds from now; `offsets` says for each job how many seconds after that it is due.
    `mail` is what each job sends, if anything. Raises `PeerFailed`.
    """
    lead = 3 + len(offsets) / peer.schedules
    for patience in (1, 3):  # on a busy machine it takes longer
        done = await _run(bench, peer, offsets, patience * lead, mail, work)
        if not work:
            return Outcome(done["took"], [], 0)
        if done["took"] < patience * lead:
            return _outcome(peer, done, patience * lead, offsets)
    raise PeerFailed(f"{peer.name}: not everything was scheduled before it was due: this measures something else")


async def _run(
    bench: Bench, peer: Peer, offsets: Sequence[float], lead: float, mail: Path | None, work: bool
) -> dict[str, Any]:
    within = lead + max(offsets) + 60
    async with _server(bench, peer) as (server, database):
        told = {
            "server": server,
            "database": database,
            "lead": lead,  # seconds from the beginning until offset 0
            "offsets": offsets,
            "run": work,  # whether jobs are done, or only scheduled
            "within": within,  # seconds after the scheduling
            "callers": CALLERS,
            "sender": SENDER,
            "relay_port": bench.relay_port,
            "mail": mail and str(mail),
        }  # and a folder of its own, which goes with it
        return await _output(peer, told, limit=within + 60 if work else 60)


def _outcome(peer: Peer, done: dict[str, Any], lead: float, offsets: Sequence[float]) -> Outcome:
    missing = len(offsets) - len({number for number, _ in done["ran"]})
    if missing:
        raise PeerFailed(f"{peer.name}: {missing} of {len(offsets)} jobs did not run")
    late = sorted(at - (done["began_at"] + lead + offsets[number]) for number, at in done["ran"])
    return Outcome(done["took"], late, len(done["ran"]) - len(offsets))


@asynccontextmanager
async def _server(bench: Bench, peer: Peer) -> AsyncIterator[tuple[str, str]]:
    database = f"peer-{uuid4().hex[:10]}"
    if not peer.on_mongodb:
        async with redis_server() as url:
            yield url, database
        return
    try:
        yield f"{bench.uri}&w=majority&journal=true", database
    finally:
        await bench.client.drop_database(database)


async def _output(peer: Peer, told: dict[str, Any], limit: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="peer-") as folder, tempfile.TemporaryFile() as errors:
        try:
            process = await asyncio.create_subprocess_exec(
                *peer.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # so that what it starts can be ended with it
            )
        except FileNotFoundError as exc:
            raise PeerFailed(f"{peer.name}: there is no {peer.command[0]}: scripts/set-up-peers brings it") from exc
        try:
            async with asyncio.timeout(limit):
                output, _ = await process.communicate(json.dumps(told | {"folder": folder}).encode())
        except TimeoutError:
            raise PeerFailed(f"{peer.name} did not end within {limit:.0f} s{_end(errors)}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode or not output:
            raise PeerFailed(f"{peer.name} ended with {process.returncode}, and no outcome{_end(errors)}")
    return json.loads(output.splitlines()[-1])


def _end(errors: IO[bytes], characters: int = 2000) -> str:
    errors.seek(0)
    text = errors.read().decode(errors="replace").strip()
    return f":\n{text[-characters:]}" if text else ""
