"""A batch by few statements and the same batch one by one leave the same documents, on a real MongoDB."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from recovery.domain.state import Cause, Claim, Message, MessageState, Past, Status
from recovery.engine.writes import Completion, DeadLetter, Plan
from recovery.mongo import checkouts
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS
from recovery.mongo.updates import HISTORY_KEPT
from tests.support.builders import NOON, minutes, state
from tests.support.stores import STEP, request

ON_DATABASE = settings(
    max_examples=30,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""The examples of one test use one database, which each of them empties. To shrink a failure would take minutes."""

TEXTS = st.sampled_from(["", "250 ok", "$claim", "$$ROOT", "a.b", "ü \U0001f6d2", '{"$literal": 1}'])
TIMES = st.sampled_from([NOON, NOON + minutes(1), NOON + timedelta(days=1), NOON + timedelta(microseconds=7)])
TOKENS = st.sampled_from(["first", "second"])
STEPS = st.sampled_from(["reminder-1", "0", "a_b", "confirmation"])

claims = st.none() | st.builds(Claim, token=TOKENS, owner=st.just("me"), until=TIMES)
entries = st.builds(Past, at=TIMES, decision=TEXTS, reason=TEXTS)
messages = st.builds(
    Message,
    state=st.sampled_from(MessageState),
    attempts=st.integers(0, 2),
    sent_at=st.none() | TIMES,
    reply=st.none() | TEXTS,
    reason=st.just(Cause.DEAD_ADDRESS),
)
histories = st.builds(
    lambda length, entry: (entry,) * length, st.sampled_from([0, 1, HISTORY_KEPT - 1, HISTORY_KEPT]), entries
)


@st.composite
def stored(draw, number):
    """A stored checkout, with the names of its fields that are absent."""
    kept = state(
        str(number),
        status=draw(st.sampled_from(Status)),
        revision=draw(st.integers(1, 2)),
        messages=draw(st.dictionaries(STEPS, messages, max_size=2)),
        claim=draw(claims),
        next_at=draw(st.none() | TIMES),
        purge_at=draw(st.none() | TIMES),
        history=draw(histories),
    )
    empty = [name for name in ("messages", "claim", "next_at", "purge_at", "history") if not getattr(kept, name)]
    return kept, draw(st.lists(st.sampled_from(empty), unique=True)) if empty else []


@st.composite
def looks(draw, kept):
    """A checkout as a look has seen it, which is mostly as it is stored."""
    stale = {"revision": st.integers(1, 2), "status": st.sampled_from(Status), "claim": claims, "next_at": TIMES}
    changes = draw(st.just({}) | st.fixed_dictionaries({}, optional=stale))
    return kept.model_copy(update=changes)


@st.composite
def plans(draw, kept):
    """A plan for a checkout."""
    seen = draw(looks(kept))
    changed = draw(st.dictionaries(STEPS, messages, min_size=1, max_size=2) | st.just({}))
    letters = tuple(letter(kept, step) for step, each in changed.items() if each.state is MessageState.DEAD)
    status, next_at = draw(st.sampled_from(Status)), draw(st.none() | st.just(seen.next_at) | TIMES)
    return Plan(
        seen, status, next_at, draw(st.none() | TIMES), changed, tuple(draw(st.lists(entries, max_size=2))), letters
    )


@st.composite
def records(draw, kept):
    """The record of a send of a checkout, mostly with the token of its claim."""
    seen = draw(looks(kept))
    token = seen.claim.token if seen.claim and draw(st.booleans()) else draw(TOKENS)
    step, message = draw(STEPS), draw(messages)
    asked = replace(request(seen, token), step=replace(STEP, name=step))
    given_up = letter(kept, step) if message.state is MessageState.DEAD else None
    past = tuple(draw(st.lists(entries, max_size=1)))
    status, next_at, purge_at = draw(st.sampled_from(Status)), draw(st.none() | TIMES), draw(st.none() | TIMES)
    return Completion(asked, message, status, next_at, purge_at, past, given_up)


def letter(kept, step):
    return DeadLetter(kept.id, step, Cause.DEAD_ADDRESS, "550", NOON, 1, "ada@example.com")


@st.composite
def batches(draw, writes):
    """Stored checkouts, and writes of some of them in some order, perhaps two of one."""
    there = [draw(stored(number)) for number in range(draw(st.integers(3, 6)))]
    chosen = draw(st.lists(st.sampled_from(range(len(there))), min_size=4, max_size=9))
    return there, [draw(writes(there[number][0])) for number in chosen]


async def outcome(database, there, write):
    """What a write of these stored checkouts returns, and the documents and letters that it leaves."""
    await database[CHECKOUTS].delete_many({})
    await database[DEAD_LETTERS].delete_many({})
    whole = [(kept.model_dump(by_alias=True) | {"facts": {}}, absent) for kept, absent in there]
    await database[CHECKOUTS].insert_many(
        [{name: value for name, value in document.items() if name not in absent} for document, absent in whole]
    )
    written = await write(checkouts.MongoCheckouts(database))
    documents = [each async for each in database[CHECKOUTS].find(sort=[("_id", 1)])]
    letters = [each async for each in database[DEAD_LETTERS].find(sort=[("_id", 1)])]
    next_at = {id_: without_now(each) for id_, each in written.next_at.items()}
    return (
        [each | {"next_at": without_now(each.get("next_at"))} for each in documents],
        letters,
        next_at,
        written.letters,
    )


def without_now(at):
    """Replace a time of the server's clock, which is in this century, by one that is the same in each run."""
    return datetime(2000, 1, 1, tzinfo=UTC) if at is not None and at < NOON else at


async def same_both_ways(database, monkeypatch, there, write):
    batch = await outcome(database, there, write)
    with monkeypatch.context() as patched:
        patched.setattr(checkouts, "grouped", lambda updates: ([], list(updates)))
        singles = await outcome(database, there, write)
    for one, other in zip(batch, singles, strict=True):
        assert one == other


@ON_DATABASE
@given(batch=batches(plans))
async def test_plans_have_the_same_effect_in_a_batch_and_alone(database, monkeypatch, batch):
    """Documents, letters and the result are the same, whatever is stored, stale or planned twice."""
    there, writes = batch
    await same_both_ways(database, monkeypatch, there, lambda store: store.plan(writes))


@ON_DATABASE
@given(batch=batches(records))
async def test_records_have_the_same_effect_in_a_batch_and_alone(database, monkeypatch, batch):
    """Documents, letters and the result are the same, whatever was reported, claimed or recorded since."""
    there, writes = batch
    await same_both_ways(database, monkeypatch, there, lambda store: store.complete(writes))
