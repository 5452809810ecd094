"""The words of a mail in the console: edited, checked, saved, undone, and in the mails of a running daemon."""

import re
from dataclasses import replace
from functools import partial
from html import unescape

import pytest

from recovery.domain.edits import ALL_SHOPS, Edit
from recovery.mail.templates import templates
from recovery.mail.templates.trial import LIMITS, tried
from recovery.mongo.words import EditedWords
from tests.support import one_loop
from tests.support.builders import NOON
from tests.support.console_forms import post, token_of
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, console_world, tab
from tests.support.seen_pages import look

MAIL = "/console/mails/%2A/reminder-1/en"
PAGE = f"{MAIL}/edit"
LAMPS = "/console/mails/lamps.example/reminder-1/en/edit"
SUBJECT, LEAD, FOOT = "word:reminder-1:subject", "word:reminder-1:lead", "word::foot"
DEFAULT = "You left Arc floor lamp behind"


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch):
    """A trial has time on a machine that does other things."""
    monkeypatch.setattr(templates, "tried", partial(tried, limits=replace(LIMITS, wall_time=300)))


@one_loop.fixture
async def world(mongodb, database, relay):
    """A daemon with few mails: each trial makes all of them in all languages."""
    schedule = {"steps": [{"name": "reminder-1", "delay": "2h"}]}
    async with console_world(mongodb, database, relay, schedule=schedule, confirmation={"enabled": False}) as world:
        yield world


async def _save(client, page, fields, version=0):
    """Save words with a yes; return the answer."""
    token = await token_of(client, page)
    asked = await post(client, page, token, {"do": "save", "version": version, **fields})
    assert asked.question, asked.text
    return await post(client, page, asked.yes[0], asked.yes[1])


def _fault(text, name):
    """Return the fault beside a field."""
    beside = text.partition(f'<small id="about:{name}">')[2].partition("</small>")[0]
    return unescape((re.search(r'<b class="wrong" role="alert">([^<]*)</b>', beside) or ["", ""])[1])


async def _nothing_stored(world):
    return await world.database["words"].count_documents({}) == 0


async def test_the_page_has_each_word_with_where_it_comes_from(world):
    async with world.client(OPERATOR) as client:
        assert f'href="{PAGE}"' in (await client.get(MAIL)).text
        text = (await client.get(PAGE)).text
        german = (await client.get(PAGE.replace("/en/", "/de/"))).text
    for name in (SUBJECT, LEAD, FOOT, "word::button"):
        assert f'name="{name}"' in text
    assert "word::language" not in text
    assert "from the package, words.toml" in text
    assert "from the package, words.de.toml" in german
    assert "Nobody has changed a word here" in text


async def test_what_was_checked_is_shown_and_not_saved(world):
    async with world.client(OPERATOR) as client:
        token = await token_of(client, PAGE)
        answer = await post(client, PAGE, token, {"do": "check", "version": 0, SUBJECT: "Hi", LEAD: "Look & <see>"})
        assert answer.status == 200
        assert "Checked, and not saved yet" in answer.text
        assert "2 changed" in answer.text
        assert "lint found nothing" in answer.text
        framed = await client.get(unescape(re.search(r'<iframe[^>]* src="([^"]*)"', answer.text)[1]))
        assert "Look &amp; &lt;see&gt;" in framed.text
        assert framed.headers["content-security-policy"].startswith("sandbox;")
        assert DEFAULT in (await client.get(MAIL)).text
    assert await _nothing_stored(world)


async def test_words_are_saved_after_a_yes_and_are_in_the_mails_at_once(world):
    async with world.client(OPERATOR) as client:
        token = await token_of(client, PAGE)
        asked = await post(client, PAGE, token, {"do": "save", "version": 0, SUBJECT: "It waits", FOOT: "Bye"})
        assert asked.question == "Save 2 words of all shops in English?"
        assert "reminder-1, subject: the word of the files → “It waits”" in unescape(asked.text)
        assert await _nothing_stored(world)
        done = await post(client, PAGE, asked.yes[0], asked.yes[1])
        assert done.said == "Saved 2 words of all shops in English, as version 1. Mails have them in seconds."
        page = (await client.get(PAGE)).text
        assert "It waits" in (await client.get(MAIL)).text
    assert "from the console" in page
    assert f"without the console: <bdi>{'You left {{ items[0].name }} behind'}</bdi>" in page
    assert "Version 1" in page
    assert "by <bdi>olga</bdi>" in page
    version = await EditedWords(world.database).newest(ALL_SHOPS, "")
    assert (version.by, version.edit.words) == (
        "olga",
        ((("", "foot"), "Bye"), (("reminder-1", "subject"), "It waits")),
    )


