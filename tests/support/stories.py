"""Made-up stories of a shop, told to a kit in memory and to one on MongoDB: both must send the same mails."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

from hypothesis import strategies as st
from pymongo import AsyncMongoClient

from recovery import Consent, Customer, Item, Recovery
from recovery.errors import Unavailable
from recovery.mongo.collections import CHECKOUTS, OPTIONS, SHADOWS
from recovery.testing import RecoveryKit
from recovery.testing.clock import VirtualClock
from recovery.testing.configuration import SECRET, prepared
from recovery.testing.parts import Parts, mark
from tests.support.kits import checkout, order

BEGINS = datetime(2020, 3, 5, 12, tzinfo=UTC)
"""So long ago that every time of MongoDB's own clock can be told from those of the story."""

NOT_OF_STORIES = datetime(2024, 1, 1, tzinfo=UTC)

SETTINGS: dict[str, Any] = {
    "schedule": {"min_gap_per_address": "2h", "quiet_hours": "21:00-08:00", "time_zone": "Europe/Berlin"},
    "links": {"count_clicks": True},
}


class MongoKit(RecoveryKit):
    """A kit whose database is a real one: the same engine, relay and clock, with MongoDB behind them."""

    def __init__(self, uri: str, database: str, **settings: Any) -> None:
        self._clock = VirtualClock(BEGINS)
        self._server = SimpleNamespace(unavailable=False)
        client = AsyncMongoClient(uri, tz_aware=True)
        self.kept = client.get_database(database, **OPTIONS)
        self._agenda = _MongoAgenda(self.kept, self._server)
        self._parts = Parts(prepared(None, settings), self.kept, self._agenda, self._clock)
        Recovery.__init__(self, client, database=database, suppression_keys=[SECRET])
        self._own = True  # to be closed with the kit

    async def settle(self) -> None:
        """Give what MongoDB's own clock has set the time of the story: checkouts are due now."""
        late = {"next_at": {"$gt": NOT_OF_STORIES}}
        await self.kept[CHECKOUTS].update_many(late, {"$set": {"next_at": self.now}})


class _MongoAgenda:
    def __init__(self, database: Any, server: Any) -> None:
        self._checkouts = database[CHECKOUTS]
        self._server = server

    async def due(self, now: datetime) -> dict[str, Any]:
        self._answer()
        found = await self._checkouts.find({"next_at": {"$lte": now, "$type": "date"}}).to_list()
        found.sort(key=lambda each: (each["status"] != "ordered", each["next_at"], each["_id"]))
        return {each["_id"]: mark(each) for each in found}

    async def next_after(self, now: datetime) -> datetime | None:
        self._answer()
        following = {"next_at": {"$gt": now, "$lt": NOT_OF_STORIES}}
        found = await self._checkouts.find_one(following, sort=[("next_at", 1)])
        return found and found["next_at"]

    def purge(self, now: datetime) -> None:
        pass  # no story is so long

    def _answer(self) -> None:
        if self._server.unavailable:
            raise Unavailable("as the story has it")


async def without_ttl(database: Any) -> None:
    """Take the TTL indexes off a database: the times of a story are long past."""
    await database[CHECKOUTS].drop_index("purge_at")
    await database[SHADOWS].drop_index("expire_at")


@dataclass(frozen=True)
class Act:
    """One thing that happens in a story. `do` is told the kit."""

    name: str
    args: tuple[Any, ...]
    do: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __repr__(self) -> str:
        return f"{self.name}{self.args}"


