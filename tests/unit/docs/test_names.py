"""The names in the documents are those of the code: make targets, settings, variables, commands."""

import re

from typer.main import get_command

from recovery.cli import cli
from recovery.settings import Settings
from recovery.settings.names import CONFIG, settings_of
from tests.support.paths import ROOT

PAGES = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
SETTINGS = settings_of(Settings)
WRONG_ON_PURPOSE = {"RECOVERY_SMTP_PORT"}
"""The mistakes that docs/settings.md shows."""

NOT_SETTINGS = {"RECOVERY_SERVICE_HOST", "RECOVERY_PORT_8080_TCP"}
"""Variables that Kubernetes sets for a service of this name."""


def unknown(pattern, known):
    """Return the names in the documents that match `pattern` and are not known, by page."""
    found = {page.name: set(re.findall(pattern, page.read_text(), re.MULTILINE)) - set(known) for page in PAGES}
    return {page: sorted(names) for page, names in found.items() if names}


def test_the_make_targets_in_the_documents_exist():
    """Each `make target` in code or at the begin of a line of code is in the Makefile."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert unknown(r"(?:`|^ {4})make ([a-z][\w-]*)", targets) == {}


def test_the_settings_in_the_documents_exist():
    """Each `section.key` in code, of a section of the settings, is a setting."""
    sections = "|".join({setting.section for setting in SETTINGS})
    names = {setting.name for setting in SETTINGS} | {f"{setting.name}_file" for setting in SETTINGS if setting.secret}
    assert unknown(rf"`((?:{sections})\.(?!py\b|toml\b|md\b)[a-z_]+)`", names) == {}


def test_the_variables_in_the_documents_exist():
    """Each `RECOVERY_…` variable is a setting's, a secret file's, the configuration file's, or Medusa's."""
    names = {CONFIG} | {setting.variable for setting in SETTINGS}
    names |= {setting.file_variable for setting in SETTINGS if setting.secret}
    names |= set(re.findall(r"\bRECOVERY_[A-Z_]+", (ROOT / "contrib" / "medusa" / "recovery.ts").read_text()))
    assert unknown(r"\b(RECOVERY_[A-Z0-9_]*[A-Z0-9])\b", names | WRONG_ON_PURPOSE | NOT_SETTINGS) == {}


def _commands(command):
    """Return the subcommands of a group by name; none for a command."""
    return getattr(command, "commands", {})


def test_the_commands_in_the_documents_exist():
    """Each `recovery command`, its subcommand and its options are those of the command line."""
    root = get_command(cli)
    lost = []
    for page in PAGES:
        for line in re.findall(r"(?:`|^ {4}|^)recovery ([a-z][^`\n#|]*)", page.read_text(), re.MULTILINE):
            command, words = root, line.split()
            while words and (inner := _commands(command).get(words[0])):
                command, words = inner, words[1:]
            options = {option for each in command.params for option in each.opts} | {"--help"}
            if _commands(command) and (command is root or words):
                lost.append(f"{page.name}: recovery {line}")
            lost += [
                f"{page.name}: recovery {line}: {word}" for word in words if word[:2] == "--" and word not in options
            ]
    assert lost == []
