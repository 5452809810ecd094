"""The console: pages for support, marketing and the engineer on call, rendered on the server."""
