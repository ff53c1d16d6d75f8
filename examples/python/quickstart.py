"""A release in Python: built by a program, approved by people, checked by a function.

    python examples/python/quickstart.py deploys.db 4f2c

Kill it anywhere, and start it again with the same arguments: it goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass

from towpath import Approval, Command, Engine, Pipeline, Plan, RunSettled, StepContext, StepError, Undo, step, text


@dataclass(frozen=True)
class Live:
    """What is live after a release."""

    version: str
    healthy: bool


async def take_down(cx: StepContext, undo: Undo[str], version: str) -> None:
    """Puts back what was there before."""
    cx.log(f"{version} goes, {undo.before} comes back")


async def live_now(cx: StepContext, version: str) -> str:
    """Looks what is live, just before it is replaced."""
    cx.log(f"before {version}")
    return "v0"


@step("shop.release/v1", in_doubt="idempotent", undo=take_down, before=live_now)
async def release(cx: StepContext, version: str) -> str:
    """Takes a version live. The key tells a repetition from a second order."""
    cx.log(f"{version} goes live, by the key {cx.key('release')}")
    await cx.sleep("bake", 0.1)
    return version


@step("shop.smoke/v1", in_doubt="no_effect")
def smoke(cx: StepContext, version: str, refuse: bool) -> Live:  # noqa: FBT001 - a parameter of the pipeline
    """Asks whether it works; a plain function, which runs in a thread."""
    cx.progress(50, "asking")
    if refuse:
        raise StepError.rejected(f"{version} answers with errors")
    return Live(version, healthy=True)


def checkout(commit: str, *, refuse: bool = False) -> Plan[Live]:
    """The pipeline with its values."""
    p = Pipeline("checkout")
    commit_, refuse_ = p.param("commit", str), p.param("refuse", bool)
    built = p.step("build", Command(["echo", text("image of {}", commit_)], effect="idempotent"))
    ok = p.step("approve", Approval(built, expires=8 * 3_600))
    released = p.step("release", release.of(text("v-{}", commit_)), after=ok)
    smoked = p.step("smoke", smoke.of(released.out, refuse_.out))
    return p.output(smoked).build().with_(commit=commit, refuse=refuse)


async def main(store: str, commit: str, *, refuse: bool) -> None:
    """Runs it, and says yes to what it asks as soon as it asks."""
    plan = checkout(commit, refuse=refuse)
    print(plan.tree())
    async with Engine.open(f"sqlite:{store}", park_after=0, settle_after=0) as engine:
        run = await engine.run(plan, key=f"checkout@{commit}")
        async for event in run.events():
            print(event)
            if event.kind == "wait-started" and event.step == "approve":
                # Told from the journal, it may have been answered long ago.
                with contextlib.suppress(RunSettled):
                    await run.approve("approve", "looks good")
        print(await run.settled())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], refuse="--refuse" in sys.argv))
