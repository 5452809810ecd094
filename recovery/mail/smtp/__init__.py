"""Sending over SMTP: the connection pool, the SMTP client, and the classification of a relay's replies."""
