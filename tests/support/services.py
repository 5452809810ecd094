"""What tests of the daemon's services share."""

from tests.support.builders import NOON, minutes

DUE = NOON + minutes(30)
