"""Channels: the ways by which a shop reports. Each shop has one for each adapter, and one for the HTTP API."""

from dataclasses import dataclass
from enum import StrEnum

API = "api"
"""The channel of reports over the HTTP API; that of an adapter has the adapter's name."""


class Answer(StrEnum):
    """What became of a report: `unmapped` is a webhook that was not understood."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    UNMAPPED = "unmapped"
    REFUSED = "refused"

    @property
    def words(self) -> str:
        """The answer in words."""
        return "not understood" if self is Answer.UNMAPPED else self.value


FAULTS = (Answer.UNMAPPED, Answer.REFUSED)
"""The answers to reports that are lost unless they are repeated."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Reports of a shop over one channel that were answered alike: how many, and the reason of the last answer.

    `proven` says whether a key or a signature proved that the shop itself reports.
    """

    shop: str
    channel: str
    answer: Answer
    times: int
    reason: str = ""
    proven: bool = True
