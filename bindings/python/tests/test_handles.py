"""Handles and places used as if they were values: each use is refused at once, and says what to write."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from stubs import Build, Report, Scan
from towpath import HandleMisuse, Pipeline, TowpathError, UnknownField, text

if TYPE_CHECKING:
    from collections.abc import Callable

p = Pipeline("checkout")
# What a checker refuses has to reach the run time here.
image: Any = p.step("build", Build("services/checkout", "4f2c"))
report: Any = p.step("scan", Scan(image))
ADDRESS: Any = text("http://{}", p.param("host", str))

SUBJECTS: dict[str, Any] = {
    "handle": image,
    "place": report.out.critical,
    "condition": report.out.critical == 0,
    "text": ADDRESS,
}

USES: dict[str, tuple[Callable[[Any], object], str]] = {
    "bool": (bool, "when="),
    "not": (lambda it: not it, "with !="),
    "and": (lambda it: it and 1, "with & and |"),
    "str": (str, "text("),
    "f-string": (lambda it: f"{it}", "text("),
    "f-string with a width": (lambda it: f"{it:>8}", "text("),
    "percent": (lambda it: "%s" % it, "text("),  # noqa: UP031 - the use that is tried
    "text before": (lambda it: "a" + it, "text("),
    "text behind": (lambda it: it + "a", "text("),
    "path": (open, "text("),
    "len": (len, "hand it to a step"),
    "iter": (list, "hand it to a step"),
    "unpack": (lambda it: [*it], "hand it to a step"),
    "in": (lambda it: "x" in it, "hand it to a step"),
    "item": (lambda it: it[0], "hand it to a step"),
    "int": (int, "hand it to a step"),
    "float": (float, "hand it to a step"),
    "index": (operator.index, "hand it to a step"),
    "round": (round, "hand it to a step"),
    "floor": (math.floor, "hand it to a step"),
    "minus": (lambda it: it - 1, "hand it to a step"),
    "times": (lambda it: 2 * it, "hand it to a step"),
    "negative": (lambda it: -it, "hand it to a step"),
    "power": (lambda it: 2**it, "hand it to a step"),
    "call": (lambda it: it(), "hand it to a step"),
    "set a field": (lambda it: setattr(it, "field", 1), "in a step"),
    "delete a field": (lambda it: delattr(it, "field"), "in a step"),
    "pickle": (pickle.dumps, "built record"),
}
"""Each use, and what its message must say to write instead."""


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_use_as_a_value_is_refused(subject: str, use: str) -> None:
    act, instead = USES[use]
    with pytest.raises(HandleMisuse) as refused:
        act(SUBJECTS[subject])
    message = str(refused.value)
    assert isinstance(refused.value, TypeError)
    assert instead in message
    assert not message.endswith(".")


async def _await(it: Any) -> object:
    return await it


@pytest.mark.parametrize("subject", SUBJECTS)
def test_await_is_refused(subject: str) -> None:
    with pytest.raises(HandleMisuse, match="await a run"):
        _await(SUBJECTS[subject]).send(None)


COMPARISONS: list[Callable[[Any], object]] = [
    lambda it: it == 0,
    lambda it: it != "x",
    lambda it: it < 3,
    lambda it: it >= 3,
]


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("subject", ["handle", "condition", "text"])
def test_comparing_what_is_no_place_is_refused(subject: str, compare: Callable[[Any], object]) -> None:
    with pytest.raises(HandleMisuse, match="compare"):
        compare(SUBJECTS[subject])


def test_a_message_names_the_place() -> None:
    with pytest.raises(HandleMisuse, match=r"^scan\.out\.image\.digest is not known while the pipeline is written"):
        len(report.out.image.digest)
    with pytest.raises(HandleMisuse, match=r"^the output of 'build' is not known"):
        len(image)


def test_a_chain_of_comparisons_and_membership_are_refused() -> None:
    with pytest.raises(HandleMisuse, match="a chain of comparisons"):
        assert 0 < report.out.critical < 3
    with pytest.raises(HandleMisuse, match=", in or "):
        assert report.out.critical in (1, 2)


@pytest.mark.parametrize("subject", ["place", "condition", "text"])
def test_a_place_is_no_key(subject: str) -> None:
    with pytest.raises(HandleMisuse, match="used as a key"):
        hash(SUBJECTS[subject])


def test_handles_are_keys_and_equal_by_what_they_point_to() -> None:
    again = Pipeline("other").step("build", Build("services/checkout", "4f2c"))
    assert {image: 1}[image] == 1
    assert image == copy.copy(image)
    assert image != report
    assert image != again


def test_fields_of_outputs_are_places() -> None:
    assert repr(report.out.image.digest) == "<scan.out.image.digest>"
    assert repr(image) == "<Handle build: Image>"


@pytest.mark.parametrize(
    ("reach", "says"),
    [
        (lambda: image.digest, r"a handle has no 'digest', its output has; write build\.out\.digest"),
        (lambda: image.digst, r"a handle has no 'digst'; a field of its output is build\.out\.field"),
        (lambda: image.out.digst, r"build\.out has no field 'digst'; did you mean 'digest'"),
        (lambda: image.out.owner, r"build\.out has no field 'owner'; it has digest, layers"),
        (lambda: image.out.short, r"build\.out has no stored field 'short': it is computed by Image"),
        (lambda: image.out.digest.upper, r"build\.out\.digest has no stored field 'upper': it is computed by str"),
        (lambda: image.out.__json__, "has no field '__json__'"),
    ],
)
def test_a_wrong_field_is_refused_at_once(reach: Callable[[], object], says: str) -> None:
    with pytest.raises(UnknownField, match=says) as refused:
        reach()
    assert isinstance(refused.value, TowpathError)
    assert isinstance(refused.value, AttributeError)


def test_a_copy_of_a_place_is_the_place() -> None:
    place = report.out.image
    assert copy.deepcopy([place])[0] is place
    assert copy.copy(place) is place


def test_types_of_parameters_and_outputs_are_known() -> None:
    assert repr(p.param("report", Report).out.image.layers) == "<report.out.image.layers>"
