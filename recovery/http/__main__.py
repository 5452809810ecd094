"""Write the OpenAPI description of the HTTP API: `python -m recovery.http > docs/openapi.json`."""

import json
import sys

from recovery.http.endpoints import description

sys.stdout.write(json.dumps(description(), indent=2, ensure_ascii=False) + "\n")
