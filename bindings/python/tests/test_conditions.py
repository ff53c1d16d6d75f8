"""Conditions as data."""

from __future__ import annotations

from typing import Any

import pytest

from stubs import Build, Scan
from towpath import Condition, DefinitionError, Pipeline, text

p = Pipeline("checkout")
image: Any = p.step("build", Build("services/checkout", "4f2c"))
report: Any = p.step("scan", Scan(image))
critical = report.out.critical

NAN = float("nan")
CRITICAL = {"from": {"step": "scan", "path": "/critical"}}
CLEAN = {"from": {"step": "scan", "path": "/clean"}}


@pytest.mark.parametrize(
    ("condition", "record"),
    [
        (critical == 0, {"is": [CRITICAL, {"value": 0}]}),
        (critical != 0, {"not": {"is": [CRITICAL, {"value": 0}]}}),
        (critical < 3, {"less": [CRITICAL, {"value": 3}]}),
        (critical <= 3, {"at-most": [CRITICAL, {"value": 3}]}),
        (critical > 3, {"less": [{"value": 3}, CRITICAL]}),
        (critical >= 3, {"at-most": [{"value": 3}, CRITICAL]}),
        (critical == image.out, {"is": [CRITICAL, {"from": {"step": "build"}}]}),
        (
            (critical == 0) & report.out.clean,
            {"all": [{"is": [CRITICAL, {"value": 0}]}, {"is": [CLEAN, {"value": True}]}]},
        ),
        (
            report.out.clean | (critical < 1) | (critical < 2),
            {
                "any": [
                    {"is": [CLEAN, {"value": True}]},
                    {"less": [CRITICAL, {"value": 1}]},
                    {"less": [CRITICAL, {"value": 2}]},
                ]
            },
        ),
    ],
)
def test_conditions_are_data(condition: Any, record: object) -> None:
    assert isinstance(condition, Condition)
    assert condition.record == record


def test_a_value_on_the_left_reads_the_same() -> None:
    mirrored: Any = 3 > critical  # noqa: SIM300 - the order that is tried
    assert mirrored.record == (critical < 3).record


def test_a_chain_is_one_list_and_brackets_are_kept() -> None:
    a, b, c = (critical == 0), (critical == 1), (critical == 2)
    chain: Any = a & b & c
    nested: Any = a & (b & c)
    assert chain.record == {"all": [a.record, b.record, c.record]}
    assert nested.record == {"all": [a.record, {"all": [b.record, c.record]}]}


def test_conditions_nest_and_read_as_they_nest() -> None:
    both: Any = ((critical == 0) | report.out.clean) & (critical != 7)
    assert list(both.record) == ["all"]
    assert [list(part) for part in both.record["all"]] == [["any"], ["not"]]
    assert repr(both) == "<((scan.out.critical == 0) | (scan.out.clean == True)) & not (scan.out.critical == 7)>"


@pytest.mark.parametrize(
    ("when", "says"),
    [
        (True, r"True, known already; .* as in handle\.out == value"),
        (image, r"the handle of 'build'; compare build\.out, or a field of it"),
        (critical, r"scan\.out\.critical, which is no bool; compare it"),
        ("critical == 0", "str 'critical == 0'"),
    ],
)
def test_what_is_no_condition_is_refused(when: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=f"^when= of step 'again' is {says}"):
        p.step("again", Build("x", "y"), when=when)


def test_missing_brackets_are_told() -> None:
    with pytest.raises(DefinitionError, match="one side is int 0; put each comparison in its brackets"):
        _ = critical == 0 & critical


@pytest.mark.parametrize(
    ("compare", "says"),
    [
        (lambda: critical < None, "None is neither a number nor a text"),
        (lambda: critical < True, "True is neither a number nor a text"),
        (lambda: critical == object(), "the value compared with is a object, which cannot be stored"),
        (lambda: critical == NAN, "is nan, which json cannot hold"),
        (lambda: critical == image, "compare handle.out or a field of it"),
        (lambda: image.out.digest == text("{}", 1), "a condition compares places and values"),
    ],
)
def test_operands_that_cannot_be_stored_are_refused(compare: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        compare()
