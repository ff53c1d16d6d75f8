"""The authoring shape under the type checkers: the sketch is clean, and every wrong line is refused by both."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

import refusals

if TYPE_CHECKING:
    from pathlib import Path

GOOD = (refusals.SAMPLES / "good.py").read_text(encoding="utf-8")
BAD = (refusals.SAMPLES / "bad.py").read_text(encoding="utf-8")

# Lines planted behind the bad file, each with what must be said of it.
PLANTED: tuple[tuple[str, list[str]], ...] = (
    ("accepted: int = 1  # E: assignment, reportAssignmentType: nothing", ["accepted by mypy", "accepted by pyright"]),
    ("by_mypy = [].append  # E: var-annotated, reportCallIssue: only mypy asks of what", ["accepted by pyright"]),
    ("by_pyright = {[1]: 1}  # E: misc, reportUnhashable: only pyright asks whether it hashes", ["accepted by mypy"]),
    ("refused: int = 'c'  # E: assignment, reportAssignmentType: as it should be", []),
    (
        "other: int = 'b'  # E: arg-type, reportAssignmentType: x",
        ["mypy refuses it for ['assignment'], the mark says arg-type"],
    ),
    (
        "unmarked: int = 'a'",
        [
            "not marked, refused by mypy for ['assignment']",
            "not marked, refused by pyright for ['reportAssignmentType']",
        ],
    ),
    ("vague: int = 'd'  # E", ["the mark is not `# E: mypy's code, pyright's rule: what is wrong`"]),
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy remembers of the standard library between the tests here."""
    return tmp_path_factory.mktemp("mypy")


def test_the_sketch_is_clean(tmp_path: Path, cache: Path) -> None:
    path = refusals.beside(tmp_path, f"# pyright: strict\n{GOOD}")

    assert refusals.mypy_refuses(path, cache) == {}
    assert refusals.pyright_refuses(path) == {}


def test_every_wrong_line_is_refused_by_both(tmp_path: Path, cache: Path) -> None:
    path = refusals.beside(tmp_path, BAD)

    told = refusals.verdict(BAD, refusals.mypy_refuses(path, cache), refusals.pyright_refuses(path))

    assert not told, "\n".join(told)


def test_a_wrong_line_that_was_accepted_would_be_told(tmp_path: Path, cache: Path) -> None:
    source = "\n".join([BAD, *(line for line, _ in PLANTED)])
    first = len(BAD.splitlines()) + 2
    path = refusals.beside(tmp_path, source)

    told = refusals.verdict(source, refusals.mypy_refuses(path, cache), refusals.pyright_refuses(path))

    expected = [f"line {number}: {what}" for number, (_, all_) in enumerate(PLANTED, first) for what in all_]
    assert sorted(told) == sorted(expected)


def test_a_file_that_lost_its_marks_would_be_told() -> None:
    assert refusals.verdict("x = 1", {}, {}) == ["nothing is marked"]


def test_the_files_say_what_they_try() -> None:
    asserted = [node for node in ast.walk(ast.parse(GOOD)) if isinstance(node, ast.Name) and node.id == "assert_type"]
    assert len(asserted) >= 34
    assert len(refusals.marks(BAD)) >= 74
