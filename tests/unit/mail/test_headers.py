"""Headers of a mail: addresses, Message-ID, list headers, return path."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from recovery.domain.masking import WORD_JOINER, is_plain
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.composer import Composer, Identity, RenderError, message_id
from recovery.mail.templates import samples
from recovery.mail.templates.templates import Templates
from tests.support.mail_reading import (
    COMPOSER,
    HEADERS,
    IDENTITY,
    NOW,
    STEP,
    TEMPLATES,
    elements,
    keeps_to_its_lines,
    left,
    part,
    read,
    recipient,
)

LIST_HEADERS = ["List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"]


class Addresses:
    """The addresses of each mail, as they are given here."""

    def __init__(self, unsubscribe: str | None = None, back: str | None = None, path: str | None = None) -> None:
        self.addresses = unsubscribe, back, path
        self.asked: set[tuple[str, str]] = set()

    def unsubscribe(self, shop: str, email: str, language: str = "") -> str | None:
        self.asked.add((shop, email))
        return self.addresses[0]

    def back(self, checkout: CheckoutState, step: Step) -> str | None:
        return self.addresses[1] and f"{self.addresses[1]}?step={step.name}&of={checkout.id}"

    def return_path(self, shop: str, email: str) -> str | None:
        self.asked.add((shop, email))
        return self.addresses[2]


def test_headers() -> None:
    """A message says whom it is from, when it was made, where answers go, and that a program wrote it."""
    envelope = COMPOSER.compose(left(), STEP, NOW)
    message = read(envelope)
    assert message["From"] == "Lamp Shop <shop@lamps.example>"
    assert message["Reply-To"] == "Ada & Bob <help@lamps.example>"
    assert message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == envelope.message_id == message_id(left().id, "reminder-1", "lamps.example")
    assert (envelope.sender, envelope.recipient) == ("shop@lamps.example", "ada@example.com")


def test_reply_to_only_if_set() -> None:
    """Without a reply-to there is no such header; a name of its own domain may be given to Message-IDs."""
    composer = Composer(TEMPLATES, Identity("shop@lamps.example", domain="bücher.example"))
    message = read(composer.compose(left(), STEP, NOW))
    assert message.keys() == [header for header in HEADERS if header != "Reply-To"]
    assert message["From"] == "shop@lamps.example"
    assert message["Message-ID"].endswith("@xn--bcher-kva.example>")


def test_message_id_is_the_same_for_the_same_message() -> None:
    """A message's id depends on its checkout and step, and on nothing else."""
    first = COMPOSER.compose(left(), STEP, NOW)
    again = COMPOSER.compose(left(item="Other", name="Eve"), STEP, NOW + timedelta(days=1))
    assert first.message_id == again.message_id
    assert re.fullmatch(r"<[0-9a-f]{40}@lamps\.example>", first.message_id)
    ids = {message_id(checkout, step, "a.example") for checkout in ("a/1", "a/11") for step in ("1", "11")}
    assert len(ids) == 4


def test_same_facts_make_the_same_bytes() -> None:
    """Composing is a function of the checkout, the step and the time."""
    assert COMPOSER.compose(left(), STEP, NOW) == Composer(Templates(), IDENTITY).compose(left(), STEP, NOW)


def test_international_domain_goes_as_punycode() -> None:
    """A domain outside ASCII needs no special relay."""
    envelope = COMPOSER.compose(left(email="ada@bücher.example"), STEP, NOW)
    assert envelope.recipient == "ada@xn--bcher-kva.example"
    assert read(envelope)["To"].addresses[0].addr_spec == "ada@xn--bcher-kva.example"
    assert not envelope.needs_utf8


def test_international_local_part_needs_utf8() -> None:
    """A local part outside ASCII stands raw in the To header, and only there; the relay must know SMTPUTF8."""
    envelope = COMPOSER.compose(left(name="Пётр", email="пётр@bücher.example"), STEP, NOW)
    assert envelope.needs_utf8
    assert envelope.recipient == "пётр@xn--bcher-kva.example"
    raw = [line for line in envelope.content.split(b"\r\n") if not line.isascii()]
    assert raw == ["To: =?utf-8?b?0J/RkdGC0YA=?= <пётр@xn--bcher-kva.example>".encode()]


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.com\r\nBcc: eve@evil.example",
        "ada@example.com\n",
        "ada@example.com, eve@evil.example",
        "<ada@example.com>",
        "=?utf-8?q?=0ABcc?=@example.com",
        "ada",
        "",
    ],
)
def test_bad_address_is_refused(email: str) -> None:
    """An address that is none, or that a reader could take for more than one address, gets no mail."""
    with pytest.raises(RenderError, match=r"^reminder-1: "):
        COMPOSER.compose(left(email=email), STEP, NOW)


