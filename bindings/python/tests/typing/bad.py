"""Lines that a checker must refuse, each for the reason in its mark: `# E: mypy's code, pyright's rule: what is wrong`.

Pyright reads them in its standard mode, so that no strictness about style refuses a line for another reason; of the
strict rules only the one about comparisons is on, which `mypy --strict` has too.
"""
# pyright: standard, reportUnnecessaryComparison=true

from __future__ import annotations

from dataclasses import dataclass

from good import (
    Approval,
    BuildImage,
    Canary,
    Commit,
    Image,
    Live,
    MakeRelease,
    Release,
    ScanImage,
    commit,
    count,
    image,
    live,
    ok,
    p,
    plan,
    production,
    release,
    report,
    smoke,
    staging,
    told,
)
from towpath import Engine, Environment, Handle, NotDone, Observed, Pipeline, Step, StepContext, step, text

# Fields of steps.
p.step("a", ScanImage(report))  # E: arg-type, reportArgumentType: a report for an image
p.step("a", ScanImage(report.out))  # E: arg-type, reportArgumentType: the same, as a place
p.step("a", ScanImage("sha256:4f2c"))  # E: arg-type, reportArgumentType: a text for an image
p.step("a", ScanImage(image, fail_on="hgih"))  # E: arg-type, reportArgumentType: a value that is none of the literals
p.step("a", BuildImage(context="x", commit="4f2c"))  # E: arg-type, reportArgumentType: a text for a commit
p.step("a", BuildImage(context="x", comit=commit))  # E: call-arg, reportCallIssue: a field that is not there
p.step("a", BuildImage(context="x"))  # E: call-arg, reportCallIssue: a field left out
p.step("a", MakeRelease(commit))  # E: arg-type, reportArgumentType: a parameter of another type

# Arguments of step functions.
p.step("b", smoke.of(report.out, "u"))  # E: arg-type, reportArgumentType: a report for a release
p.step("b", smoke.of(live.out.release, url=3))  # E: arg-type, reportArgumentType: a number for a text
p.step("b", smoke.of(live.out.release, adress="u"))  # E: call-arg, reportCallIssue: an argument that is not there
p.step("b", smoke.of(live.out.release))  # E: call-arg, reportCallIssue: an argument left out
p.step("b", smoke.of(live.out.release, "u", 3, 4))  # E: call-arg, reportCallIssue: one argument too many
p.step("b", smoke.of(release, "u"))  # E: arg-type, reportArgumentType: a handle where its out is wanted
p.step("b", count.of(image.out.digest))  # E: arg-type, reportArgumentType: a text for a list
p.step("b", smoke(live.out.release, "u"))  # E: arg-type, reportCallIssue: the function called, instead of placed
p.step("b", smoke)  # E: arg-type, reportArgumentType: the function itself
p.step("b", ScanImage)  # E: arg-type, reportArgumentType: the class of a step
smoke(live.out.release, "u")  # E: arg-type, reportCallIssue: a call without a context
count(StepContext.for_test(), 3)  # E: arg-type, reportArgumentType: a call with a wrong value

# Handles and what they point to.
image.digest  # E: attr-defined, reportAttributeAccessIssue: a field of the output, asked of the handle
image.out.digst  # E: attr-defined, reportAttributeAccessIssue: a field that is not there
live.out.release.out  # E: attr-defined, reportAttributeAccessIssue: out of something that is no handle
len(image)  # E: arg-type, reportArgumentType: the length of a handle
int(image)  # E: call-overload, reportArgumentType: a number of a handle
image + 1  # E: operator, reportOperatorIssue: arithmetic with a handle
"x" in image  # E: operator, reportOperatorIssue: looking into a handle
image[0]  # E: index, reportIndexIssue: an item of a handle
image()  # E: operator, reportCallIssue: calling a handle
list(image)  # E: call-overload, reportArgumentType: the items of a handle
image < 3  # E: operator, reportOperatorIssue: a handle less than a number
image.out = Image("x", [])  # E: misc, reportAttributeAccessIssue: setting an output
wrong_handle: Handle[Live] = image  # E: assignment, reportAssignmentType: a handle of another type
wrong_value: Image = image  # E: assignment, reportAssignmentType: a handle for a value

