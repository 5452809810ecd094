"""Runs the WooCommerce plug-in with PHP, on stubs of WordPress: `wordpress.php`."""

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from tests.support.paths import ROOT

PLUGIN = ROOT / "contrib" / "woocommerce" / "recovery.php"
_STUBS = ROOT / "tests" / "support" / "wordpress.php"

OPTIONS = {"recovery_url": "https://recovery.example/", "recovery_key": "k-1234567890"}
SET_UP = {"does": "options", "with": OPTIONS}
LAMP = {"name": "Stehleuchte &bdquo;Mond&ldquo; - Messing", "title": "Stehleuchte &bdquo;Mond&ldquo;"}
LINE = {
    "product_id": 90,
    "variation_id": 91,
    "variation": {"attribute_pa_farbe": "messing"},
    "quantity": 2,
    "line_total": 33.61,
    "line_tax": 6.39,
    "product": {**LAMP, "url": "https://lamps.example/mond/", "image": 44},
}
CART = {"does": "cart", "with": [LINE]}
FORM = "billing_email=zoe%40example.com&billing_first_name=Zo%C3%AB&billing_last_name=Bront%C3%AB"
TYPED = {"does": "woocommerce_checkout_update_order_review", "with": [FORM], "ends": True}


def php() -> str:
    """Return the PHP interpreter; skip the test without one, and fail it where `CI` is set."""
    found = shutil.which("php")
    if found is None:
        missing = "PHP is missing: install Debian's php-cli"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def requests(*steps: dict[str, Any], fpm: bool = True) -> dict[str, Any]:
    """Return a shop's requests, schedule, log and session after these steps, each of one request.

    `fpm` is whether the server can answer a customer before a request ends.
    """
    command = [php(), "-d", "error_reporting=-1", "-d", "display_errors=stderr", str(_STUBS), *(["--fpm"] * fpm)]
    done = subprocess.run(command, input=json.dumps(steps), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
    result: dict[str, Any] = json.loads(done.stdout)
    return result
