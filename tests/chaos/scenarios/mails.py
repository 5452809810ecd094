"""Mails whose lines look like SMTP or MIME."""

import tempfile
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

from recovery.mail.headers import LONGEST_LINE
from recovery.mail.templates.templates import DEFAULTS
from tests.chaos.checker import Promise
from tests.chaos.scenarios import scenario
from tests.chaos.world import World

ODD = """\
<!doctype html>
<html lang="en"><head><title>A lamp</title></head><body>
<p>{% for item in items %}{{ item.name }} {% endfor %}</p>
{% if order_id.endswith("7") %}<pre>
.
.hidden
From the shop
--=_recovery
--=_recovery--
</pre>{% endif %}
<p>{{ order_id }}, and <a href="{{ checkout_url }}">back</a>: the end of the page</p>
</body></html>
"""
"""Lines that end a mail in SMTP, that a mailbox quotes, and that end a part in MIME, in one mail of ten."""


@scenario("odd-lines", "mails with lines that look like SMTP or MIME, and lines of thousands of characters")
async def odd_lines(world: World) -> Promise:
    """Each arrives whole, with two parts, and no line longer than SMTP allows."""
    count = world.size(300, 60)
    with tempfile.TemporaryDirectory(prefix="recovery-chaos-") as folder:
        for path in DEFAULTS.iterdir():
            (Path(folder) / path.name).write_text(path.read_text())
        (Path(folder) / "reminder-1.html.j2").write_text(ODD)
        world.settings["RECOVERY_MAIL__TEMPLATES"] = folder
        async with world.daemon():
            for number in range(count):
                items = [{"name": "Lamp " * 50, "price": "1.00"}] * (40 if number % 10 == 3 else 1)
                await world.report(f"c{number}", items=items)
            await world.settle()
    faults = [fault for mail in world.relay.mails for fault in _faults(mail.content)]
    world.expect(not faults, f"{len(faults)} faults, as: {faults[:1]}")
    encodings = {each for mail in world.relay.mails for each in _encodings(mail.content)}
    world.expect("7bit" in encodings, f"parts are encoded in {sorted(encodings)} alone: this proves nothing")
    return Promise()


def _faults(content: bytes) -> list[str]:
    """Return the faults of a mail."""
    longest = max(map(len, content.split(b"\r\n")))
    if longest > LONGEST_LINE:
        return [f"a line has {longest} characters"]
    mail = message_from_bytes(content, policy=SMTP)
    parts = [part.get_content_type() for part in mail.iter_parts()]
    if parts != ["text/plain", "text/html"]:
        return [f"the parts of a mail are {parts}"]
    page = mail.get_body(("html",))
    if page is None or "the end of the page" not in page.get_content():
        return ["a page has lost its end"]
    return []


def _encodings(content: bytes) -> set[str]:
    parts = message_from_bytes(content, policy=SMTP).iter_parts()
    return {str(part["Content-Transfer-Encoding"]) for part in parts}
