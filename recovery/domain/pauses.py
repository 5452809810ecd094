"""The words for pauses of sending: an operator stops the messages of one shop, or of all, until it is resumed."""

EVERYTHING = "*"
"""The name of the pause of all shops. That of a single shop is the shop's."""


def why(paused: str) -> str:
    """Return the reason not to send, for the name of a pause."""
    return "all sending is paused" if paused == EVERYTHING else f"sending for {paused} is paused"
