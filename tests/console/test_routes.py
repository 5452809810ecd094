"""Every route of the console: who gets in, and who does not."""

import re
from collections.abc import Iterator

import pytest
from starlette.routing import Route

from recovery.console.console import routes_of
from recovery.console.desk import Desk
from recovery.console.routes import Routes
from recovery.domain.per_shop import PerShop
from recovery.domain.scopes import Scope
from recovery.http.keys import ApiKey
from recovery.http.security import Guard
from tests.support import one_loop
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, console_world
from tests.support.databases import empty_database, unused_name
from tests.support.smtp_servers import RecordingRelay

OPEN = {"/console/sign-in", "/console/static/{name}", "/console/{rest:path}"}
"""What answers without a session."""

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _routes() -> Routes:
    class Anything:
        def __getattr__(self, _name):
            return lambda *_a, **_n: Anything()

    desk = Desk(Anything(), Anything(), Anything(), PerShop(Anything()), Anything(), dict)
    keys = [ApiKey("a", "0123456789abcdef")]
    return routes_of(desk, Guard(keys), keys)


ROUTES = _routes()


def _paths(method: str) -> Iterator[str]:
    for route in ROUTES.router.routes:
        assert isinstance(route, Route)
        if method in route.methods and route.path not in OPEN:
            yield route.path


PAGES, ACTS = sorted(_paths("GET")), sorted(_paths("POST"))
NEED_MORE_THAN_READ = [path for path in ACTS if ROUTES.scopes[path.removeprefix("/console")] is not Scope.READ]


def _filled(path: str) -> str:
    return re.sub(r"{[^}]*}", "lamps.example%2F1", path)


@one_loop.fixture(scope="module")
async def world(mongodb):
    """One daemon for all routes: nothing here changes what it keeps."""
    async with (
        empty_database(mongodb, unused_name()) as database,
        RecordingRelay() as relay,
        console_world(mongodb, database, relay) as world,
    ):
        yield world


def test_there_are_pages_and_acts():
    assert "/console" in PAGES
    assert "/console/sign-out" in ACTS
    assert NEED_MORE_THAN_READ


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_leads_a_stranger_to_the_entrance(world, path):
    async with world.client() as client:
        answer = await client.get(_filled(path))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in?to=")


@pytest.mark.parametrize("path", ACTS)
async def test_an_act_refuses_a_stranger(world, path):
    async with world.client() as client:
        answer = await client.post(_filled(path), content="token=x", headers=FORM)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", NEED_MORE_THAN_READ)
async def test_an_act_refuses_a_reader(world, path):
    async with world.client(READER) as client:
        answer = await client.post(_filled(path), content="token=x", headers=FORM)
    assert answer.status_code == 403
    assert "lacks the scope" in answer.text


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("key", [OPERATOR, LAMPS_ONLY], ids=["operator", "one-shop"])
async def test_an_act_refuses_a_forged_form(world, path, key):
    async with world.client(key) as client:
        for content in ("", "token=", "token=AAAA", "sure=yes"):
            answer = await client.post(_filled(path), content=content, headers=FORM)
            assert answer.status_code == 403
            assert "This form is not from this session" in answer.text


@pytest.mark.parametrize("path", ACTS)
async def test_an_act_refuses_the_token_of_another_session(world, path):
    async with world.client(OPERATOR) as other:
        page = await other.get("/console")
        token = re.search(r'name="token" value="([^"]+)"', page.text)[1]
    async with world.client(OPERATOR) as client:
        answer = await client.post(_filled(path), content=f"token={token}", headers=FORM)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_keeps_to_itself(world, path):
    async with world.client(OPERATOR) as client, client.stream("GET", _filled(path)) as answer:
        assert answer.status_code < 500
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        if answer.headers["content-type"].startswith("text/html"):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'unsafe" not in policy


async def test_what_does_not_exist_is_a_page_that_says_so(world):
    async with world.client(OPERATOR) as client:
        answer = await client.get("/console/nowhere")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


async def test_a_static_file_is_kept_by_browsers_and_no_other_file_is_given(world):
    async with world.client() as client:
        assert "immutable" in (await client.get("/console/static/console.css")).headers["cache-control"]
        for name in ("nothing.css", "..%2Fdesk.py", "%2e%2e%2fdesk.py"):
            assert (await client.get(f"/console/static/{name}")).status_code == 404


async def test_another_method_is_told_the_methods_of_its_path(world):
    """And not those of the whole console."""
    async with world.client(OPERATOR) as client:
        for path, allowed in (("/console/pause", {"POST"}), ("/console/schedule", {"GET", "HEAD"})):
            answer = await client.put(path)
            assert answer.status_code == 405, path
            assert {each.strip() for each in answer.headers["allow"].split(",")} >= allowed
            assert "PUT" not in answer.headers["allow"]
