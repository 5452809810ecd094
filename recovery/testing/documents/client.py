"""Clients and databases as PyMongo has them, on a server in memory."""

from typing import Any

from recovery.testing.documents.collection import AsyncCollection, Collection
from recovery.testing.documents.store import Server
from recovery.testing.documents.values import Document, NotInMemory


class MemoryDatabase:
    """A database of a server in memory, as PyMongo's `Database`."""

    collection: type[Collection] = Collection

    def __init__(self, client: Any, server: Server, name: str) -> None:
        self.client = client
        self.name = name
        self._server = server

    def get_collection(self, name: str, **_: Any) -> Any:
        """Return a collection. Its options make no difference in memory."""
        return self.collection(self._server, self, name)

    def __getitem__(self, name: str) -> Any:
        return self.get_collection(name)

    def command(self, command: Any, **_: Any) -> Any:
        """Return the answer to `hello` or `ping`. Raises `NotInMemory`."""
        if command not in ("hello", "ping"):
            raise NotInMemory(f"the command {command}")
        answer: Document = {"ok": 1, "localTime": self._server.now(), "isWritablePrimary": True, "setName": "memory"}
        return answer


class AsyncMemoryDatabase(MemoryDatabase):
    """A database of a server in memory, as PyMongo's `AsyncDatabase`."""

    collection = AsyncCollection

    async def command(self, command: Any, **_: Any) -> Any:
        """Return the answer to `hello` or `ping`. Raises `NotInMemory`."""
        return super().command(command)


class MemoryClient:
    """A client of a server in memory, as PyMongo's `MongoClient`."""

    database: type[MemoryDatabase] = MemoryDatabase

    def __init__(self, server: Server) -> None:
        self._server = server

    def get_database(self, name: str, **_: Any) -> Any:
        """Return a database."""
        return self.database(self, self._server, name)

    def __getitem__(self, name: str) -> Any:
        return self.get_database(name)

    def close(self) -> None:
        """Do nothing: what is in memory stays."""


class AsyncMemoryClient(MemoryClient):
    """A client of a server in memory whose results are awaited."""

    database = AsyncMemoryDatabase

    async def close(self) -> None:  # type: ignore[override]
        """Do nothing: what is in memory stays."""
