"""Bodies in Python: how they end, wait, and are undone."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

import towpath
from running import ENTRIES, HELD, Artifact, altered, hold, make, of, one, settled, walk
from towpath import (
    Cancelled,
    Compensated,
    Done,
    Engine,
    Input,
    NotDone,
    NotSucceeded,
    Observed,
    Pipeline,
    Secret,
    Step,
    StepContext,
    StepError,
    Stuck,
    Succeeded,
    Undo,
    blocking,
    step,
)

UNDONE: list[tuple[object, ...]] = []


async def weight_now(cx: StepContext, percent: int) -> dict[str, int]:
    return {"was": 5}


async def put_back(cx: StepContext, undo: Undo[str], percent: int) -> None:
    UNDONE.append((undo.ended, undo.before, undo.output, percent, cx.run_key("set")))


@step("test.weight/v1", in_doubt="idempotent", undo=put_back, before=weight_now)
async def weight(cx: StepContext, percent: int) -> str:
    assert cx.before(dict) == {"was": 5}
    return cx.key("set")


@step("test.refuse/v1", in_doubt="no_effect")
async def refuse(cx: StepContext, why: str) -> None:
    raise StepError.rejected(why, details={"critical": 3}) from LookupError("no such report")


def test_a_run_that_fails_is_undone_with_what_was_there_before() -> None:
    def build(p: Pipeline[None]) -> Any:
        at = p.step("weight", weight.of(25))
        return p.step("refuse", refuse.of("3 critical findings"), after=at)

    UNDONE.clear()
    ended = asyncio.run(settled(of(build).with_(), weight, refuse))
    assert isinstance(ended, Compensated)
    failure = ended.why.failure
    assert failure is not None
    assert (failure.kind, failure.details, ended.why.step) == ("rejected", {"critical": 3}, "refuse")
    assert str(failure) == "3 critical findings: LookupError: no such report"
    ((how, before, output, percent, key),) = UNDONE
    assert (how, before, output, percent) == ("done", {"was": 5}, key, 25)


@dataclass(frozen=True)
class Push(Step[str], kind="test.push/v1", in_doubt="observe"):
    tag: Input[str]
    tries: int = 1

    async def run(self, cx: StepContext) -> str:
        PUSHED.append(cx.get(self.tag))
        raise StepError.unknown("the answer was lost")

    async def observe(self, cx: StepContext) -> Observed[str]:
        return Done(f"registry/{cx.get(self.tag)}") if PUSHED else NotDone()


PUSHED: list[str] = []


def test_a_class_step_in_doubt_is_settled_by_looking() -> None:
    PUSHED.clear()
    assert asyncio.run(settled(one(Push("v1")), Push)) == Succeeded("registry/v1")
    assert PUSHED == ["v1"]


@step("test.raise/v1", in_doubt="ask_operator")
async def raises(cx: StepContext, what: str) -> None:
    local_secret = "do not store me"  # noqa: S105
    assert local_secret
    raise ValueError(what)


def test_an_exception_that_nothing_maps_leaves_the_step_in_doubt_with_its_traceback() -> None:
    async def main() -> None:
        async with Engine.open("memory:", steps=[raises]) as engine:
            run = await engine.run(one(raises.of("bad tag")), key="it")
            ended = await run.settled()
            assert isinstance(ended, Stuck)
            assert "ValueError: bad tag" in str(ended.at)
            assert "raise StepError.transient(...)" in str(ended.at)
            with pytest.raises(NotSucceeded, match="is stuck"):
                await run.output()
            updates = run.events()
            facts = [event.facts async for event in updates if event.kind == "step-in-doubt" or await stop(run)]
            text = str(facts)
            assert "test_bodies.py" in text
            assert "builtins.ValueError" in text
            assert "do not store me" not in text.replace('do not store me"  # noqa', "")
            assert "towpath/_bodies.py" not in text

    async def stop(run: towpath.Run[Any]) -> bool:
        """Ends the run, and so the updates, once there is nothing more to see."""
        if (await run.row()).status == "stuck":
            await run.resolve("it", "seen", done=True, output=None)
        return False

    asyncio.run(main())


def test_a_parked_body_ends_there_and_is_entered_again_from_its_top() -> None:
    ENTRIES.clear()
    assert asyncio.run(settled(one(walk.of(3)), walk, park_after=0)) == Succeeded([0, 1, 2])
    assert ENTRIES == [0, 1, 2, 3]


@step("test.plain-walk/v1", in_doubt="idempotent")
def plain_walk(cx: StepContext, until: int) -> int:
    seen = cx.last_checkpoint(int) or 0
    ENTRIES.append(seen)
    try:
        while seen < until:
            seen += 1
            cx.blocking.sleep(f"nap-{seen}", 0.01, saving=seen)
    except Exception:  # noqa: BLE001 - what parks a body is no Exception
        return -1
    return seen


def test_a_plain_body_parks_as_well() -> None:
    ENTRIES.clear()
    assert asyncio.run(settled(one(plain_walk.of(2)), plain_walk, park_after=0)) == Succeeded(2)
    assert ENTRIES == [0, 1, 2]


@step("test.hear/v1", in_doubt="no_effect")
async def hear(cx: StepContext) -> dict[str, object]:
    first = await cx.signal("go", Artifact)
    none = await cx.signal("never", str, within=0.01)
    token = await cx.secret(Secret("token"))
    return {"digest": first.digest, "none": none, "token": len(token.expose()), "name": str(token)}


def test_signals_carry_values_and_secrets_are_names_until_they_are_used() -> None:
    async def main() -> None:
        async with Engine.open("memory:", steps=[hear], secrets={"token": "hunter2-hunter2"}) as engine:
            run = await engine.run(one(hear.of()), key="it")
            await run.signal("go", Artifact("sha256:4f2c", []))
            assert await run.output() == {
                "digest": "sha256:4f2c",
                "none": None,
                "token": 15,
                "name": "[secret token]",
            }

    asyncio.run(main())


@step("test.leak/v1", in_doubt="no_effect")
async def leak(cx: StepContext) -> str:
    token = await cx.secret("token")
    raise StepError.permanent(f"refused {token.expose()}")


def test_the_value_of_a_secret_is_not_journaled() -> None:
    ended = asyncio.run(settled(one(leak.of()), leak, secrets={"token": "hunter2-hunter2"}))
    assert "hunter2" not in str(ended)
    assert "[secret token]" in str(ended)


def test_a_cancelled_run_asks_its_body_to_stop() -> None:
    HELD.clear()
    with blocking.Engine.open("memory:", steps=[hold]) as engine:
        run = engine.run(one(hold.of()), key="it")
        assert HELD.wait(10)
        run.cancel("enough")
        ended = run.settled()
        assert isinstance(ended, Cancelled)
        assert "enough" in str(ended.why)


@step("test.cling/v1", in_doubt="no_effect")
async def cling(cx: StepContext) -> None:
    HELD.set()
    try:
        await asyncio.sleep(3_600)
    except asyncio.CancelledError:
        DROPPED.set()
        raise


DROPPED = threading.Event()


def test_a_body_that_does_not_stop_is_dropped_after_its_grace() -> None:
    HELD.clear()
    DROPPED.clear()
    with blocking.Engine.open("memory:", steps=[cling], grace=0.05) as engine:
        run = engine.run(one(cling.of()), key="it")
        assert HELD.wait(10)
        run.cancel("enough")
        assert isinstance(run.settled(), Cancelled)
        assert DROPPED.wait(10)


@step("test.thread/v1", in_doubt="no_effect")
def thread(cx: StepContext, last: bool) -> str:  # noqa: FBT001
    if cx.last_checkpoint() is None:
        cx.blocking.checkpoint("begun")
        RUNNING.append("first")
        HELD.set()
        LET_GO.wait(10)
        RUNNING.remove("first")
        assert cx.cancelled
        return "nobody wants this"
    assert not RUNNING, "two bodies of one step at once"
    return "second"


RUNNING: list[str] = []
LET_GO = threading.Event()


def test_a_plain_body_that_was_dropped_ends_before_its_step_is_entered_again() -> None:
    for event in (HELD, LET_GO):
        event.clear()
    p = Pipeline("test")
    placed = p.step("it", thread.of(last=True))
    plan = altered(p.output(placed).build(), timeout_ms=1_000)
    with blocking.Engine.open("memory:", steps=[thread], settle_after=0) as engine:
        run = engine.run(plan, key="it")
        assert HELD.wait(10)
        assert next(event.seq for event in run.events() if event.kind == "step-in-doubt")
        LET_GO.set()
        assert run.output() == "second"


@step("test.block/v1", in_doubt="no_effect")
def block(cx: StepContext) -> str:
    LET_GO.wait(10)
    return "slow"


def test_one_slow_plain_step_does_not_hold_up_others() -> None:
    LET_GO.clear()
    with blocking.Engine.open("memory:", steps=[block, make]) as engine:
        slow = engine.run(one(block.of()), key="slow")
        assert engine.run(one(make.of("x")), key="quick").output() == Artifact("sha256:x", [0, 1])
        LET_GO.set()
        assert slow.output() == "slow"


@dataclass(frozen=True)
class Tree:
    name: str
    below: list[Tree] = field(default_factory=list["Tree"])


@step("test.names/v1", in_doubt="no_effect")
def names(cx: StepContext, tree: Tree) -> list[str]:
    return [tree.name, *(name for below in tree.below for name in names(cx, below))]


def test_a_type_that_holds_itself_is_described_and_read() -> None:
    assert asyncio.run(settled(one(names.of(Tree("a", [Tree("b", [Tree("c")])]))), names)) == Succeeded(["a", "b", "c"])


def test_an_older_plan_without_a_field_is_driven_and_a_wrong_value_is_refused() -> None:
    plan = one(names.of(Tree("a")))
    older = altered(plan.pipeline, **{"with": {"tree": {"value": {"name": "old"}}}})
    assert asyncio.run(settled(older, names)) == Succeeded(["old"])
    wrong = altered(plan.pipeline, **{"with": {"tree": {"value": {"name": 3}}}})
    with pytest.raises(towpath.Unfit, match="the field `tree` is a number at /name, and a text is wanted"):
        asyncio.run(settled(wrong, names))
