"""Stands before the real one on PYTHONPATH where the tests are to run as if it were not installed."""

raise ModuleNotFoundError("No module named 'uvloop'", name="uvloop")