# Conditions.
same_handle = image == 3  # E: comparison-overlap, reportUnnecessaryComparison: a handle compared with a number
other_type = image.out.digest == 3  # E: comparison-overlap, reportUnnecessaryComparison: a text and a number
p.step("c", count.of([]), when=report)  # E: arg-type, reportArgumentType: a handle for a condition
p.step("c", count.of([]), when=report.out.critical)  # E: arg-type, reportArgumentType: a number for a condition
p.step("c", count.of([]), when="critical == 0")  # E: arg-type, reportArgumentType: a text for a condition
p.step("c", count.of([]), when=image.out.digest < 3)  # E: operator, reportOperatorIssue: a text less than a number
p.step("c", count.of([]), after="scan")  # E: arg-type, reportArgumentType: an id where its handle is wanted
p.step("c", count.of([]), after=report.out)  # E: arg-type, reportArgumentType: a place for a handle
p.step("c", count.of([]), after=[image, "scan"])  # E: list-item, reportArgumentType: the same, in a list

# Gates and environments.
p.step("d", Canary(release, to=production, weights=[5]))  # E: misc, reportArgumentType: a forgotten approval
p.step("d", Canary(release.out, to=production, weights=[5]))  # E: misc, reportArgumentType: the same, as a place
p.step("d", Canary(image, to=staging, weights=[5]))  # E: type-var, reportArgumentType: what nobody deploys
p.step("d", Canary(ok, to="production", weights=[5]))  # E: arg-type, reportArgumentType: a name for an environment
p.step("d", Approval(report, team="sre"))  # E: type-var, reportArgumentType: what nobody approves
p.step("d", Approval(release, quorum=2))  # E: call-arg, reportCallIssue: an approval without a team
lax: Environment[Release] = production  # E: assignment, reportAssignmentType: an environment that would take less

# What to do in doubt is declared.


@step("shop.a/v1")  # E: call-overload, reportCallIssue: in_doubt left out
async def a(cx: StepContext) -> None: ...


@step("shop.b/v1", in_doubt="sometimes")  # E: call-overload, reportArgumentType: none of the four
async def b(cx: StepContext) -> None: ...


@step("shop.c/v1", in_doubt="observe")  # E: call-overload, reportArgumentType: nothing that looks
async def c(cx: StepContext) -> None: ...


@step("shop.d/v1", in_doubt="idempotent", observe=told)  # E: call-overload, reportArgumentType: nothing that asks
async def d(cx: StepContext, digest: str) -> str:
    return digest


@step("shop.e/v1", in_doubt="observe", observe=told)  # E: arg-type, reportArgumentType: other arguments than observe
async def e(cx: StepContext, digest: int) -> str:
    return str(digest)


@step("shop.f/v1", in_doubt="observe", observe=told)  # E: arg-type, reportArgumentType: another output than observe
async def f(cx: StepContext, digest: str) -> int:
    return len(digest)


def blind(cx: StepContext) -> bool:
    return True


@step("shop.g/v1", in_doubt="observe", observe=blind)  # E: call-overload, reportArgumentType: no answer of observe
def g(cx: StepContext) -> bool:
    return True


@step("shop.h/v1", in_doubt="no_effect")  # E: arg-type, reportArgumentType: a function without a context
async def h(digest: str) -> None: ...


@dataclass
class A(Step[Image], kind="shop.i/v1"):  # E: call-arg, reportCallIssue: in_doubt left out
    x: int


@dataclass
class B(Step[Image], kind="shop.j/v1", in_doubt="maybe"):  # E: arg-type, reportArgumentType: none of the four
    x: int


@dataclass
class C(Step[Image], in_doubt="no_effect"):  # E: call-arg, reportCallIssue: a step without a kind
    x: int


async def wrong_answer(cx: StepContext, digest: str) -> Observed[str]:
    return digest if digest else NotDone()  # E: return-value, reportReturnType: an output that is not Done(...)


# Texts, parameters, outputs, engines.
text("{}", image)  # E: arg-type, reportArgumentType: a handle that does not read as text
text("{}", image.out)  # E: arg-type, reportArgumentType: the same, as a place
text(commit)  # E: arg-type, reportArgumentType: a handle for a template
p.param("version", "str")  # E: arg-type, reportArgumentType: the name of a type
p.output(live.out)  # E: arg-type, reportArgumentType: a place for a handle
wrong_pipeline: Pipeline[Image] = p.output(live)  # E: arg-type, reportAssignmentType: another output than said
plan.with_(commit=Commit("x"))  # E: attr-defined, reportAttributeAccessIssue: values for a plan that has them


async def main() -> None:
    Engine.open("sqlite:x", environments=["production"])  # E: list-item, reportArgumentType: a name for an environment
    async with Engine.open("sqlite:x") as engine:
        await engine.run(plan)  # E: call-arg, reportCallIssue: a run without a key
        await engine.run(p, key="k")  # E: arg-type, reportArgumentType: a pipeline that was not built
        await engine.run(p.build(), key="k")  # E: arg-type, reportArgumentType: a pipeline without values
        run = await engine.run(plan, key="k")
        for event in run.events():  # E: attr-defined, reportGeneralTypeIssues: a plain for over async events
            print(event)
