"""The command: `python -m tests.stories`. It exits with 1 if a story ends differently in the kit and on MongoDB."""

import argparse
import random
import sys
import time
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console

from recovery.testing.mongod import mongod
from tests.integration.testing.test_stories import both, prepare
from tests.support.stories import STORIES

out = Console(highlight=False)


def main() -> int:
    """Tell stories, and say how many there were, with how many mails."""
    parser = argparse.ArgumentParser(prog="python -m tests.stories", description="Compare the kit with MongoDB.")
    parser.add_argument("--count", type=int, default=1000, help="how many stories are told")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run; by default one is drawn and told")
    asked = parser.parse_args()
    chosen = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    mails = stories = 0
    began = time.monotonic()
    with mongod(ttl_seconds=3600) as uri:
        name = f"stories-{uuid4().hex[:10]}"
        prepare(uri, name)

        @seed(chosen)
        @settings(
            max_examples=asked.count,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(STORIES)
        def told(story):
            nonlocal mails, stories
            ours, theirs = both(uri, name, story)
            stories += 1
            mails += len(theirs["mails"])
            assert ours["mails"] == theirs["mails"]
            assert ours == theirs

        fault = None
        try:
            told()
        except AssertionError as exc:
            fault = exc
    out.print(f"{stories} stories, {mails} mails, {time.monotonic() - began:.0f} s")
    again = f"again: python -m tests.stories --count {asked.count} --seed {chosen}"
    if fault is not None:
        out.print(str(fault), *getattr(fault, "__notes__", ()), sep="\n", markup=False)
        out.print(f"a story ended differently; {again}")
        return 1
    out.print(f"all ended the same; {again}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