@pytest.mark.parametrize(
    ("checkout", "step", "fault"),
    [
        (left(customer=None), STEP, "the checkout has no customer to write to"),
        (left(items=()), STEP, 'the subject "{{ items[0].name }}": '),
        (left(name="\ud800"), STEP, "surrogates not allowed"),
        (left(checkout_url="javascript:alert(1)"), STEP, "must be an http:// or https:// address"),
        (left(currency=5), STEP, "layout.txt.j2, line 19: TypeError"),
        (left(), Step("late", timedelta(), "gone", "", timedelta()), "gone.txt.j2: no such template"),
    ],
)
def test_every_fault_is_a_render_error(checkout: CheckoutState, step: Step, fault: str) -> None:
    """Whatever keeps a mail from being made is one kind of error, which names the step, the fault and its cause."""
    with pytest.raises(RenderError, match=f"^{step.name}: .*{re.escape(fault)}") as caught:
        COMPOSER.compose(checkout, step, NOW)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("identity", "fault"),
    [
        (Identity("Lamp Shop"), "the sender 'Lamp Shop' is not a valid address"),
        (Identity("<shop@lamps.example> Lamps"), "the sender"),
        (Identity("shop@lamps.example\r\nBcc: eve@evil.example"), "the sender"),
        (Identity("läden@lamps.example"), "the sender"),
        (Identity("shop@lamps.example", reply_to="nobody"), "the reply-to 'nobody' is not a valid address"),
        (Identity("shop@lamps.example", domain="a b"), "the Message-ID domain"),
        (Identity("shop@lamps.example", list_id="Lamps"), "the List-Id 'Lamps' is invalid"),
        (Identity("shop@lamps.example", list_id="Lamps <a.b\r\nBcc: c>"), "the List-Id"),
    ],
)
def test_bad_identity_is_reported_at_the_start(identity: Identity, fault: str) -> None:
    """An identity that cannot send is refused in a sentence, before the first mail."""
    with pytest.raises(ValueError, match=fault):
        Composer(TEMPLATES, identity)


@pytest.mark.parametrize(
    "sender",
    [
        "Lämpchen <shop@lamps.example>",
        '"Lamps, Inc" <shop@lamps.example>',
        "Lamps, Inc <shop@lamps.example>",
        "shop@mailhost",
    ],
)
def test_sender_may_have_any_name(sender: str) -> None:
    """The sender's name may be in any script, and his host in a private network."""
    message = read(Composer(TEMPLATES, Identity(sender)).compose(left(), STEP, NOW))
    assert str(message["From"]).replace('"', "") == sender.replace('"', "")


@pytest.mark.parametrize(
    "sender", [r'"The \"Lamp\" Shop" <shop@lamps.example>', 'The "Lamp" Shop <shop@lamps.example>']
)
def test_quotes_in_the_sender_s_name_arrive(sender: str) -> None:
    """A name with quotes in it reaches the customer with them, and with no backslash."""
    message = read(Composer(TEMPLATES, Identity(sender)).compose(left(), STEP, NOW))
    assert message["From"].addresses[0].display_name == 'The "Lamp" Shop'


def test_reminders_carry_one_click_unsubscribe() -> None:
    """A reminder holds the link to unsubscribe in its foot, in text and HTML, and in the headers of RFC 8058."""
    links = Addresses(unsubscribe="https://r.example/u/token")
    message = read(Composer(TEMPLATES, IDENTITY, links).compose(left(), STEP, NOW))
    assert message.keys() == [*HEADERS[:4], *LIST_HEADERS, *HEADERS[4:]]
    assert message["List-Unsubscribe"] == "<https://r.example/u/token>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == '"Lamp Shop" <reminders.lamps.example>'
    assert "Unsubscribe: https://r.example/u/token" in part(message, "plain")
    assert any(("href", "https://r.example/u/token") in attributes for _, attributes in elements(part(message, "html")))
    assert links.asked == {("lampshop.example", "ada@example.com")}