async def test_an_empty_field_falls_back_and_a_word_as_in_the_files_is_not_kept(world):
    async with world.client(OPERATOR) as client:
        await _save(client, PAGE, {SUBJECT: "A", LEAD: "B"})
        done = await _save(client, PAGE, {SUBJECT: "", LEAD: "B"}, version=1)
        assert "version 2" in done.said
        assert DEFAULT in (await client.get(MAIL)).text
        token = await token_of(client, PAGE)
        same = await post(client, PAGE, token, {"do": "save", "version": 2, LEAD: "B"})
        assert "There is nothing to save" in same.text
    words = EditedWords(world.database)
    assert (await words.newest(ALL_SHOPS, "")).edit.words == ((("reminder-1", "lead"), "B"),)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{{ custommer.name }}", "'custommer' is undefined"),
        ("{% if %}", "Expected an expression"),
        ("{{ customer.name.upper() }}", "'None' has no attribute 'upper'"),
        ("{{ items[99].name }}", "has no element 99"),
        ("x" * 2001, "at most 2000 characters"),
        ("\x00", "control character"),
    ],
    ids=["name", "syntax", "no name", "item", "long", "control"],
)
async def test_words_that_do_not_pass_are_told_beside_the_field_and_not_stored(world, text, fault):
    async with world.client(OPERATOR) as client:
        token = await token_of(client, PAGE)
        for do in ({"do": "check"}, {"do": "save"}, {"do": "save", "sure": "yes"}):
            answer = await post(client, PAGE, token, {"version": 0, LEAD: text, SUBJECT: "Fine", **do})
            assert answer.status == 422
            assert fault in _fault(answer.text, LEAD)
            assert "console/*/" not in answer.text
            assert ">\nFine</textarea>" in answer.text
            assert _fault(answer.text, SUBJECT) == ""
        assert DEFAULT in (await client.get(MAIL)).text
    assert await _nothing_stored(world)


async def test_words_without_an_end_are_tried_in_a_process_of_their_own(world):
    loops = "".join(f"{{% for {each} in range(1000) %}}" for each in "abc") + "{% endfor %}" * 3
    async with world.client(OPERATOR) as client:
        token = await token_of(client, PAGE)
        answer = await post(client, PAGE, token, {"do": "check", "version": 0, LEAD: loops})
    assert answer.status == 422
    assert "of CPU time" in answer.text
    assert await _nothing_stored(world)


@pytest.mark.parametrize(
    "fields",
    [{"word:reminder-1:subjct": "x"}, {"word:winback:subject": "x"}, {"word::language": "ar"}, {"version": "new"}],
)
async def test_a_field_of_no_word_is_refused(world, fields):
    async with world.client(OPERATOR) as client:
        token = await token_of(client, PAGE)
        answer = await post(client, PAGE, token, {"do": "save", "sure": "yes", "version": 0, SUBJECT: "x", **fields})
        assert answer.status == 422
    assert await _nothing_stored(world)


async def test_of_two_who_save_the_second_is_told_and_nothing_is_lost(world):
    async with world.client(OPERATOR) as client:
        token = await token_of(client, PAGE)
        await _save(client, PAGE, {SUBJECT: "First", LEAD: "First"})
        late = {"do": "save", "version": 0, SUBJECT: "Second", FOOT: "Second"}
        text = unescape((await client.get(PAGE)).text)
        late[LEAD] = re.search(rf'id="{LEAD}"[^>]*placeholder="([^"]*)"', text)[1]
        for sure in ({}, {"sure": "yes"}):
            answer = await post(client, PAGE, token, {**late, **sure})
            assert answer.status == 409
            assert "olga has saved version 1 since you opened this page" in answer.text
            assert _fault(answer.text, SUBJECT) == "olga has changed this word to: First"
            assert ">\nSecond</textarea>" in answer.text
            assert ">\nFirst</textarea>" in answer.text  # the lead, which they did not touch
            assert 'name="version" value="1"' in answer.text
        assert "First" in (await client.get(MAIL)).text
        done = await _save(client, PAGE, {SUBJECT: "Second", LEAD: "First", FOOT: "Second"}, version=1)
        assert "version 2" in done.said
    words = EditedWords(world.database)
    assert [each.number for each in await words.history(ALL_SHOPS, "")] == [2, 1]
    assert dict((await words.newest(ALL_SHOPS, "")).edit.words)["reminder-1", "lead"] == "First"


