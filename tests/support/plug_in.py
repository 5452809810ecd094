"""The options of pytest with which the plug-in is loaded, however Recovery is installed."""

from importlib.metadata import entry_points

PLUG_IN = [] if "recovery" in entry_points(group="pytest11").names else ["-p", "recovery.testing.plugin"]
"""Empty where pytest finds the plug-in by its entry point, which an older editable installation does not have."""
