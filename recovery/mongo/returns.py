"""The way back: that a customer came back to a checkout by the link in a mail."""

from recovery.mongo.collections import CHECKOUTS, OPTIONS, Database
from recovery.mongo.errors import translated


class Returns:
    """Records who came back. It is no report: the revision stays, and nobody looks at the checkout."""

    def __init__(self, database: Database) -> None:
        self._checkouts = database.get_collection(CHECKOUTS, **OPTIONS)

    @translated
    async def record(self, checkout: str, step: str) -> None:
        """Record that the customer came back now after the mail of this step, if it is the first time after that mail.

        Raises `Unavailable`.
        """
        field = f"returned.{step}"
        await self._checkouts.update_one({"_id": checkout, field: {"$exists": False}}, {"$currentDate": {field: True}})
