"""Signing in and out, in a browser and without one."""

import pytest

from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, REPORTER, console_world, tab


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_somebody_with_a_key_signs_in_and_out(browser, world, javascript):
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in_by_form(OPERATOR)
        assert await opened.page.get_by_role("heading", level=1).inner_text() == "Overview"
        assert "olga" in await opened.page.locator("header").inner_text()
        await opened.page.get_by_role("button", name="Sign out").click()
        await opened.go("/console")
        assert await opened.page.get_by_role("heading", level=1).inner_text() == "Sign in"


async def test_a_wrong_key_is_told_on_the_page(browser, world):
    async with tab(browser, world) as opened:
        await opened.go("/console")
        await opened.page.get_by_label("Key").fill("no such key, whatever it is")
        await opened.page.get_by_role("button", name="Sign in").click()
        assert await opened.page.get_by_role("alert").inner_text() == "This is not a valid key."


async def test_a_key_that_only_reports_is_told_what_it_lacks(world):
    async with world.client() as client:
        answer = await client.post("/console/sign-in", data={"key": REPORTER})
    assert answer.status_code == 403
    assert "neither the scope read nor operate" in answer.text
    assert "set-cookie" not in answer.headers


async def test_after_signing_in_one_is_where_one_wanted_to_be(browser, world):
    async with tab(browser, world) as opened:
        await opened.sign_in_by_form(READER, "/console?due=1")
        assert opened.page.url == f"{world.url}/console?due=1"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "//evil.example", "/console\\..", "/consoleevil", "/console/\r\nSet-Cookie: a=b", "/"],
    ids=["other-site", "no-scheme", "backslash", "prefix", "header", "root"],
)
async def test_signing_in_leads_nowhere_else(world, elsewhere):
    async with world.client() as client:
        answer = await client.post("/console/sign-in", data={"key": OPERATOR, "to": elsewhere})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console"


async def test_the_cookie_is_sealed_and_for_this_console_alone(world):
    async with world.client() as client:
        cookie = (await client.post("/console/sign-in", data={"key": OPERATOR})).headers["set-cookie"]
    assert "olga" not in cookie
    assert OPERATOR not in cookie
    for part in ("HttpOnly", "SameSite=strict", "Path=/console", "Max-Age=43200"):
        assert part in cookie


async def test_a_changed_cookie_is_none(world):
    async with world.client(OPERATOR) as client:
        sealed = client.cookies["recovery_console"]
        other = "B" if sealed[10] == "A" else "A"
        client.cookies.clear()
        answer = await client.get("/console", headers={"Cookie": f"recovery_console={sealed[:10]}{other}{sealed[11:]}"})
    assert answer.status_code == 303


async def test_a_session_ends_with_its_key(mongodb, database, relay, world):
    async with world.client(LAMPS_ONLY) as client:
        cookie = client.cookies["recovery_console"]
    keys = [{"name": "lena", "secret": "another-key-0123456789abcdef"}]
    async with (
        console_world(mongodb, database, relay, http={"port": 0, "keys": keys}) as later,
        later.client() as client,
    ):
        answer = await client.get("/console", headers={"Cookie": f"recovery_console={cookie}"})
    assert answer.status_code == 303


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_without_keys_this_machine_is_signed_in(browser, mongodb, database, relay, javascript):
    async with console_world(mongodb, database, relay, http={"port": 0}) as world:
        async with tab(browser, world, javascript=javascript) as opened:
            await opened.go("/console")
            await opened.page.wait_for_url(f"{world.url}/console")
            assert await opened.page.get_by_role("heading", level=1).inner_text() == "Overview"
        async with world.client() as client:
            answer = await client.get("/console/sign-in", headers={"Host": "rebound.example"})
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
