"""The commands that a MongoDB client sends, noted for a test."""

from pymongo.monitoring import CommandListener


class Commands(CommandListener):
    """Notes what `note` returns for the name and the document of each command, except None."""

    def __init__(self, note):
        self._note = note
        self.noted = []

    def started(self, event):
        noted = self._note(event.command_name, event.command)
        if noted is not None:
            self.noted.append(noted)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def statements(name, command):
    """Note the number of statements of each update command."""
    return len(command["updates"]) if name == "update" else None