def test_links_are_made_for_the_normalised_address() -> None:
    """However a customer's address is written, link and return path are the same; the mail goes to it as written."""
    links = Addresses(unsubscribe="https://r.example/u/token", path="bounces@lamps.example")
    envelope = Composer(TEMPLATES, IDENTITY, links).compose(left(email="Ada@EXAMPLE.com"), STEP, NOW)
    assert links.asked == {("lampshop.example", "ada@example.com")}
    assert envelope.recipient == "Ada@EXAMPLE.com"


def test_confirmations_cannot_be_unsubscribed_from() -> None:
    """A confirmation is no subscription: it has none of the headers, and no link."""
    confirmation = Step("confirmation", timedelta(), "confirmation", None, timedelta(days=1))
    links = Addresses(unsubscribe="https://r.example/u/token", path="bounces@lamps.example")
    envelope = Composer(TEMPLATES, IDENTITY, links).compose(samples.ordered(), confirmation, NOW)
    assert read(envelope).keys() == HEADERS
    assert "r.example" not in part(read(envelope), "plain") + part(read(envelope), "html")
    assert envelope.sender == "bounces@lamps.example"


def test_a_list_id_may_be_given() -> None:
    """The shop's own List-Id is taken, its name encoded where need be."""
    identity = Identity("shop@lamps.example", list_id="Lämpchen <nightly.lamps.example>")
    composer = Composer(TEMPLATES, identity, Addresses(unsubscribe="https://r.example/u"))
    assert str(read(composer.compose(left(), STEP, NOW))["List-Id"]) == "Lämpchen <nightly.lamps.example>"
    composer = Composer(TEMPLATES, Identity("shop@lamps.example"), Addresses(unsubscribe="https://r.example/u"))
    assert read(composer.compose(left(), STEP, NOW))["List-Id"] == "<reminders.lamps.example>"


@pytest.mark.parametrize("length", [20, 60, 61, 200, 978])
def test_a_long_link_to_unsubscribe_is_never_folded(length: int) -> None:
    """Whatever its length, the link stands on the line of its header, which keeps to the limit of RFC 5322."""
    link = "https://r.example/".ljust(length, "x")
    envelope = Composer(TEMPLATES, IDENTITY, Addresses(unsubscribe=link)).compose(left(), STEP, NOW)
    assert f"List-Unsubscribe: <{link}>\r\n".encode() in envelope.content
    assert keeps_to_its_lines(envelope.content, header=min(998, max(78, length + 20)))
    assert read(envelope)["List-Unsubscribe"].strip() == f"<{link}>"


@pytest.mark.parametrize(
    "link",
    [
        "https://r.example/".ljust(979, "x"),
        "https://r.example/a b",
        "https://r.example/\r\nBcc: eve@evil.example",
        "https://r.example/ü",
        "https://r.example/>, <https://evil.example/",
        "javascript:alert(1)",
    ],
)
def test_a_bad_link_to_unsubscribe_is_refused(link: str) -> None:
    """A link that could not stand in the header as one address gets no mail made."""
    with pytest.raises(RenderError, match="link"):
        Composer(TEMPLATES, IDENTITY, Addresses(unsubscribe=link)).compose(left(), STEP, NOW)


def test_a_link_that_is_not_https_stays_out_of_the_headers() -> None:
    """RFC 8058 takes https alone: on a developer's machine the link is in the foot only."""
    composer = Composer(TEMPLATES, IDENTITY, Addresses(unsubscribe="http://127.0.0.1:8080/u"))
    message = read(composer.compose(left(), STEP, NOW))
    assert message.keys() == HEADERS
    assert "http://127.0.0.1:8080/u" in part(message, "plain")


