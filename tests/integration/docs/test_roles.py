"""The roles of docs/running.md on a MongoDB with access control: each is sufficient, and allows nothing more."""

import asyncio
import json
import re
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from recovery import Consent, Order, Recovery
from recovery.app.daemon import run
from recovery.app.factories import CannotStart, database_of, results_of
from recovery.app.initialise import initialise
from recovery.client import Unavailable
from recovery.mongo.collections import CHECKOUTS, COLLECTIONS, SHADOWS
from recovery.mongo.results import ResultsReader
from recovery.settings import Settings
from recovery.testing.mongod import mongod
from tests.chaos.daemons import started
from tests.support.builders import report
from tests.support.paths import ROOT
from tests.support.smtp_servers import RecordingRelay

RUNNING = (ROOT / "docs" / "running.md").read_text()
ROLES = [json.loads(role) for role in re.findall(r"db\.createRole\((\{.*?\n\})\)", RUNNING, re.DOTALL)]
PASSWORD = "not/secret"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """The URI, without a user, of a replica set of one with access control and an administrator."""
    key = tmp_path_factory.mktemp("mongod") / "key"
    key.write_text("c2VjcmV0IG9mIHRoZSByZXBsaWNhIHNldA==\n")
    key.chmod(0o400)
    with mongod(options=("--keyFile", str(key))) as uri:
        with MongoClient(uri) as client:
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        yield uri


def as_user(uri: str, name: str, database: str) -> str:
    """Return the URI with a user of a database."""
    login = f"{name}:{quote(PASSWORD, safe='')}@"
    return f"{uri.replace('//', f'//{login}')}&authSource={database}"


@pytest.fixture
def users(guarded, database_name):
    """Create the documented roles in the test's own database; yield the URI by role, and the administrator's."""
    root = as_user(guarded, "root", "admin")
    with MongoClient(root) as client:
        database = client[database_name]
        for role in ROLES:
            there = json.loads(json.dumps(role).replace('"db": "recovery"', f'"db": "{database_name}"'))
            database.command("createRole", there.pop("role"), **there)
            database.command("createUser", role["role"], pwd=PASSWORD, roles=[role["role"]])
        yield {"root": root} | {role["role"]: as_user(guarded, role["role"], database_name) for role in ROLES}
        client.drop_database(database_name)


def settings_of(uri: str, database: str, **more: object) -> Settings:
    """Return settings with a user and a database."""
    return Settings.model_validate({"mongodb": {"uri": uri, "database": database}, **more})


def test_the_three_roles_are_documented():
    """The documented roles are commands, which the tests below run."""
    assert [role["role"] for role in ROLES] == ["recoveryDaemon", "recoveryInit", "recoveryReporter"]


async def test_each_role_is_enough_for_a_message(users, database_name):
    """One role creates the collections, one reports, and the daemon's sends the reminder and the confirmation."""
    done = await initialise(settings_of(users["recoveryInit"], database_name))
    assert len([each for each in done if each.startswith("created collection")]) == len(COLLECTIONS)
    async with (
        RecordingRelay() as relay,
        started(environment(users["recoveryDaemon"], database_name, relay)) as daemon,
    ):
        async with Recovery(users["recoveryReporter"], database=database_name) as recovery:
            await recovery.checkout(report("1", touched_at=datetime.now(UTC)))
            await relay.wait_for(1, 30)
            await recovery.order(Order(shop="shop.example", order_id="1", ordered_at=datetime.now(UTC)))
            await relay.wait_for(2, 30)
        assert (await daemon.ready())[0] == 200
        assert [entry for entry in daemon.log if "not authorized" in str(entry)] == []


async def test_a_reporter_may_report_and_no_more(users, database_name):
    """All calls on single checkouts work; people's data and other collections are closed."""
    await initialise(settings_of(users["recoveryInit"], database_name))
    async with Recovery(users["recoveryReporter"], database=database_name) as recovery:
        await recovery.checkout(report("1"), aliases=["cart-1"], cart="cart-1")
        said = Consent(given=False, basis="asked", at=datetime.now(UTC), source="test")
        assert await recovery.consent("shop.example", "ada@example.com", said) == 1
        assert await recovery.cancel("shop.example", "1", aliases=["cart-1"], cart="cart-1")
        assert (await recovery.get("shop.example", "1")).status == "cancelled"
        assert [each.id for each in (await recovery.list(shop="shop.example")).checkouts] == ["shop.example/1"]
        assert await recovery.cancel_shop("shop.example") == 0
        assert (await recovery.touch("shop.example", ["1"]), await recovery.pause("shop.example", ["1"])) == (1, 1)
        for forbidden in (recovery.suppress, recovery.erase):
            with pytest.raises(Unavailable, match="not authorized"):
                await forbidden("ada@example.com")
    with MongoClient(users["recoveryReporter"]) as client:
        for collection in sorted(set(COLLECTIONS) - {CHECKOUTS}):
            with pytest.raises(OperationFailure, match="not authorized"):
                client[database_name][collection].find_one()
        with pytest.raises(OperationFailure, match="not authorized"):
            client[database_name][CHECKOUTS].delete_one({})


