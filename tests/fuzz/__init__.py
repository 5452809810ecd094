"""Input that nobody would send: by the description of the API, and by mutation of what real senders send."""