async def test_a_change_is_undone_and_an_earlier_version_and_the_files_come_back(world):
    async with world.client(OPERATOR) as client:
        await _save(client, PAGE, {SUBJECT: "One"})
        await _save(client, PAGE, {SUBJECT: "Two"}, version=1)
        page = (await client.get(PAGE)).text
        assert '<del dir="auto">One</del>' in page
        assert '<ins dir="auto">Two</ins>' in page
        token = await token_of(client, PAGE, "/restore")
        asked = await post(client, f"{PAGE}/restore", token, {"restored": 1, "version": 2})
        assert asked.question == "Go back to the words of version 1 in all shops in English? 1 word will change."
        assert "Two" in (await client.get(MAIL)).text
        done = await post(client, f"{PAGE}/restore", asked.yes[0], asked.yes[1])
        assert "as version 3" in done.said
        assert "One" in (await client.get(MAIL)).text
        files = {"restored": 0, "version": 3, "sure": "yes"}
        assert "as version 4" in (await post(client, f"{PAGE}/restore", token, files)).said
        assert DEFAULT in (await client.get(MAIL)).text
        late = await post(client, f"{PAGE}/restore", token, {"restored": 2, "version": 3, "sure": "yes"})
        assert late.status == 409
        assert "olga has saved version 4" in late.text
        assert (await post(client, f"{PAGE}/restore", token, {"restored": 9, "version": 4})).status == 404
        assert "Nothing was changed" in (await post(client, f"{PAGE}/restore", token, files | {"version": 4})).said
    assert len(await EditedWords(world.database).history(ALL_SHOPS, "")) == 4


async def test_words_that_no_longer_fit_the_templates_do_not_come_back(world):
    words = EditedWords(world.database)
    await words.save(Edit(ALL_SHOPS, "", ((("reminder-1", "lead"), "{{ nobody }}"),)), "olga", NOON, after=0)
    await words.save(Edit(ALL_SHOPS, ""), "olga", NOON, after=1)
    async with world.client(OPERATOR) as client:
        token = await token_of(client, PAGE, "/restore")
        answer = await post(client, f"{PAGE}/restore", token, {"restored": 1, "version": 2, "sure": "yes"})
    assert answer.status == 409
    assert "'nobody' is undefined" in unescape(answer.text)
    assert len(await words.history(ALL_SHOPS, "")) == 2


async def test_a_key_of_one_shop_edits_the_words_of_that_shop_alone(world):
    words = EditedWords(world.database)
    async with world.client(LAMPS_ONLY) as client:
        assert "Saved 1 word of lamps.example in English" in (await _save(client, LAMPS, {SUBJECT: "Lamps!"})).said
        token = await token_of(client, LAMPS)
        restore = await token_of(client, LAMPS, "/restore")
        for page in (PAGE, LAMPS.replace("lamps.", "shop.")):
            assert (await client.get(page)).status_code == 404
            fields = {"do": "save", "sure": "yes", "version": 0, SUBJECT: "x"}
            assert (await post(client, page, token, fields)).status == 404
            fields = {"restored": 0, "version": 0, "sure": "yes"}
            assert (await post(client, f"{page}/restore", restore, fields)).status == 404
        sealed = await post(client, LAMPS, token, {"do": "check", "version": 1, SUBJECT: "Checked"})
        framed = unescape(re.search(r'<iframe[^>]* src="([^"]*)"', sealed.text)[1])
        assert (await client.get(framed)).status_code == 200
        assert (await client.get(framed.replace("lamps.example", "%2A"))).status_code == 404
    async with world.client(OPERATOR) as client:
        assert (await client.get(framed.replace("lamps.example", "%2A"))).status_code == 404
        assert DEFAULT in (await client.get(MAIL)).text
        assert "Lamps!" in (await client.get(LAMPS.removesuffix("/edit"))).text
    assert set(await words.numbers()) == {"lamps.example/"}


