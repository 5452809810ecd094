"""How fast Recovery is, beside the raw limits and its peers, measured in one run: `python -m benchmarks`."""
