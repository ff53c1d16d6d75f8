"""Values are stored and read back as what they were."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath import ValueMisfit, _native
from towpath._bridge import dumps
from towpath._decode import decode
from towpath._json import encode

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    GREEN = 2


class Point(NamedTuple):
    x: int
    y: int


class Named(TypedDict):
    name: str
    size: NotRequired[int]


@dataclass(frozen=True)
class Box(Generic[T]):
    inside: T


@dataclass(frozen=True)
class Whole:
    when: datetime
    day: date
    clock: time
    long: timedelta
    price: Decimal
    id: UUID
    path: Path
    data: bytes
    colour: Colour
    point: Point
    level: Literal["low", 3, True]
    maybe: int | None
    names: list[Named]
    boxes: dict[str, Box[int]]
    pair: tuple[int, str]
    many: tuple[float, ...]
    truth: bool
    nested: list[list[str]] = field(default_factory=list[list[str]])


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WHOLES = st.integers(-(2**53), 2**53)
NAMED: Any = st.fixed_dictionaries({"name": TEXTS}, optional={"size": WHOLES})

WHOLE = st.builds(
    Whole,
    when=st.datetimes(timezones=st.sampled_from([UTC])) | st.datetimes(),
    day=st.dates(),
    clock=st.times(),
    long=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    id=st.uuids(),
    path=st.builds(Path, st.text("abc/", min_size=1, max_size=9)),
    data=st.binary(max_size=30),
    colour=st.sampled_from(Colour),
    point=st.builds(Point, WHOLES, WHOLES),
    level=st.sampled_from(["low", 3, True]),
    maybe=st.none() | WHOLES,
    names=st.lists(NAMED, max_size=3),
    boxes=st.dictionaries(TEXTS, st.builds(Box, WHOLES), max_size=3),
    pair=st.tuples(WHOLES, TEXTS),
    many=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
    truth=st.booleans(),
    nested=st.lists(st.lists(TEXTS, max_size=2), max_size=2),
)


@given(WHOLE)
def test_every_type_of_the_table_comes_back_as_it_was(whole: Whole) -> None:
    stored = encode(whole, "it")
    _native.canonical(dumps(stored))
    assert decode(Whole, stored, "it") == whole


@given(WHOLE)
def test_what_rust_writes_of_a_value_is_read_as_well(whole: Whole) -> None:
    import json  # noqa: PLC0415

    assert decode(Whole, json.loads(_native.canonical(dumps(encode(whole, "it")))), "it") == whole


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (int, "1", "it is '1', which is no int"),
        (int, True, "it is True, which is no int"),
        (bool, 1, "it is 1, which is no bool"),
        (float, True, "which is no float"),
        (str, None, "which is no str"),
        (None, 1, "which is no"),
        (list[int], [1, "a"], r"it\[1\] is 'a', which is no int"),
        (list[int], {}, "which is no list"),
        (dict[str, int], {"a": "b"}, r"it\['a'\] is 'b', which is no int"),
        (tuple[int, int], [1], "which is no tuple"),
        (int | None, "x", "it is 'x', which is no int | None"),
        (Literal["a"], "b", "it is 'b'"),
        (Colour, "blue", "it is 'blue', which is no Colour"),
        (Point, [1], "which is no Point"),
        (Named, {}, "it has no 'name'"),
        (Box[int], {"inside": "a"}, r"it\.inside is 'a', which is no int"),
        (Box[int], {}, "which is no Box"),
        (Box[int], 3, "which is no Box"),
        (datetime, "yesterday", "it is 'yesterday', which is no datetime"),
        (timedelta, 3, "it is 3, which is no timedelta"),
        (Decimal, "x", "which is no Decimal"),
        (UUID, "x", "which is no UUID"),
        (bytes, "!", "which is no bytes"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(kind: object, value: object, says: str) -> None:
    with pytest.raises(ValueMisfit, match=says):
        decode(kind, value, "it")


def test_a_newer_record_is_read_and_an_older_one_takes_defaults() -> None:
    assert decode(Box[int], {"inside": 1, "added": 2}, "it") == Box(1)

    @dataclass(frozen=True)
    class Grown:
        first: int
        second: str = "default"

    assert decode(Grown, {"first": 1}, "it") == Grown(1, "default")


class Model:
    """What pydantic's models look like from outside."""

    def __init__(self, size: int) -> None:
        self.size = size

    def model_dump(self, *, mode: str) -> dict[str, object]:
        return {"size": self.size, "mode": mode}

    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> Model:
        if "size" not in value:
            raise ValueError("size is missing")
        return cls(value["size"])


def test_models_say_themselves_how_they_are_stored() -> None:
    assert encode(Model(3), "it") == {"size": 3, "mode": "json"}
    assert decode(Model, {"size": 3}, "it").size == 3
    with pytest.raises(ValueMisfit, match="size is missing"):
        decode(Model, {}, "it")
