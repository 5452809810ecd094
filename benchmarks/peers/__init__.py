"""The peers, measured in one run and in turn with ours: Agenda, BullMQ, Celery, arq and APScheduler.

`scripts/set-up-peers` brings them; each is a program of ours in `node/` or `python/`, which says how it is configured.
"""
