"""The default mails in every language, read as a mail program reads them: whole, and harmless whatever is in them."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from recovery.domain.checkout import Customer, Item
from recovery.domain.masking import greeted
from recovery.domain.masking import plain as plain_text
from recovery.domain.schedule import CONFIRMATION
from recovery.domain.state import CheckoutState
from recovery.mail.composer import Composer, Identity, RenderError
from recovery.mail.templates import samples
from recovery.mail.templates.lint import lint
from recovery.mail.templates.sandbox import NAMES
from recovery.mail.templates.templates import Templates
from tests.support.default_mails import LANGUAGES, STEPS, Addresses
from tests.support.mail_reading import keeps_to_its_lines, part, read
from tests.support.paths import ROOT

NOW = datetime(2026, 3, 5, 15, 0, tzinfo=UTC)
COMMON = ["To", "Subject", "Date", "Message-ID"]
LIST = ["List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"]
FIXED = ["From", "Auto-Submitted", "MIME-Version", "Content-Type"]


COMPOSER = Composer(Templates(), Identity("Lampenladen Müller & Söhne <shop@lamps.example>"), Addresses())


def parts(message: EmailMessage) -> tuple[str, str]:
    return part(message, "plain"), part(message, "html")


class Page(HTMLParser):
    """What of a page can act: its elements, the names of their attributes, and where they lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.leads_to: set[str] = set()
        self.styles: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.leads_to |= {urlsplit(value or "").scheme for name, value in attrs if name in ("href", "src")}
        self.styles |= {value or "" for name, value in attrs if name in ("style", "class", "bgcolor")}


