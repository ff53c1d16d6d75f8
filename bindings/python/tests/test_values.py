"""What can be stored, and what is refused where it is written."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any

import pytest

from stubs import Build, Image, Scan, count, tell
from towpath import DefinitionError, Environment, Pipeline, Step, text


class Severity(enum.Enum):
    HIGH = "high"


class Weight(int, enum.Enum):
    ALL = 100


@dataclass(frozen=True)
class Holds(Step[None], kind="shop.holds/v1", in_doubt="no_effect"):
    value: Any


def stored(value: object) -> Any:
    p = Pipeline("one")
    p.step("it", Holds(value))
    steps: Any = p.build().record()["steps"]
    return steps[0]["with"]["value"]


@pytest.mark.parametrize(
    ("value", "record"),
    [
        (None, None),
        (True, True),
        (2**53, 2**53),
        (-(2**53), -(2**53)),
        (1.5, 1.5),
        ("naïve ☃", "naïve ☃"),
        ([1, (2, 3)], [1, [2, 3]]),
        ({"a": {"b": [None]}}, {"a": {"b": [None]}}),
        (Severity.HIGH, "high"),
        (Weight.ALL, 100),
        (Image("sha256:4f2c", ["a"]), {"digest": "sha256:4f2c", "layers": ["a"]}),
        (Environment.named("production"), {"name": "production"}),
    ],
)
def test_values_are_stored_as_plain_json(value: object, record: object) -> None:
    assert stored(value) == {"value": record}
    assert json.loads(json.dumps(stored(value))) == {"value": record}


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


P = Pipeline("other")
IMAGE: Any = P.step("build", Build("x", "y"))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (2**53 + 1, "value of step 'it' is 9007199254740993, beyond 2"),
        (float("inf"), "value of step 'it' is inf, which json cannot hold"),
        (bytearray(b"abc"), "is a bytearray, which cannot be stored; use a dataclass"),
        ({1, 2}, "is a set, which cannot be stored; a set has no order, so write sorted"),
        (object(), "is a object, which cannot be stored; use a dataclass"),
        (Image, "is a type, which cannot be stored"),
        ({1: 2}, "has the key 1, which is no text"),
        ("\ud800", "holds half of a surrogate pair"),
        (Image("x", [{"a"}]), r"value of step 'it'\.layers\[0\] is a set"),  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        ([IMAGE], r"value of step 'it'\[0\] has <Handle build: Image> inside a value; only a whole field"),
        ({"a": IMAGE.out.digest}, r"value of step 'it'\['a'\] has <build\.out\.digest> inside a value"),
        (IMAGE.out.digest == "x", "is a condition, .* give conditions to when="),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_place(value: object, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        stored(value)


def test_limit_of_nesting_holds_at_the_limit_and_one_above() -> None:
    assert stored(deep(100))
    with pytest.raises(DefinitionError, match="nests deeper than 100 levels"):
        stored(deep(101))
    around: list[object] = []
    around.append(around)
    with pytest.raises(DefinitionError, match="nests deeper than 100 levels"):
        stored(around)


@pytest.mark.parametrize("name", ["", "Production", "a" * 65, "a b", "a_b", "ä"])
def test_names_of_environments_are_slugs(name: str) -> None:
    with pytest.raises(DefinitionError, match="is not 1 to 64 of a-z, 0-9 and -"):
        Environment.named(name)


def test_texts_are_data() -> None:
    p = Pipeline("checkout")
    host, n = p.param("host", str), p.step("count", count.of(3))
    p.step("tell", tell.of(text("{{{}}}:{}/{}", host, n.out, 8080)))
    steps: Any = p.build().record()["steps"]
    assert steps[1]["with"]["what"] == {
        "text": [
            {"value": "{"},
            {"param": {"name": "host"}},
            {"value": "}"},
            {"value": ":"},
            {"from": {"step": "count"}},
            {"value": "/"},
            {"value": 8080},
        ]
    }
    assert steps[1]["reads"] == [{"step": "count"}]


@pytest.mark.parametrize(
    ("template", "parts", "says"),
    [
        ("{}", (), r"has 1 \{\} for 0 parts; give one part for each \{\}"),
        ("x", (1,), r"has 0 \{\} for 1 parts"),
        ("{} {}", (1,), r"has 2 \{\} for 1 parts"),
        ("{name}", (1,), r"has a \{\} that is not empty"),
        ("{:>3}", (1,), r"has a \{\} that is not empty"),
        ("{!r}", (1,), r"has a \{\} that is not empty"),
        ("{", (), "has a lone brace"),
        ("{}", (IMAGE,), r"part 1 of the text '\{\}' is build\.out, a Image"),
        ("{} {}", (1, IMAGE.out.layers), "part 2 .* give a text, a number, or a place of one"),
        ("{}", (True,), "part 1 .* is True; give a text"),
        ("{}", ([1],), r"part 1 .* is \[1\]; give a text"),
    ],
)
def test_texts_that_would_read_badly_are_refused(template: str, parts: tuple[Any, ...], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        text(template, *parts)


def test_a_text_goes_where_a_text_goes() -> None:
    scan = Scan(Image("x", []), fail_on=text("{}", P.param("level", str)))
    assert repr(scan.fail_on) == "<text '{}'>"
