"""Three mongods on the loopback as one replica set, whose nodes can be killed and started again."""

import asyncio
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.errors import PyMongoError

from recovery.testing.mongod import find_mongod

ELECTION_TIMEOUT_MS = 2000
STARTS_WITHIN = 60
TAKING_PART = ["PRIMARY", "SECONDARY", "SECONDARY"]
PORTS = range(20_000, 30_000)
"""Below the ports that Linux gives to connections: one of those could take a node's port while the node is down."""


def _port_of_its_own() -> int:
    """Return a port of `PORTS` on which nobody listens."""
    while True:
        port = random.choice(PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Cluster:
    """A replica set of three. Small caches and a small oplog: it is thrown away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binary = find_mongod()
        self._ports = [_port_of_its_own() for _ in range(3)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.uri = f"mongodb://{','.join(f'127.0.0.1:{port}' for port in self._ports)}/?replicaSet=rs0"

    def start(self, port: int) -> None:
        """Start one node, on the data it has."""
        data = self._folder / str(port)
        data.mkdir(exist_ok=True)
        self._processes[port] = subprocess.Popen(
            [
                *(self._binary, "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1", "--replSet", "rs0"),
                *("--logpath", data / "log", "--logappend", "--nounixsocket"),
                *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"),
                *("--setParameter", "ttlMonitorSleepSecs=1", "--setParameter", "enableTestCommands=1"),
                *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def initiate(self) -> None:
        """Start all nodes and wait for their first primary."""
        for port in self._ports:
            self.start(port)
        members = [{"_id": n, "host": f"127.0.0.1:{port}"} for n, port in enumerate(self._ports)]
        timing = {"electionTimeoutMillis": ELECTION_TIMEOUT_MS, "heartbeatIntervalMillis": 500}
        async with asyncio.timeout(STARTS_WITHIN):
            while True:
                with suppress(PyMongoError):
                    async with AsyncMongoClient(
                        "127.0.0.1", self._ports[0], directConnection=True, serverSelectionTimeoutMS=500
                    ) as node:
                        await node.admin.command(
                            "replSetInitiate", {"_id": "rs0", "members": members, "settings": timing}
                        )
                        break
                await asyncio.sleep(0.1)
        await self.whole()

    async def whole(self) -> None:
        """Have all three nodes run and take part: without one that is still copying, two are no majority to elect.

        A node that was killed calls itself a secondary before it finds that it has to roll back. So each must have
        taken a write.
        """
        for port, process in self._processes.items():
            if process.poll() is not None:
                self.start(port)
        taken_by_all = WriteConcern(w=3, wtimeout=1000)
        async with asyncio.timeout(STARTS_WITHIN):
            while True:
                with suppress(PyMongoError):
                    async with AsyncMongoClient(self.uri, serverSelectionTimeoutMS=500) as client:
                        status = await client.admin.command("replSetGetStatus")
                        if sorted(member["stateStr"] for member in status["members"]) == TAKING_PART:
                            writes = client["chaos"].get_collection("writes", write_concern=taken_by_all)
                            await writes.insert_one({})
                            break
                await asyncio.sleep(0.1)
        await self.primary()

    async def primary(self) -> int:
        """Wait for a primary that all writes go through; return its port."""
        async with asyncio.timeout(STARTS_WITHIN):
            while True:
                with suppress(PyMongoError):
                    async with AsyncMongoClient(self.uri, serverSelectionTimeoutMS=500) as client:
                        await client["chaos"]["writes"].with_options().insert_one({})
                        address = await client.primary
                        if address is not None:
                            return address[1]
                await asyncio.sleep(0.05)

    async def step_down(self) -> None:
        """Have the primary resign for a while; the others elect another."""
        with suppress(PyMongoError):
            async with AsyncMongoClient(self.uri, serverSelectionTimeoutMS=5000) as client:
                await client.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=2, force=True)

    async def kill_primary(self, lag: float = 1.0) -> int:
        """Kill the primary with signal 9; return its port, to start it again.

        For `lag` seconds before, the others copy nothing: what it alone has is lost, so it must not be acknowledged.
        """
        port = await self.primary()
        others = [other for other in self._ports if other != port]
        await asyncio.gather(*(self._copying(other, mode="alwaysOn") for other in others))
        await asyncio.sleep(lag)
        process = self._processes[port]
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        await asyncio.gather(*(self._copying(other, mode="off") for other in others))
        return port

    async def _copying(self, port: int, *, mode: str) -> None:
        """Stop a secondary's copying with `alwaysOn`, and let it go on with `off`."""
        async with AsyncMongoClient("127.0.0.1", port, directConnection=True) as node:
            await node.admin.command("configureFailPoint", "stopReplProducer", mode=mode)

    def process(self, port: int) -> int:
        """Return the process id of a node."""
        return self._processes[port].pid

    def stop(self) -> None:
        """End all nodes at once: nothing of them is kept."""
        for process in self._processes.values():
            process.kill()
            process.wait()


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    """Run a replica set of three; remove it with its data in the end."""
    folder = Path(tempfile.mkdtemp(prefix="recovery-chaos-"))
    three = Cluster(folder)
    try:
        await three.initiate()
        yield three
    finally:
        three.stop()
        shutil.rmtree(folder, ignore_errors=True)
