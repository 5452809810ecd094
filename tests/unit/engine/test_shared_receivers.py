"""Several daemons, each with a governor, and a receiver that takes so many messages a second of all of them."""

import heapq
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.engine.receivers import Governor

AT = datetime(2026, 3, 5, 14, 5, tzinfo=UTC)
SENT = Outcome(OutcomeKind.SENT, "250 2.0.0 taken", to_recipient=True)
FLOODED = Outcome(OutcomeKind.THROTTLED, "421 4.7.28 an unusual rate of mail - gsmtp", to_recipient=True)
A_SECOND = 10
PASS = 5.0
LATER = 20.0


class Daemons:
    """So many daemons, and what is stored: each has its own time in a pass; the newest word stays."""

    def __init__(self, count):
        self.governors = [Governor() for _ in range(count)]
        self.stored = {}
        self.taken = Counter()
        self.throttled = 0

    def run(self, seconds):
        """Run with more messages than the receiver takes. All daemons but the first join it some time later."""
        count = len(self.governors)
        events = [(LATER * (id_ % count > 0), id_, id_ % count) for id_ in range(int(2 * A_SECOND * seconds))]
        passes = [(PASS * (1 + index / len(self.governors)), -1, index) for index in range(len(self.governors))]
        heapq.heapify(events := [*events, *passes])
        while events[0][0] < seconds:
            now, id_, index = heapq.heappop(events)
            governor = self.governors[index]
            if id_ < 0:
                self._exchange(governor, now)
                heapq.heappush(events, (now + PASS, id_, index))
            elif wait := governor.wait(str(id_), "google", now, 0.5):
                heapq.heappush(events, (now + wait, id_, index))
            elif not self._takes(governor, str(id_), now):
                heapq.heappush(events, (now + 30, id_, index))

    def within(self, begin, end):
        """Return the number of messages that the receiver took in these seconds."""
        return sum(count for second, count in self.taken.items() if begin <= second < end)

    def _exchange(self, governor, now):
        governor.part = 1 / len(self.governors) if now > LATER else 1.0
        at = AT + timedelta(seconds=now)
        for each in governor.slowed(now):
            before = self.stored.get(each.receiver)
            if before is None or each.limited_at >= before.limited_at:
                self.stored[each.receiver] = each
        governor.hear(self.stored.values(), now, at)

    def _takes(self, governor, id_, now):
        takes = self.taken[int(now)] < A_SECOND
        self.taken[int(now)] += takes
        self.throttled += not takes
        governor.tell(id_, "google", SENT if takes else FLOODED, now, AT + timedelta(seconds=now))
        return takes


@pytest.mark.parametrize("count", [2, 5])
def test_daemons_that_join_one_send_together_what_it_would(count):
    """They have not been throttled themselves; the receiver gets no more because they are there."""
    alone, together = Daemons(1), Daemons(count)
    for daemons in (alone, together):
        daemons.run(300)
    assert together.within(LATER, 60) <= 1.25 * alone.within(LATER, 60)
    assert together.within(0, 300) >= 0.7 * alone.within(0, 300)
    assert together.throttled < 30
