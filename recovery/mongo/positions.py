"""The positions (resume tokens) of each daemon in each change stream."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from recovery.mongo.collections import OPTIONS, POSITIONS, Database
from recovery.mongo.errors import translated

Token = Mapping[str, Any]


class Positions:
    """The resume tokens of one daemon, by stream."""

    def __init__(self, database: Database, daemon: str) -> None:
        self._positions = database.get_collection(POSITIONS, **OPTIONS)
        self._daemon = daemon

    @translated
    async def load(self, stream: str) -> Token | None:
        """Return this daemon's position in a stream, or None at its first start."""
        document = await self._positions.find_one({"_id": f"{self._daemon}/{stream}"})
        return document["token"] if document else None

    @translated
    async def save(self, stream: str, token: Token, at: datetime) -> None:
        """Save a position: everything up to this token has been looked at."""
        await self._positions.replace_one(
            {"_id": f"{self._daemon}/{stream}"}, {"token": token, "saved_at": at}, upsert=True
        )
