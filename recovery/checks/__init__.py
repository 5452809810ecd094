"""Whether an installation can do its work: `recovery check`."""
