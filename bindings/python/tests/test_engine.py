"""Engines in Rust: runs, plans and verbs, as Python sees them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import towpath
from running import Artifact, altered, count, hold, made, make, of, one, until, walk
from towpath import (
    Cancelled,
    Engine,
    KeyTaken,
    Pipeline,
    Succeeded,
    Unfit,
    blocking,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_async_and_plain_steps_run_and_give_typed_values() -> None:
    async def main() -> None:
        async with Engine.open("memory:", steps=[make, count]) as engine:
            run = await engine.run(made().with_(commit="4f2c"), key="first", labels={"team": "sre"}, reason="a test")
            assert await run.settled() == Succeeded(5)
            assert await run.output() == 5
            kinds = [event.kind async for event in run.events()]
            assert kinds[0] == "run-started"
            assert "run-settled" in kinds
            (row,) = await engine.runs(labels={"team": "sre"})
            assert (row.id, row.status, row.outcome) == (run.id, "settled", "succeeded")
            assert not await engine.runs(labels={"team": "other"})
            found = await engine.find("test", "first")
            assert found is not None
            assert await found.output() == 5
            assert await engine.find("test", "second") is None
            assert await (await engine.attach(run.id)).settled() == Succeeded(5)
            with pytest.raises(towpath.RunNotFound):
                await engine.attach("01a22891-a8e1-72e5-ad3c-b0ddf0490c24")

    asyncio.run(main())


def test_starting_twice_is_the_same_run_and_another_plan_is_refused() -> None:
    with blocking.Engine.open("memory:", steps=[make, count]) as engine:
        first = engine.run(made().with_(commit="4f2c"), key="it")
        assert engine.run(made().with_(commit="4f2c"), key="it").id == first.id
        with pytest.raises(KeyTaken, match="the key belongs to run") as taken:
            engine.run(made().with_(commit="0000"), key="it")
        assert taken.value.run == first.id


def test_everything_that_an_engine_lacks_is_told_at_once() -> None:
    with blocking.Engine.open("memory:", steps=[]) as engine:
        with pytest.raises(Unfit) as unfit:
            engine.run(made().with_(commit="x"), key="it")
        assert [problem.split(":")[0] for problem in unfit.value.problems] == ["step make", "step count"]


def test_a_plan_is_hashed_drawn_compared_and_saved_by_rust(tmp_path: Path) -> None:
    plan, other = made().with_(commit="4f2c"), made().with_(commit="0000")
    assert plan.hash != other.hash
    assert plan.pipeline_hash == other.pipeline_hash
    assert "make" in plan.tree()
    assert plan.mermaid().startswith("flowchart")
    assert plan.dot().startswith("digraph")
    assert plan.svg().startswith("<svg")
    assert plan.diff(plan) == ""
    assert "0000" in plan.diff(other)
    plan.save(tmp_path / "plan.json")
    loaded = towpath.Plan.load(tmp_path / "plan.json")
    assert loaded.hash == plan.hash
    assert loaded.pipeline.record() == plan.pipeline.record()
    with blocking.Engine.open("memory:", steps=[make, count]) as engine:
        assert engine.run(loaded, key="it").output() == 5


def test_what_rust_finds_wrong_with_a_pipeline_is_told() -> None:
    p = Pipeline("test")
    first = p.step("first", make.of("x"))
    p.step("second", make.of(first.out.digest), after=first)
    plan = altered(p.build(), after=["second"])
    with pytest.raises(towpath.PlanErrors, match="wait"):
        _ = plan.hash


def test_a_thousand_runs_at_once() -> None:
    async def main() -> None:
        async with Engine.open("memory:", steps=[make]) as engine:
            plan = one(make.of("x", sizes=0))
            runs = await asyncio.gather(*(engine.run(plan, key=f"run-{n}") for n in range(1_000)))
            outputs = await asyncio.gather(*(run.output() for run in runs))
            assert outputs == [Artifact("sha256:x", [])] * 1_000

    asyncio.run(main())


def test_two_engines_in_one_process_share_a_store(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'deploys.db'}"
    with (
        blocking.Engine.open(store, steps=[make, count]) as first,
        blocking.Engine.open(store, steps=[make, count]) as second,
    ):
        run = first.run(made().with_(commit="4f2c"), key="it")
        assert second.attach(run.id).output() == 5


def test_driving_on_demand_tells_what_is_left() -> None:
    with blocking.Engine.open("memory:", steps=[walk], park_after=0, background=False) as engine:
        run = engine.run(one(walk.of(1)), key="it")
        assert engine.run(one(walk.of(1)), key="it").row().status == "running"
        parked = engine.drive("parked", at_most=10)
        if parked.parked:
            assert parked.exit_code == 10
        assert engine.drive("settled", at_most=10).exit_code == 0
        assert run.output() == [0]
        with pytest.raises(towpath.DefinitionError, match="write 'settled' or 'parked'"):
            engine.drive("whenever")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_verbs_are_answered_and_refused() -> None:
    with blocking.Engine.open("memory:", steps=[hold]) as engine:
        run = engine.run(one(hold.of()), key="it")
        run.pause("lunch")
        run.resume()
        with pytest.raises(towpath.Refused, match="abandon"):
            run.abandon("no")
        assert "it" in str(run.explain().waits)
        run.cancel()
        assert isinstance(run.settled(), Cancelled)
        with pytest.raises(towpath.EngineError, match="over"):
            run.cancel()


def test_approvals_are_given_through_an_engine() -> None:
    def build(p: Pipeline[None]) -> Any:
        return p.step("ok", towpath.Approval(p.param("version", str), actors=["user:ann"]))

    with blocking.Engine.open("memory:", steps=[], actor="user:ann") as engine:
        run = engine.run(of(build).with_(version="v1"), key="it")
        until(run, "waiting")
        run.approve("ok", "looks good")
        approved: towpath.Approved[str] = run.output()
        assert (approved.value, approved.by[0].who, approved.by[0].comment) == ("v1", "user:ann", "looks good")
        no = engine.run(of(build).with_(version="v2"), key="no")
        until(no, "waiting")
        no.reject("ok", "not on friday")
        assert "not on friday" in str(no.settled())


def test_a_preview_asks_and_changes_nothing() -> None:
    with blocking.Engine.open("memory:", steps=[make]) as engine:
        preview = engine.preview(one(make.of("x")))
        assert [(s.step, s.changes[0].action) for s in preview.steps] == [("it", "unknown")]
        assert "cannot be told" in str(preview)


def test_use_after_close_is_refused() -> None:
    engine = blocking.Engine.open("memory:", steps=[make])
    with engine:
        run = engine.run(one(make.of("x")), key="it")
        run.output()
    with pytest.raises(towpath.EngineStopped):
        engine.health()
    with pytest.raises(towpath.EngineError):
        run.settled()


def test_waiting_is_taken_back_when_nobody_waits() -> None:
    async def main() -> None:
        async with Engine.open("memory:", steps=[hold]) as engine:
            run = await engine.run(one(hold.of()), key="it")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(run.settled(), 0.05)
            await run.cancel()
            assert isinstance(await run.settled(), Cancelled)

    asyncio.run(main())


def test_what_is_no_step_is_refused() -> None:
    with pytest.raises(towpath.DefinitionError, match="give step functions, classes of steps"):
        Engine.open("memory:", steps=[3])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    with pytest.raises(towpath.Unfit, match="memory"):
        blocking.Engine.open("postgres:x", steps=[]).start()
