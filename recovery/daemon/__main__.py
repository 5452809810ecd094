"""Write the list of metrics: `python -m recovery.daemon > docs/metrics.md`."""

import sys

from recovery.daemon.metrics import document

sys.stdout.write(document())
