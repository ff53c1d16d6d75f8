"""The pipeline of the architecture's sketch, over stub steps: clean under every checker, and run by the tests.

The stock steps are not part of the package yet; those here have their shapes and nothing behind them.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, assert_type

from towpath import (
    Approved,
    Done,
    Engine,
    Environment,
    Event,
    FrozenPipeline,
    Handle,
    Input,
    NotDone,
    Observed,
    Pipeline,
    Plan,
    Run,
    Step,
    StepContext,
    step,
    text,
)


@dataclass(frozen=True)
class Commit:
    sha: str


@dataclass(frozen=True)
class Image:
    digest: str
    platforms: list[str]


@dataclass(frozen=True)
class ScanReport:
    image: Image
    critical: int
    clean: bool


@dataclass(frozen=True)
class Release:
    version: str
    image: Image


@dataclass(frozen=True)
class Live:
    release: Release
    host: str
    port: int


@dataclass(frozen=True)
class SmokeReport:
    passed: bool


# A gate gives back what it let through, so what goes in is a type of its own; mypy wants its bound.
Subject = TypeVar("Subject", bound=Release | Image)
Deployable = TypeVar("Deployable", bound=Release | Approved[Release])


@dataclass(frozen=True)
class BuildImage(Step[Image], kind="stub.build/v1", in_doubt="idempotent"):
    context: str
    commit: Input[Commit]


@dataclass(frozen=True)
class ScanImage(Step[ScanReport], kind="stub.scan/v1", in_doubt="no_effect"):
    image: Input[Image]
    fail_on: Literal["low", "high"] = "high"


@dataclass(frozen=True)
class MakeRelease(Step[Release], kind="stub.release/v1", in_doubt="idempotent"):
    image: Input[Image]


@dataclass(frozen=True)
class Approval(Step[Approved[Subject]], Generic[Subject], kind="stub.approval/v1", in_doubt="no_effect"):
    what: Input[Subject]
    team: str
    quorum: int = 1
    expires: str = "1h"


@dataclass(frozen=True)
class Canary(Step[Live], Generic[Deployable], kind="stub.canary/v1", in_doubt="observe"):
    release: Input[Deployable]
    to: Environment[Deployable]
    weights: list[int]
    bake: str = "5m"


@step("shop.smoke/v1", in_doubt="no_effect")
async def smoke(cx: StepContext, release: Release, url: str, retries: int = 3) -> SmokeReport:
    return SmokeReport(passed=bool(release.version) and url.startswith("http") and retries > 0)


@step("shop.count/v1", in_doubt="idempotent")
def count(cx: StepContext, platforms: list[str]) -> int:
    return len(platforms)


async def told(cx: StepContext, digest: str) -> Observed[str]:
    return Done(digest) if digest else NotDone()


@step("shop.tell/v1", in_doubt="observe", observe=told)
async def tell(cx: StepContext, digest: str) -> str:
    return digest


def recorded(cx: StepContext, critical: int) -> Observed[None]:
    return NotDone()


@step("shop.record/v1", in_doubt="observe", observe=recorded)
def record(cx: StepContext, critical: int) -> None: ...


production = Environment.named("production").accepts(Approved[Release])
staging = Environment.named("staging")
assert_type(production, Environment[Approved[Release]])
assert_type(staging, Environment[object])

p = Pipeline("checkout")
assert_type(p, Pipeline[None])
commit = p.param("commit", Commit)
assert_type(commit, Handle[Commit])
image = p.step("build", BuildImage(context="services/checkout", commit=commit))
assert_type(image, Handle[Image])
report = p.step("scan", ScanImage(image, fail_on="high"))
assert_type(report, Handle[ScanReport])
release = p.step("release", MakeRelease(image), after=report)
assert_type(release, Handle[Release])
ok = p.step("approve", Approval(release, team="sre", quorum=2, expires="8h"))
assert_type(ok, Handle[Approved[Release]])
live = p.step("canary", Canary(ok, to=production, weights=[5, 25, 50], bake="10m"))
assert_type(live, Handle[Live])
smoked = p.step("smoke", smoke.of(live.out.release, "https://shop.example"))
assert_type(smoked, Handle[SmokeReport])

# What `out` reads as.
assert_type(live.out, Live)
assert_type(live.out.release.image.digest, str)
assert_type(ok.out.value, Release)
assert_type(report.out.critical == 0, bool)

# Fields take a value, a handle, or a place in an output; arguments a value or a place.
assert_type(p.step("again", ScanImage(live.out.release.image, fail_on="low")), Handle[ScanReport])
assert_type(p.step("fixed", MakeRelease(Image("sha256:4f2c", []))), Handle[Release])
assert_type(p.step("signed", Approval(image, team="security")), Handle[Approved[Image]])
assert_type(p.step("try", Canary(release, to=staging, weights=[100])), Handle[Live])
assert_type(p.step("next", Canary(ok, to=staging, weights=[100])), Handle[Live])

# Names, defaults and every kind of function survive.
address = text("http://{}:{}", live.out.host, live.out.port)
assert_type(address, str)
assert_type(p.step("deep", smoke.of(ok.out.value, url=address, retries=1)), Handle[SmokeReport])
assert_type(p.step("count", count.of(image.out.platforms)), Handle[int])
assert_type(p.step("tell", tell.of(image.out.digest)), Handle[str])
assert_type(p.step("record", record.of(critical=report.out.critical)), Handle[None])

# Conditions, and several steps to wait for.
few = report.out.critical < 3
same = (report.out.image.digest == image.out.digest) | (image.out.digest == "sha256:4f2c")
p.step("if-few", count.of(["linux/amd64"]), after=[image, report], when=few & same)
p.step("if-clean", count.of(["linux/arm64"]), when=report.out.clean)
p.step("if-passed", count.of([]), when=smoked.out.passed & (report.out.critical != 1))

# A bare handle is for the fields of steps and for text.
assert_type(text("{} of {}", p.param("part", str), 3), str)

whole = p.output(live)
assert_type(whole, Pipeline[Live])
built = whole.build()
assert_type(built, FrozenPipeline[Live])
plan = built.with_(commit=Commit("4f2c"), part="all")
assert_type(plan, Plan[Live])


async def main() -> None:
    async with Engine.open("sqlite:deploys.db", environments=[production, staging]) as engine:
        assert_type(engine, Engine)
        run = await engine.run(plan, key="checkout@4f2c")
        assert_type(run, Run[Live])
        async for event in run.events():
            assert_type(event, Event)
            print(event)


async def unit_test() -> SmokeReport:
    """A step function in a unit test: the function it was."""
    cx = StepContext.for_test()
    fixed = Release("1.0", Image("sha256:4f2c", ["linux/amd64"]))
    assert_type(count(cx, fixed.image.platforms), int)
    answer: Coroutine[Any, Any, SmokeReport] = assert_type(
        smoke(cx, release=fixed, url="https://shop.example"), Coroutine[Any, Any, SmokeReport]
    )
    return assert_type(await answer, SmokeReport)
