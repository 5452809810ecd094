"""The HTTP API that a shop's services call."""
