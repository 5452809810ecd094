"""Sending over SMTP: connections, conversations, and what a relay's replies mean."""
