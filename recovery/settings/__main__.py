"""Print the reference of all settings: `python -m recovery.settings > config/recovery.toml`."""

import sys

from recovery.settings.reference import document

sys.stdout.write(document())