async def test_words_that_were_not_checked_are_not_rendered(world):
    async with world.client(OPERATOR) as client:
        for words in ("", "?words=", "?words=AAAA", "?words=é"):
            assert (await client.get(f"/console/word-frames/%2A/reminder-1/en{words}")).status_code == 404


async def test_a_reader_reads_the_words_and_their_history_and_changes_nothing(world):
    async with world.client(OPERATOR) as client:
        await _save(client, PAGE, {SUBJECT: "One"})
    async with world.client(READER) as client:
        text = (await client.get(PAGE)).text
    assert "One" in text
    assert "readonly" in text
    assert "Version 1" in text
    assert "<button" not in text.partition("<main")[2]


async def test_the_log_names_who_did_it_and_no_word(world, caplog):
    async with world.client(OPERATOR) as client:
        await _save(client, PAGE, {SUBJECT: "Secret sale"})
    assert "Secret sale" not in caplog.text


async def test_a_folder_of_the_shop_s_own_stands_above_the_words_for_all(mongodb, database, relay, tmp_path):
    (tmp_path / "words.toml").write_text('[reminder-1]\nsubject = "Folder"\n')
    shop = {"mail": {"sender": "Lamps <hello@lamps.example>", "templates": str(tmp_path)}}
    shops = {"lamps.example": shop}
    async with console_world(mongodb, database, relay, shops=shops) as world, world.client(OPERATOR) as client:
        await _save(client, PAGE, {SUBJECT: "All", LEAD: "For all"})
        page = (await client.get(LAMPS)).text
        mail = (await client.get(LAMPS.removesuffix("/edit"))).text
        assert "All" in (await client.get(MAIL)).text
        await _save(client, LAMPS, {SUBJECT: "Own"})
        assert "Own" in (await client.get(LAMPS.removesuffix("/edit"))).text
    assert "Folder" in mail
    assert "For all" in mail
    assert "from the folder, words.toml" in page
    assert "from the console, for all shops" in page


async def test_words_are_edited_in_a_browser_without_a_script(browser, world):
    async with tab(browser, world, javascript=False) as opened:
        await opened.sign_in(OPERATOR, PAGE)
        page = opened.page
        await page.get_by_label("headline").fill("Still {{ nobody }}")
        await page.get_by_role("button", name="Check").click()
        assert "'nobody' is undefined" in await page.get_by_role("alert").inner_text()
        await page.get_by_label("headline").fill("Still here")
        await page.get_by_role("button", name="Check").click()
        await page.frame_locator("iframe").get_by_role("heading", name="Still here").wait_for()
        await page.get_by_role("link", name="Dark").click()
        await page.frame_locator("iframe").get_by_role("heading", name="Still here").wait_for()
        assert await page.get_by_label("headline").input_value() == "Still here"
        await page.get_by_role("button", name="Save…").click()
        await page.get_by_role("button", name="Save", exact=True).click()
        assert "Saved 1 word" in await page.get_by_role("status").inner_text()
        await page.frame_locator("iframe").get_by_role("heading", name="Still here").wait_for()
        await page.get_by_role("button", name="Undo").click()
        await page.get_by_role("button", name="Go back").click()
        assert "Went back to the words of the files" in await page.get_by_role("status").inner_text()


async def test_the_page_fits_and_can_be_read_by_all(browser, world):
    words = EditedWords(world.database)
    key = ("reminder-1", "lead")
    await words.save(Edit(ALL_SHOPS, "", ((key, "One " * 60),)), "olga", NOON, after=0)
    await words.save(Edit(ALL_SHOPS, "", ((key, "Two"), (("", "foot"), "Bye"))), "olga", NOON, after=1)
    await look(browser, world, OPERATOR, PAGE, "Words of reminder-1 in English")


async def test_a_checked_page_with_faults_can_be_read_by_all(browser, world):
    from tests.support.accessibility import findings

    async with tab(browser, world, width=390, scheme="dark") as opened:
        await opened.sign_in(OPERATOR, PAGE)
        for text in ("{{ nobody }}", "Fine"):
            await opened.page.get_by_label("headline").fill(text)
            await opened.page.get_by_role("button", name="Check").click()
            await opened.page.get_by_role("alert" if "nobody" in text else "heading", name=None).first.wait_for()
            assert await findings(opened.page) == []
