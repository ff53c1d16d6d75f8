"""Steps as classes and as functions, and what they refuse when they are written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest

from stubs import Build, Image, Report, Scan, count, tell
from towpath import (
    DefinitionError,
    Done,
    HandleMisuse,
    Input,
    NotDone,
    Observed,
    Pipeline,
    Step,
    StepContext,
    step,
)

# What a checker refuses has to reach the run time here.
untyped_step: Any = step
UntypedStep: Any = Step
CX = StepContext.for_test()


def record_of(placed: Step[Any]) -> Any:
    pipeline = Pipeline("one")
    pipeline.step("it", placed)
    steps: Any = pipeline.build().record()["steps"]
    return steps[0]


def test_a_step_function_stays_the_function_it_was() -> None:
    assert count(CX, 3) == 3
    assert asyncio.run(tell(CX, "a", times=2)) == "aa"
    assert tell.__name__ == "tell"
    assert tell.__doc__ == "Tells somebody."
    assert repr(tell) == "<step function tell: stub.tell/v1>"


def test_arguments_are_stored_by_name_and_with_their_defaults() -> None:
    assert record_of(tell.of("a"))["with"] == {"what": {"value": "a"}, "times": {"value": 1}}
    assert record_of(tell.of("a", 2)) == record_of(tell.of(times=2, what="a"))


def test_an_argument_may_be_a_bare_handle_at_run_time() -> None:
    """Checkers want `.out`, which reads as the value; without one there is nothing to get wrong."""
    p: Any = Pipeline("checkout")
    n = p.step("count", count.of(3))
    p.step("bare", count.of(n))
    p.step("out", count.of(n.out))
    steps: Any = p.build().record()["steps"]
    assert steps[1]["with"] == steps[2]["with"] == {"up_to": {"from": {"step": "count"}}}


def test_fields_take_values_handles_and_places() -> None:
    p = Pipeline("checkout")
    image = p.step("build", Build("services/checkout", commit="4f2c"))
    p.step("whole", Scan(image))
    p.step("place", Scan(image.out))
    p.step("value", Scan(Image("sha256:4f2c", ["a"]), fail_on="low"))
    steps: Any = p.build().record()["steps"]
    assert [each["with"]["image"] for each in steps[1:]] == [
        {"from": {"step": "build"}},
        {"from": {"step": "build"}},
        {"value": {"digest": "sha256:4f2c", "layers": ["a"]}},
    ]


@pytest.mark.parametrize(
    ("in_doubt", "says"),
    [
        ({}, "does not say in_doubt"),
        ({"in_doubt": None}, "does not say in_doubt"),
        ({"in_doubt": "sometimes"}, "says 'sometimes' for in_doubt"),
        ({"in_doubt": ["observe"]}, "says .* for in_doubt"),
    ],
)
def test_in_doubt_is_declared(in_doubt: dict[str, Any], says: str) -> None:
    named = "with one of no_effect, idempotent, observe, ask_operator"
    with pytest.raises(DefinitionError, match=f"^shop.a/v1 {says}: write @step.*{named}"):
        untyped_step("shop.a/v1", **in_doubt)
    with pytest.raises(DefinitionError, match=f"^shop.a/v1 {says}: write class A.*{named}"):
        type("A", (UntypedStep,), {}, kind="shop.a/v1", **in_doubt)


@pytest.mark.parametrize("kind", [None, "", "smoke", "smoke/v", "smoke/v0", "sm oke/v1", "/v1", "smoke/v1x", "é/v1", 3])
def test_a_kind_has_a_name_and_a_version(kind: Any) -> None:
    with pytest.raises(DefinitionError, match="is not a kind: write"):
        untyped_step(kind, in_doubt="no_effect")
    with pytest.raises(DefinitionError, match="is not a kind: write"):
        type("A", (UntypedStep,), {}, kind=kind, in_doubt="no_effect")


def test_limit_of_kinds_holds_at_the_limit_and_one_above() -> None:
    assert untyped_step("a" * 253 + "/v1", in_doubt="no_effect")
    with pytest.raises(DefinitionError, match="is not a kind"):
        untyped_step("a" * 254 + "/v1", in_doubt="no_effect")


async def pushed(cx: StepContext, tag: str) -> Observed[str]:
    return Done(tag) if tag else NotDone()


def test_observe_goes_with_its_declaration() -> None:
    @step("shop.push/v1", in_doubt="observe", observe=pushed)
    async def push(cx: StepContext, tag: str) -> str:
        return tag

    assert record_of(push.of("v1"))["in_doubt"] == "observe"
    assert record_of(push.of("v1"))["methods"] == {"observe": True}
    with pytest.raises(DefinitionError, match="without a function that looks; add observe=function"):
        untyped_step("shop.push/v1", in_doubt="observe")
    with pytest.raises(DefinitionError, match="has an observe that nothing asks"):
        untyped_step("shop.push/v1", in_doubt="idempotent", observe=pushed)


async def takes_a_name(cx: StepContext, name: str) -> str:
    return name


def test_observe_takes_the_arguments_of_its_step() -> None:
    with pytest.raises(DefinitionError, match=r"takes \(name\) and its observe \(tag\); give both the same arguments"):
        untyped_step("shop.push/v1", in_doubt="observe", observe=pushed)(takes_a_name)


def star(cx: StepContext, *all_: str) -> None: ...
def star_star(cx: StepContext, **all_: str) -> None: ...
def keyword_only(*, cx: StepContext) -> None: ...
def nothing() -> None: ...
def generator(cx: StepContext) -> Any:
    yield 1


async def async_generator(cx: StepContext) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (star, r"takes \* or \*\* arguments"),
        (star_star, r"takes \* or \*\* arguments"),
        (keyword_only, "takes no context; write cx: StepContext as its first argument"),
        (nothing, "takes no context"),
        (generator, "yields, and a step gives one output"),
        (async_generator, "yields, and a step gives one output"),
        (len, "which is no function"),
        (Image, "which is no function"),
    ],
)
def test_functions_that_cannot_be_steps_are_refused(function: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=f"^the step function of shop.a/v1 .*{says}"):
        untyped_step("shop.a/v1", in_doubt="no_effect")(function)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), r"missing a required argument: 'what'; it takes \(what: 'str', times: 'int' = 1\)"),
        (("a", 1, 2), "too many positional arguments"),
    ],
)
def test_wrong_arguments_are_refused_where_they_are_written(arguments: tuple[Any, ...], says: str) -> None:
    of: Any = tell.of
    with pytest.raises(DefinitionError, match=rf"^tell\.of\(\.\.\.\): {says}"):
        of(*arguments)


def test_calling_instead_of_placing_is_told() -> None:
    image: Any = Pipeline("checkout").step("build", Build("x", "y"))
    call: Any = tell
    for arguments in [("a",), (image.out.digest,), (CX, image.out.digest), (CX, image)]:
        with pytest.raises(HandleMisuse, match=r"write tell\.of\(\.\.\.\) to place it in a pipeline"):
            call(*arguments)


def test_what_is_no_step_is_not_placed() -> None:
    p: Any = Pipeline("checkout")
    image = p.step("build", Build("x", "y"))
    for wrong, says in [
        (tell, "StepFunction <step function tell: stub.tell/v1> is no step"),
        (tell(CX, "a"), "a call of tell is no step; give a step, or .of"),
        (image, "Handle <Handle build: Image> is no step"),
        (Scan, "Scan is the class of a step; give its fields, as in Scan"),
        ("scan", "str 'scan' is no step"),
    ]:
        with pytest.raises(DefinitionError, match=says):
            p.step("wrong", wrong)


def test_a_class_without_the_decorator_is_told() -> None:
    class Forgotten(Step[Image], kind="shop.a/v1", in_doubt="no_effect"):
        context: str

    class AlsoForgotten(Build, kind="shop.b/v1", in_doubt="no_effect"):
        tag: str

    p = Pipeline("checkout")
    with pytest.raises(DefinitionError, match=r"Forgotten is a step without fields; put @dataclass\(frozen=True\)"):
        p.step("a", Forgotten())
    with pytest.raises(DefinitionError, match="AlsoForgotten is a step without fields"):
        p.step("b", AlsoForgotten("x", "y"))


T = TypeVar("T", bound=Image | Report)


@dataclass(frozen=True)
class Signed(Generic[T]):
    what: T
    by: str


@dataclass(frozen=True)
class Sign(Step[Signed[T]], Generic[T], kind="shop.sign/v1", in_doubt="no_effect"):
    what: Input[T]


@dataclass(frozen=True)
class SignReport(Sign[Report], kind="shop.sign-report/v1", in_doubt="no_effect"):
    """A step whose output is known through its base."""


def test_fields_of_generic_outputs_are_known_as_far_as_they_can_be() -> None:
    p = Pipeline("checkout")
    image = p.step("build", Build("x", "y"))
    report = p.step("scan", Scan(image))
    through: Any = p.step("through", SignReport(report))
    open_: Any = p.step("open", Sign(image))
    assert repr(through.out.what.image.digest) == "<through.out.what.image.digest>"
    with pytest.raises(AttributeError, match="did you mean 'critical'"):
        _ = through.out.what.critcal
    with pytest.raises(AttributeError, match="it has what, by"):
        _ = open_.out.owner
    assert repr(open_.out.what.anything) == "<open.out.what.anything>"
