"""The HTTP server: the API, inbound webhooks and bounces, customer pages, health. The only room that speaks HTTP."""
