"""The ingestion API: a shop's services import it to report checkouts and orders.

`Recovery` is for asyncio, `SyncRecovery` for Flask, Django and the like; the latter runs the former without an event
loop.
"""

from recovery.client.many import ReportResult
from recovery.client.recovery import Recovery
from recovery.client.reports import Kept
from recovery.client.synchronous import SyncRecovery
from recovery.errors import BadAddress, BadOutbox, Damaged, RecoveryError, Refused, Unavailable
from recovery.mongo.connection import CLIENT_OPTIONS, connect

__all__ = [
    "CLIENT_OPTIONS",
    "BadAddress",
    "BadOutbox",
    "Damaged",
    "Kept",
    "Recovery",
    "RecoveryError",
    "Refused",
    "ReportResult",
    "SyncRecovery",
    "Unavailable",
    "connect",
]
