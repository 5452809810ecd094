"""Mailboxes and List-Ids as people write them."""

import pytest

from recovery.domain.mailboxes import is_list_id, split_mailbox


@pytest.mark.parametrize(
    ("written", "name", "address"),
    [
        ("shop@a.example", "", "shop@a.example"),
        ("<shop@a.example>", "", "shop@a.example"),
        ("Lamps <shop@a.example>", "Lamps", "shop@a.example"),
        ("Lamps, Ltd <shop@a.example>", "Lamps, Ltd", "shop@a.example"),
        ('"Lamps, Ltd" <shop@a.example>', "Lamps, Ltd", "shop@a.example"),
        (r'"The \"Lamp\" \\ Shop" <shop@a.example>', 'The "Lamp" \\ Shop', "shop@a.example"),
        ('Shop "Lamp" <shop@a.example>', 'Shop "Lamp"', "shop@a.example"),
        ("A <a@b.example> <c@d.example>", "", "A <a@b.example> <c@d.example>"),
        ("<shop@a.example> Lamps", "", "<shop@a.example> Lamps"),
    ],
)
def test_a_mailbox_is_a_name_and_an_address(written, name, address):
    """A name may stand without its quotes; what is no mailbox is left whole, so that no check lets it pass."""
    assert split_mailbox(written) == (name, address)


@pytest.mark.parametrize(
    ("identifier", "sound"),
    [
        ("reminders.lamps.example", True),
        ("a.b", True),
        ("lamps", False),
        ("a..b", False),
        ("a b.c", False),
        ("a.b\n", False),
        ("a." + "b" * 253, True),
        ("a." + "b" * 254, False),
    ],
)
def test_a_list_id_has_labels(identifier, sound):
    """A List-Id has two labels at least, and 255 characters at most."""
    assert is_list_id(identifier) is sound
