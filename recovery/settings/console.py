"""The section on the console."""

from recovery.settings.fields import Section, setting


class ConsoleSettings(Section):
    """The console at /console, for people with a browser."""

    enabled: bool = setting(
        True,
        "Whether the daemon serves the console, where http.enabled is on. People sign in with a key of http.keys that"
        " has the scope read or operate, or one of http.api_keys; without keys, whoever is on this machine may use it.",
    )
