"""The line of a mail in the list of an inbox."""

import pytest

from recovery.mail.templates import samples
from recovery.mail.templates.inbox import SHOWN, inbox_line
from recovery.mail.templates.templates import Templates
from tests.support.template_folder import filled, step

FILLER = "\u034f\u200c\u00a0" * 20


@pytest.mark.parametrize(
    ("html", "line"),
    [
        ("<p>Hello</p><p>Ada</p>", "Hello Ada"),
        ("<p>Hello, <b>Ada</b>!</p>", "Hello, Ada!"),
        ("<head><title>No</title><style>p {}</style></head><body>Yes</body>", "Yes"),
        (f"<div>The preheader\n{FILLER}\n{FILLER}</div><h1>Headline</h1>", "The preheader"),
        ("<p>&#1587;&#1604;&#1575;&#1605;</p>", "سلام"),
        ("<p>می\u200cخواهم</p>", "می\u200cخواهم"),
        ("<p><p></p></title>Still here", "Still here"),
        ("", ""),
    ],
)
def test_it_is_what_is_read_first(html, line):
    assert inbox_line(html) == line


def test_a_long_text_is_cut():
    line = inbox_line(f"<p>{'word ' * 100}</p>")
    assert len(line) <= SHOWN
    assert line.endswith("word…")


@pytest.mark.parametrize(
    ("locale", "line"),
    [
        ("en", "Your checkout is just as you left it."),
        ("ja", "ご購入のお手続きは、途中の状態のまま保存しております。"),
    ],
)
def test_of_the_packages_mails_it_is_the_preheader(locale, line):
    mail = filled(Templates(), step("reminder-1", None), samples.left_open(locale))
    assert inbox_line(mail.html) == line
