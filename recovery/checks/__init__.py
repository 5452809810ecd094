"""Checks of an installation, its mails and its templates: `recovery check`, `check --mail` and `templates lint`."""
