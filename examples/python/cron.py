"""A line for cron: starts what is to be started, drives what is due, and ends.

    */5 * * * *  python examples/python/cron.py deploys.db nightly-2026-11-29

Its exit code is that of `towpath tick`: 0 when all is done, 10 when something waits, 20 when an operator is needed, 1 when
something failed. A run that waits needs no process: the next line goes on with it.
"""

from __future__ import annotations

import sys

from towpath import Command, Pipeline, Wait
from towpath.blocking import Engine


def nightly() -> Pipeline[None]:
    """Cleans up, waits, and looks whether it stayed clean."""
    p = Pipeline("nightly")
    cleaned = p.step("clean", Command(["true"], effect="idempotent"))
    waited = p.step("wait", Wait(time=0.2), after=cleaned)
    p.step("look", Command(["test", "-d", "/"], effect="no_effect"), after=waited)
    return p


def main(store: str, key: str) -> int:
    """Drives what is due now."""
    with Engine.open(f"sqlite:{store}", steps=[], background=False, park_after=0) as engine:
        engine.run(nightly().build().with_(), key=key)
        driven = engine.drive("parked")
        print(driven)
        return driven.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
