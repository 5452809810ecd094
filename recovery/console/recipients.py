"""The recipient of a checkout: what is known of it, as before each mail, and what of it a viewer sees."""

from recovery.console.desk import Desk
from recovery.console.viewer import Viewer
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


def as_seen(state: CheckoutState, viewer: Viewer) -> CheckoutState:
    """Return a checkout as its mails are shown to a viewer: for those who see shortened addresses, so is its own."""
    customer = state.facts.customer
    if customer is None or viewer.operates:
        return state
    shown = type(customer).model_construct(email=viewer.address(customer.email), name=customer.name)
    return state.model_copy(update={"facts": state.facts.model_copy(update={"customer": shown})})