@pytest.mark.parametrize("name", STEPS)
def test_no_field_is_read_by_jinjas_sandbox(name, monkeypatch):
    """Its checks of each field took as long as all the rest of a mail; what it has to check is one method."""
    read, step = [], STEPS[name]
    called = SandboxedEnvironment.getattr
    monkeypatch.setattr(SandboxedEnvironment, "getattr", lambda *asked: read.append(asked[2]) or called(*asked))
    COMPOSER.compose(samples.of(step.name, "en"), step, NOW)
    assert set(read) <= {"splitlines"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", STEPS)
def test_default_mail_is_a_sound_message(name: str, language: str) -> None:
    """Each mail has the headers that belong to it, two parts, short lines, and nothing but ASCII on the wire."""
    envelope = COMPOSER.compose(samples.of(name, language), STEPS[name], NOW)
    message = read(envelope)
    assert message.keys() == [*COMMON, *([] if name == CONFIRMATION else LIST), *FIXED]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"].addresses[0].display_name == "Lampenladen Müller & Söhne"
    assert envelope.sender == "bounces+1f0c@in.lamps.example"
    assert envelope.content.isascii()
    assert keeps_to_its_lines(envelope.content)
    assert b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n" in envelope.content
    item = samples.of(name, language).facts.items[0].name
    text, html = parts(message)
    assert item in text
    assert item in html
    assert f'<html lang="{language}"' in html
    assert (item in message["Subject"]) == (name != CONFIRMATION)


NASTY = st.sampled_from(
    [
        "\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>",
        "\nList-Unsubscribe: <https://evil.example>",
        "=?utf-8?q?=0D=0ABcc:=20eve@evil.example?=",
        '"><img src=x onerror=alert(1)>',
        "' style='position:fixed' onclick='x",
        "</title></style></td></table><script>alert(1)</script>",
        "<a href=javascript:alert(1)>x</a>",
        "javascript:alert(1)",
        "data:text/html;base64,PHNjcmlwdD4=",
        "<![endif]--><script>",
        "--=_recovery--",
        "{{ 7 * 7 }}{% raw %}",
        "&lt;script&gt;&#60;b&#62;",
        "\x00\x1b[31m\x85\u2028\u202e",
        "山田 \U0001f9d1\u200d\U0001f680",
    ]
)
WORDS = st.lists(st.one_of(st.text(max_size=30), NASTY), min_size=1, max_size=4).map("".join).filter(bool)
URLS = st.one_of(
    WORDS,
    NASTY.map(lambda text: "https://shop.example/" + text),
    NASTY.map(lambda text: "https://shop.example/?q=" + re.sub(r"[\x00-\x20]", "", text)),
)


def of(name: str, language: str, words: list[str], urls: list[str]) -> CheckoutState:
    """A checkout with these words and addresses wherever a shop or a customer can put any; nothing is checked."""
    customer, item, variant, shop, order_id = words
    back, item_url, image_url = urls
    plain = samples.of(name, language)
    items = (
        Item.model_construct(
            **dict(plain.facts.items[0]) | {"name": item, "variant": variant, "url": item_url, "image_url": image_url}
        ),
        plain.facts.items[1],
    )
    changed = {
        "customer": Customer.model_construct(email="ada@example.com", name=customer),
        "items": items,
        "checkout_url": back,
    }
    facts = plain.facts.model_copy(update=changed)
    return plain.model_copy(update={"id": f"{shop.replace('/', '')}/{order_id}", "facts": facts})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(list(STEPS)),
    language=st.sampled_from(LANGUAGES),
    words=st.lists(WORDS, min_size=5, max_size=5),
    urls=st.lists(URLS, min_size=3, max_size=3),
)
@example(name="reminder-1", language="en", words=["\r\nBcc: eve@evil.example"] * 5, urls=["https://a.example/"] * 3)
@example(name="reminder-2", language="de", words=['"><script>'] * 5, urls=['https://a.example/"><script>'] * 3)
@example(name="reminder-3", language="ja", words=["' onclick='x"] * 5, urls=["https://a.example/'onclick='x"] * 3)
@example(name="confirmation", language="en", words=["</title><script>"] * 5, urls=["https://a.example/"] * 3)
@example(name="reminder-1", language="en", words=["x"] * 5, urls=["javascript:alert(1)"] * 3)
@example(name="reminder-1", language="en", words=["\x1b\u202e"] * 5, urls=["https://a.example/"] * 3)
def test_nothing_that_is_put_into_a_mail_can_act(name: str, language: str, words: list[str], urls: list[str]) -> None:
    """No text or address adds a header, an element, an attribute or a style, or leads anywhere but to the web.

    An address that is none of the web gets no mail made at all.
    """
    try:
        message = read(COMPOSER.compose(of(name, language, words, urls), STEPS[name], NOW))
    except RenderError as exc:
        assert "cannot be used in a mail" in str(exc)  # noqa: PT017
        assert not all(
            urlsplit(url).scheme in ("http", "https") and url.isprintable() and " " not in url for url in urls
        )
        return
    nobody = ["x" if greeted(words[0]) else "", "x", "x" if plain_text(words[2]) else "", "x", "x"]
    harmless = read(COMPOSER.compose(of(name, language, nobody, ["https://a.example/"] * 3), STEPS[name], NOW))
    assert message.keys() == harmless.keys()
    for header in {*message.keys()} - {"To", "Subject", "Message-ID"}:
        assert message[header] == harmless[header]
    assert [address.addr_spec for address in message["To"].addresses] == ["ada@example.com"]
    assert [part.get_content_type() for part in message.walk()] == [part.get_content_type() for part in harmless.walk()]
    page, plain = Page(parts(message)[1]), Page(parts(harmless)[1])
    assert page.elements == plain.elements
    assert page.leads_to <= {"http", "https"}
    assert page.styles <= plain.styles


def test_what_the_documentation_shows_works(tmp_path: Path) -> None:
    """The words and the mail of docs/templates.md can be used as they stand, and it names all that a template sees."""
    text = (ROOT / "docs" / "templates.md").read_text()
    words, *_ = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (own,) = re.findall(r"```jinja\n(.*?)```", text, re.DOTALL)
    winback = "".join(f'{key} = "{key}"\n' for key in ("subject", "preheader", "headline", "lead", "closing"))
    (tmp_path / "words.toml").write_text(f"{words}\n[winback]\n{winback}")
    (tmp_path / "winback.html.j2").write_text(own)
    (tmp_path / "winback.txt.j2").write_text(re.sub("</?bdi>", "", own.replace("html", "txt")))
    steps = [STEPS["reminder-1"], replace(STEPS["reminder-2"], template="winback")]
    assert [finding for finding in lint(tmp_path, steps) if not finding.is_warning] == []
    templates = Templates(tmp_path)
    assert templates.render(steps[0], samples.left_open()).subject == "Your Arc floor lamp is waiting"
    assert "See you, lampshop.example" in templates.render(steps[1], samples.left_open()).text
    table = text.partition("## What a template sees")[2].partition("\n## ")[0]
    assert {name for name in re.findall(r"`([a-z_]+)`", table) if name in NAMES} == NAMES
    for link in re.findall(r"\]\((?!http|#)([^)]+)\)", text):
        assert (ROOT / "docs" / link.partition("#")[0]).exists(), link