async def test_init_sees_no_data(users, database_name):
    """The role that creates the collections cannot read their documents."""
    await initialise(settings_of(users["recoveryInit"], database_name))
    with MongoClient(users["recoveryInit"]) as client:
        for collection in COLLECTIONS:
            with pytest.raises(OperationFailure, match="not authorized"):
                client[database_name][collection].find_one()


async def test_a_validator_of_another_version_is_a_warning(users, database_name):
    """A daemon that may not update a validator works with the old one, and logs what to do."""
    await initialise(settings_of(users["recoveryInit"], database_name))
    with MongoClient(users["root"]) as client:
        older = {"$jsonSchema": {"title": "recovery 1", "bsonType": "object"}}
        client[database_name].command("collMod", SHADOWS, validator=older)
    async with (
        RecordingRelay() as relay,
        started(environment(users["recoveryDaemon"], database_name, relay)) as daemon,
    ):
        (warning,) = [entry for entry in daemon.log if entry["event"] == "collections are outdated"]
    assert "the validator of shadows is missing or differs" in warning["why"]
    assert "recoveryInit" in warning["why"]


async def test_a_missing_index_is_a_sentence(users, database_name):
    """A daemon that may not create an index does not start, and says what to do."""
    await initialise(settings_of(users["recoveryInit"], database_name))
    with MongoClient(users["root"]) as client:
        client[database_name][SHADOWS].drop_index("expire_at")
    with pytest.raises(CannotStart, match=r"index shadows\.expire_at is missing.*run `recovery init` as a user"):
        await run(settings_of(users["recoveryDaemon"], database_name), stop=asyncio.Event())


async def test_read_and_write_bring_an_update_as_far_as_they_go(guarded, users, database_name):
    """With the formerly documented role, indexes of a new version are created, though no validator is changed."""
    await initialise(settings_of(users["recoveryInit"], database_name))
    with MongoClient(users["root"]) as client:
        database = client[database_name]
        database.command("createUser", "old", pwd=PASSWORD, roles=["readWrite"])
        for name in COLLECTIONS:
            database.command("collMod", name, validator={"$jsonSchema": {"title": "recovery 1", "bsonType": "object"}})
        database[CHECKOUTS].drop_index("known_as")
        async with RecordingRelay() as relay:
            old = as_user(guarded, "old", database_name)
            async with (
                started(environment(old, database_name, relay)),
                Recovery(old, database=database_name) as service,
            ):
                await service.checkout(report("1", touched_at=datetime.now(UTC)))
                await relay.wait_for(1, 30)
        assert "known_as" in database[CHECKOUTS].index_information()


def environment(uri: str, database: str, relay: RecordingRelay) -> dict[str, str]:
    """Return the environment of a daemon that reminds at once."""
    step = {"name": "reminder-1", "delay": "100ms", "template": "reminder-1", "subject": "x", "max_lateness": "1h"}
    return {
        "RECOVERY_MONGODB__URI": uri,
        "RECOVERY_MONGODB__DATABASE": database,
        "RECOVERY_SMTP__PORT": str(relay.port),
        "RECOVERY_SMTP__RATE": "100/s",
        "RECOVERY_HTTP__PORT": "0",
        "RECOVERY_SCHEDULE__STEPS": json.dumps([step]),
        "RECOVERY_SCHEDULE__MIN_GAP": "0s",
        "RECOVERY_CONFIRMATION__ENABLED": "true",
    }


async def test_the_daemon_s_role_is_enough_to_count_results(users, database_name):
    """It counts, and reads what it has counted."""
    await initialise(settings_of(users["recoveryInit"], database_name))
    uri, now = users["recoveryDaemon"], datetime.now(UTC)
    async with database_of(settings_of(uri, database_name)) as database:
        sent = {"messages": {"reminder-1": {"state": "sent", "sent_at": now}}, "written_at": now}
        document = {"_id": "a/1", "shop": "a", "status": "open", "opened_at": now, "touched_at": now, "revision": 1}
        await database[CHECKOUTS].insert_one(document | sent)
        await results_of(settings_of(uri, database_name), database).count(now)
        (cell,) = await ResultsReader(database).cells(now.date(), now.date())
    assert cell.sums.mails == 1
