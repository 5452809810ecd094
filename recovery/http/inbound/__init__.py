"""Endpoints for other systems: webhooks of shop platforms, bounces (DSN) and complaints (FBL) of mail systems."""
