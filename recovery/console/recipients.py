"""What is known of a checkout's recipient, as the last check before a mail asks for it."""

from recovery.console.desk import Desk
from recovery.domain.recipient import NOTHING_KNOWN, RecipientHistory
from recovery.domain.schedule import StopOn
from recovery.domain.state import CheckoutState
from recovery.engine.writes import RecipientQuery
from recovery.mongo.addresses import MongoAddresses


async def recipient_of(desk: Desk, state: CheckoutState) -> RecipientHistory:
    """Return the suppression and the other checkouts of a checkout's address. Raises `Unavailable`."""
    schedule, now = desk.schedules.of(state.id), desk.clock.now()
    gap = schedule.min_gap_per_address
    query = RecipientQuery(
        written_since=now - gap if gap else None, imminent_until=now, orders=schedule.stop_on is StopOn.CUSTOMER
    )
    found = await MongoAddresses(desk.database, desk.suppressions).histories([state], query)
    return found.get(state.id, NOTHING_KNOWN)