def test_the_button_holds_the_link_back_that_is_made_for_it() -> None:
    """The link back is the one made for this checkout and step; without one there is no button."""
    way = "https://lampshop.example/c?step=reminder-1&of=lampshop.example/1042"
    message = read(
        Composer(TEMPLATES, IDENTITY, Addresses(back="https://lampshop.example/c")).compose(left(), STEP, NOW)
    )
    assert [dict(each)["href"] for tag, each in elements(part(message, "html")) if tag == "a"] == [way]
    assert way in part(message, "plain")
    message = read(Composer(TEMPLATES, IDENTITY, Addresses()).compose(left(), STEP, NOW))
    assert "://" not in part(message, "plain") + part(message, "html")


def test_bounces_come_to_the_return_path() -> None:
    """Mail is handed over from the return path where there is one, else from the sender."""
    for path, sender in ((None, "shop@lamps.example"), ("b+ada=x@in.lamps.example", "b+ada=x@in.lamps.example")):
        envelope = Composer(TEMPLATES, IDENTITY, Addresses(path=path)).compose(left(), STEP, NOW)
        assert envelope.sender == sender
        assert "shop@lamps.example" in read(envelope)["From"]
    for broken in ("bounces", "b@x.example> SIZE=1", "b@x.example\r\nRCPT TO:<eve@evil.example>", "ü@x.example"):
        with pytest.raises(RenderError, match="the return path"):
            Composer(TEMPLATES, IDENTITY, Addresses(path=broken)).compose(left(), STEP, NOW)


def test_a_coupon_is_shown_where_the_step_gives_one() -> None:
    """The code of a step stands in its text and HTML, escaped, and nowhere else."""
    for step, count in ((STEP, 0), (replace(STEP, coupon="<LAMP-10>"), 1)):
        message = read(COMPOSER.compose(left(), step, NOW))
        assert part(message, "plain").count("Your coupon code: <LAMP-10>") == count
        assert part(message, "html").count("&lt;LAMP-10&gt;") == count
        assert part(message, "html").count("Your coupon code<") == count


@pytest.mark.parametrize("name", ["see https://evil.example/login", "call +1 900 555 12", "a" * 61])
def test_a_message_in_the_place_of_a_name_reaches_nobody(name: str) -> None:
    """Neither the greeting nor `To:` holds what a stranger wrote instead of a name: the mail is signed by the shop."""
    envelope = COMPOSER.compose(left(name=name), STEP, NOW)
    message = read(envelope)
    assert recipient(envelope) == ("", "ada@example.com")
    for kind in ("plain", "html"):
        assert name not in part(message, kind)
        assert "Hi " not in part(message, kind)


def test_what_is_written_reaches_no_terminal_and_turns_no_text() -> None:
    """Escape sequences and bidirectional controls of older documents are in no part and no header of a mail."""
    message = read(COMPOSER.compose(left(name="Ada\x1b[2J\u202e", item="Lamp\x9b\u2066 \u200fx"), STEP, NOW))
    words = [str(message["To"]), str(message["Subject"]), part(message, "plain"), part(message, "html")]
    assert all(is_plain(text.replace("\n", "").replace("\r", "")) for text in words)
    assert "Ada[2J" in words[2]


def test_a_title_is_no_link_of_its_own() -> None:
    """A mail program finds no address in an item's name; the subject has it as it was reported."""
    message = read(COMPOSER.compose(left(item="Lamp https://evil.example/x"), STEP, NOW))
    assert "Lamp https://evil.example/x" in message["Subject"]
    for kind in ("plain", "html"):
        assert "https://evil.example" not in part(message, kind)
        assert "https://evil.example/x" in part(message, kind).replace(WORD_JOINER, "")


@pytest.mark.parametrize("evil", ["\u202e", "\u2067", "\u200f", "\u061c", "\u200b", "\u00ad", "\U000e0041", "\u206a"])
def test_formatting_characters_reach_neither_subject_nor_recipient(evil: str) -> None:
    """What turns the direction of text, or is seen by nobody, is in no header, wherever it came from."""
    step = replace(STEP, subject=f"{evil}You left {{{{ items[0].name }}}}{evil}")
    composer = Composer(TEMPLATES, Identity(f"Lamp{evil}Shop <shop@lamps.example>"))
    message = read(composer.compose(left(name=f"A{evil}da", item=f"gpj{evil}.exe"), step, NOW))
    assert message["Subject"] == "You left gpj.exe"
    assert message["To"].addresses[0].display_name == "Ada"
    assert message["From"].addresses[0].display_name == "LampShop"