def act(call: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function of a kit as something that can happen."""
    Act.do[call.__name__] = call
    return call


EMAILS = ("ada@example.com", "Ada@Example.com", "bea@example.com")
ORDERS = ("1", "2", "3")
SHOPS = ("shop.example", "b.example")


@act
async def report(kit, shop, number, email, item, quantity, ago, consent):
    """A checkout is reported, as it was some time ago."""
    at = kit.now - timedelta(minutes=ago)
    said = consent and Consent(given=consent == "yes", basis="asked", at=at, source="box")
    await kit.checkout(
        checkout(
            number,
            shop=shop,
            customer=Customer(email=email, name="Ada"),
            items=(Item(name=item, price="12.50", quantity=quantity), Item(name="Bulb", price="1.00")),
            touched_at=at,
            consent=said or None,
        )
    )


@act
async def pay(kit, shop, number, ago, confirm):
    """A checkout is ordered."""
    await kit.order(
        order(number, confirm=confirm, ordered_at=kit.now - timedelta(minutes=ago)).model_copy(update={"shop": shop})
    )


@act
async def cancel(kit, shop, number):
    """A checkout is cancelled."""
    await kit.cancel(shop, number)


@act
async def touch(kit, shop, number):
    """The customer does something in a checkout."""
    await kit.touch(shop, [number], at=kit.now)


@act
async def pause(kit, shop, number):
    """A checkout is paused, or all of a shop."""
    await kit.pause(shop, number and [number], at=kit.now)


@act
async def say(kit, shop, email, given):
    """A customer says yes, no, or takes a yes back."""
    await kit.consent(shop, email, Consent(given=given, basis="asked", at=kit.now, source="page"))


@act
async def suppress(kit, shop, email):
    """An address is suppressed."""
    await kit.suppress(email, shop=shop)


@act
async def unsuppress(kit, shop, email):
    """A suppression is lifted."""
    await kit.unsuppress(email, shop=shop)


@act
async def erase(kit, shop, email):
    """A person is erased."""
    await kit.erase(email, shop=shop)


@act
async def refuse(kit, reply, step, times):
    """The relay refuses the next mails."""
    kit.refuse_mail(reply, step=step, times=times)


@act
async def accept(kit):
    """The relay takes mails again."""
    kit.accept_mail()


@act
async def crash(kit, where):
    """The daemon will die at the next mail."""
    kit.crash_at_next_mail(where)


@act
async def answer(kit, how):
    """The recipient of the last mail does something about it."""
    if kit.mails:
        if how == "unsubscribe" and kit.mails[-1].unsubscribe_link:
            await kit.unsubscribe(kit.mails[-1])
        elif how in ("hard", "soft", "complaint"):
            await kit.bounce(kit.mails[-1], how)


@act
async def wait(kit, minutes, fault):
    """Time passes, perhaps while something is broken."""
    faults = {"relay": kit.relay_gone, "database": kit.database_unavailable}
    async with AsyncExitStack() as stack:
        if fault is not None:
            stack.enter_context(faults[fault]())
        await kit.advance(minutes=minutes)


def acts(call: Callable[..., Any], *args: Any) -> Any:
    """Return the strategy of an act."""
    return st.tuples(*args).map(lambda given: Act(call.__name__, given))


_shops, _orders, _emails = st.sampled_from(SHOPS), st.sampled_from(ORDERS), st.sampled_from(EMAILS)
_replies = st.sampled_from(
    [
        *("550 5.1.1 no such user", "451 4.3.0 try later", "452 4.2.2 mailbox full", "554 5.7.1 spam"),
        *("421 4.7.0 too many messages", "552 5.3.4 message too big"),
    ]
)
_steps = st.sampled_from([None, "reminder-1", "reminder-2", "confirmation"])
_minutes = st.sampled_from([0, 1, 29, 30, 31, 59, 60, 120, 6 * 60, 24 * 60, 3 * 24 * 60])

_report = acts(
    report,
    *(_shops, _orders, _emails, st.sampled_from(["Lamp", "Desk"]), st.integers(1, 2)),
    *(st.sampled_from([0, 0, 0, 10, 90]), st.sampled_from([None, None, "yes", "no"])),
)
_wait = acts(wait, _minutes, st.sampled_from([None, None, None, "relay", "database"]))

_events = st.lists(
    st.one_of(
        _report,
        _report,
        _wait,
        _wait,
        _wait,
        acts(pay, _shops, _orders, st.sampled_from([0, 0, 10]), st.sampled_from([None, None, True, False])),
        acts(cancel, _shops, _orders),
        acts(touch, _shops, _orders),
        acts(pause, _shops, st.none() | _orders),
        acts(say, _shops, _emails, st.sampled_from([True, False, None])),
        acts(suppress, st.none() | _shops, _emails),
        acts(unsuppress, st.none() | _shops, _emails),
        acts(erase, st.none() | _shops, _emails),
        acts(refuse, _replies, _steps, st.integers(1, 3)),
        acts(accept),
        acts(crash, st.sampled_from(["before content", "after content"])),
        acts(answer, st.sampled_from(["unsubscribe", "hard", "soft", "complaint"])),
    ),
    min_size=2,
    max_size=14,
)

STORIES = st.tuples(st.lists(_report, min_size=1, max_size=3), _events).map(lambda parts: [*parts[0], *parts[1]])
"""Stories that begin with checkouts, so that there is something to tell."""


async def ending(kit: RecoveryKit, story: list[Act]) -> dict[str, Any]:
    """Tell a kit a story; return the mails that went out, and the checkouts as they are in the end."""
    for each in story:
        await Act.do[each.name](kit, *each.args)
        if isinstance(kit, MongoKit):
            await kit.settle()
    await kit.advance(days=4)
    states = {}
    for shop in SHOPS:
        for number in ORDERS:
            state = await kit.get(shop, number)
            states[f"{shop}/{number}"] = state and state.model_dump(exclude={"claim": {"token"}})
    mails = [(mail.shop, mail.order_id, mail.step, mail.at, mail.to, mail.subject, mail.text) for mail in kit.mails]
    return {"mails": [_without_tokens(each) for each in mails], "checkouts": states}


def _without_tokens(mail: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a mail without its text's links, whose seals may differ."""
    *facts, text = mail
    return *facts, [line for line in text.splitlines() if "://" not in line]
