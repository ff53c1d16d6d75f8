"""What the tests of engines run: a few steps, and plans of them."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import towpath
from towpath import (
    Engine,
    FrozenPipeline,
    Pipeline,
    Step,
    StepContext,
    blocking,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Artifact:
    digest: str
    sizes: list[int]


@step("test.make/v1", in_doubt="idempotent")
async def make(cx: StepContext, commit: str, sizes: int = 2) -> Artifact:
    cx.log(f"making {commit}")
    cx.progress(50, "half")
    await asyncio.sleep(0)
    return Artifact(f"sha256:{commit}", list(range(sizes)))


@step("test.count/v1", in_doubt="no_effect")
def count(cx: StepContext, artifact: Artifact, more: int) -> int:
    assert isinstance(artifact, Artifact)
    return len(artifact.sizes) + more


def of(build: Callable[[Pipeline[None]], Any]) -> FrozenPipeline[Any]:
    """A pipeline that gives back what `build` gives."""
    p = Pipeline("test")
    return p.output(build(p)).build()


def one(placed: Step[Any]) -> towpath.Plan[Any]:
    """A plan of one step."""
    return of(lambda p: p.step("it", placed)).with_()


def altered(pipeline: FrozenPipeline[Any], **fields: object) -> towpath.Plan[Any]:
    """A plan whose first step is recorded otherwise, as Rust alone can write it."""
    record = cast("dict[str, Any]", pipeline.record())
    record["steps"][0].update(fields)
    return towpath.Plan(FrozenPipeline(record, {}, pipeline.output_type), {})


async def settled(plan: towpath.Plan[Any], *steps: Any, **options: Any) -> Any:
    async with Engine.open("memory:", steps=steps, **options) as engine:
        return await (await engine.run(plan, key="it")).settled()


def made() -> FrozenPipeline[Any]:
    def build(p: Pipeline[None]) -> Any:
        artifact = p.step("make", make.of(p.param("commit", str).out))
        return p.step("count", count.of(artifact.out, more=3))

    return of(build)


@step("test.walk/v1", in_doubt="idempotent")
async def walk(cx: StepContext, until: int) -> list[int]:
    seen: list[int] = cx.last_checkpoint() or []
    ENTRIES.append(len(seen))
    while len(seen) < until:
        n = len(seen)
        seen.append(n)
        await cx.sleep(f"nap-{n}", 0.01, saving=seen)
    return seen


ENTRIES: list[int] = []


@step("test.hold/v1", in_doubt="no_effect")
async def hold(cx: StepContext) -> str:
    HELD.set()
    await cx.wait_cancelled()
    assert cx.cancelled
    return "let go"


HELD = threading.Event()


def until(run: blocking.Run[Any], status: str) -> None:
    """Returns when a run stands so."""
    deadline = time.monotonic() + 10
    while run.row().status != status:
        assert time.monotonic() < deadline, run.explain()
        time.sleep(0.005)
