"""Pipelines: what they record, and everything that is wrong with one at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import good
import pytest

from stubs import Build, Image, Scan, count, tell
from towpath import DefinitionError, Pipeline, PlanErrors, Problem, TowpathError

RECORD = Path(__file__).parent / "records" / "checkout.json"


def problems_of(act: Any) -> list[str]:
    with pytest.raises(PlanErrors) as refused:
        act()
    assert isinstance(refused.value, TowpathError)
    assert isinstance(refused.value, ValueError)
    assert all(str(problem) in str(refused.value) for problem in refused.value.problems)
    return [str(problem) for problem in refused.value.problems]


def test_the_sketch_records_what_it_says() -> None:
    """The whole record, in a file that the Rust tests can read too."""
    assert good.built.record() == json.loads(RECORD.read_text(encoding="utf-8"))


def test_edges_are_what_a_step_reads_and_waits_for() -> None:
    p = Pipeline("checkout")
    name = p.param("name", str)
    first = p.step("first", count.of(1))
    second = p.step("second", count.of(2))
    told = p.step("told", tell.of(name.out, times=first.out), after=[second, first, second], when=second.out > 1)
    assert repr(told) == "<Handle told: str>"
    steps: Any = p.build().record()["steps"]
    assert steps[2]["with"]["what"] == {"param": {"name": "name"}}
    assert steps[2]["reads"] == [{"step": "first"}]
    assert steps[2]["after"] == ["second", "first"]
    assert steps[2]["when"] == {"less": [{"value": 1}, {"from": {"step": "second"}}]}
    assert "reads" not in steps[0]
    assert "after" not in steps[0]
    assert "when" not in steps[0]


def test_a_built_pipeline_is_the_readers_own() -> None:
    p = Pipeline("checkout")
    p.step("first", count.of(1))
    built = p.build()
    before: Any = built.record()
    before["steps"].clear()
    p.step("second", count.of(2))
    assert repr(built) == "<frozen pipeline checkout: first>"
    assert repr(p.build()) == "<frozen pipeline checkout: first, second>"


def test_everything_wrong_is_told_at_once() -> None:
    other = Pipeline("other")
    foreign = other.step("build", Build("x", "y"))
    p = Pipeline("Check Out")
    p.param("commit", str)
    p.param("commit", str)
    p.step("Scan", Scan(foreign))
    p.step("late", count.of(1), after=foreign)
    p.step("twice", count.of(1), when=foreign.out.digest == "x")
    p.step("twice", count.of(2))
    assert problems_of(p.output(foreign).build) == [
        "its name is not 1 to 64 of a-z, 0-9 and -",
        "the parameter 'commit' is declared twice; rename one of the two",
        "its output build.out belongs to another pipeline; give a handle of this one",
        "step 'twice': its id is used twice; rename one of the two",
        "step 'Scan': its id is not 1 to 64 of a-z, 0-9 and -",
        "step 'Scan': build.out belongs to another pipeline; give a handle of this one",
        "step 'late': build.out belongs to another pipeline; give a handle of this one",
        "step 'twice': build.out.digest belongs to another pipeline; give a handle of this one",
    ]


def test_limit_of_steps_holds_at_the_limit_and_one_above() -> None:
    p = Pipeline("long")
    for index in range(2_000):
        p.step(f"s{index}", count.of(index))
    p.build()
    p.step("more", count.of(0))
    assert problems_of(p.build) == ["it has 2001 steps, above 2000; split it"]


def test_a_pipeline_has_a_step() -> None:
    assert problems_of(Pipeline("empty").build) == ["it has no step; place one with p.step(...)"]


def test_limit_of_nesting_holds_at_the_limit_and_one_above() -> None:
    p = Pipeline("deep")
    n = p.step("count", count.of(1)).out
    deep: Any = n == 0
    for level in range(7):
        deep = (deep | (n == level)) if level % 2 else (deep & (n == level))
    p.step("at", count.of(1), when=deep)
    p.build()
    p.step("above", count.of(1), when=deep | (n == 9))
    assert problems_of(p.build) == ["step 'above': its condition nests 9 deep, above 8; flatten it"]


@pytest.mark.parametrize("after", ["scan", None, 3, ["scan"], [None]])
def test_after_takes_handles(after: Any) -> None:
    with pytest.raises(DefinitionError, match=r"after= of step 'it' is .*; give the handle that p\.step"):
        Pipeline("one").step("it", count.of(1), after=after)


def test_after_takes_no_places_and_no_parameters() -> None:
    p: Any = Pipeline("one")
    first = p.step("first", count.of(1))
    with pytest.raises(DefinitionError, match=r"after= of step 'it' is Ref <first\.out>; give the handle"):
        p.step("it", count.of(1), after=first.out)
    with pytest.raises(DefinitionError, match="is the parameter 'n', known before any step; drop it"):
        p.step("it", count.of(1), after=p.param("n", int))


def test_outputs_are_handles() -> None:
    p: Any = Pipeline("one")
    with pytest.raises(DefinitionError, match="the output of a pipeline is a handle, not 3"):
        p.output(3)


@dataclass(frozen=True)
class Target:
    region: Literal["eu", "us"]
    image: Image
    weights: list[float]
    note: str | None


def test_parameters_carry_their_schema() -> None:
    p = Pipeline("one")
    p.step("count", count.of(1))
    p.param("target", Target)
    p.param("times", int)
    assert p.build().record()["params"] == {
        "target": {
            "title": "Target",
            "type": "object",
            "properties": {
                "region": {"enum": ["eu", "us"]},
                "image": {
                    "title": "Image",
                    "type": "object",
                    "properties": {
                        "digest": {"type": "string"},
                        "layers": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["digest", "layers"],
                },
                "weights": {"type": "array", "items": {"type": "number"}},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["region", "image", "weights", "note"],
        },
        "times": {"type": "integer"},
    }


def test_values_make_a_plan() -> None:
    p = Pipeline("one")
    p.step("count", count.of(1))
    p.param("image", Image)
    p.param("share", float)
    plan = p.build().with_(image=Image("sha256:4f2c", []), share=1)
    assert plan.values() == {"image": {"digest": "sha256:4f2c", "layers": []}, "share": 1}
    assert plan.pipeline.name == "one"


def test_wrong_values_are_told_at_once() -> None:
    p = Pipeline("one")
    p.step("count", count.of(1))
    p.param("image", Image)
    p.param("share", float)
    p.param("times", int)
    p.param("name", str)
    assert problems_of(lambda: p.build().with_(image="x", times=True, name="\ud800", nme="y")) == [
        "the parameter 'image' is str; give Image",
        "the parameter 'share' has no value; give share=, of type float",
        "the parameter 'times' is bool; give int",
        "there is no parameter 'nme'; the pipeline has image, share, times, name",
        "the parameter 'name' holds half of a surrogate pair, which is no text; repair '\\ud800'",
    ]


@pytest.mark.parametrize(("name", "kind"), [("a b", str), ("9a", str), ("a", "str")])
def test_parameters_are_keywords_with_types(name: Any, kind: Any) -> None:
    with pytest.raises(DefinitionError, match="the parameter"):
        Pipeline("one").param(name, kind)


def test_a_problem_says_its_step() -> None:
    assert str(Problem("scan", "it is late")) == "step 'scan': it is late"
    assert str(Problem(None, "it is late")) == "it is late"
