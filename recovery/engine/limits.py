"""The limits of an engine and its sender, and the intervals of what the sender does at intervals."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a sender. Durations are in seconds.

    At most `in_flight` messages are claimed and not yet recorded, fewer while the relay is slow. A message goes back if
    no connection is free within `hand_over_within`. The facts of a claim may be as old as that when the content is
    sent; if they are older, the database is asked again.
    """

    in_flight: int
    hand_over_within: float

    refusals_held_for: float = 2.0
    """The time for which a permanent refusal is held, so that other answers can contradict it."""

    renew_every: float = 1.0
    """The interval between renewals of leases."""

    ask_relay_every: float = 1.0
    """The interval between checks whether a relay at fault is to be probed."""
