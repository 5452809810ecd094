"""The HTTP API for a shop's backend: reports, checkouts, data requests."""
