"""The check that no log line of any test names a person: one that cannot fail proves nothing."""

import logging

import pytest
import structlog

from tests.support.log_lines import OPERATORS, addresses, overheard

pytestmark = pytest.mark.names_people


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_line_that_names_somebody_is_noticed(level):
    """Whatever the level, and wherever in the line, an address is found."""
    with overheard() as lines:
        log = structlog.get_logger()
        getattr(log, level)("sent", reply="250 ok for ada+x@example.com")
        getattr(log, level)("ada@example.com")
        getattr(log.bind(who="ada@example.com"), level)("bound")
        getattr(log, level)("sent", reply="250 ok", sender=OPERATORS[0])
    assert len(lines) == 4
    assert addresses(lines) == lines[:3]


def test_a_library_s_line_is_noticed():
    """What goes to Python's own log is read as well."""
    with overheard() as lines:
        logging.getLogger("somebody.else").warning("no such user: %s", "ada@example.com")
    assert len(addresses(lines)) == 1
