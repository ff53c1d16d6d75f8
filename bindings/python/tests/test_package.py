"""The package as a whole: one base for its errors, no pretended engine, and nothing but the standard library."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from typing import Any

import good
import pytest

import refusals
import towpath
from towpath import errors

PUBLIC = {name: getattr(towpath, name) for name in towpath.__all__}
RAISED = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.__name__)
def test_every_error_descends_from_the_one_base(error: type[Exception]) -> None:
    assert issubclass(error, towpath.TowpathError)
    assert error.__name__ in towpath.__all__


def test_nothing_raises_an_error_of_another_family() -> None:
    for path in (refusals.PACKAGE / "towpath").glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            raised = line.strip().removeprefix("raise ").split("(")[0]
            if line.strip().startswith("raise ") and raised != "NotImplementedError":
                assert raised == "misuse" or raised in towpath.__all__, f"{path.name}: {line}"


def test_there_is_no_engine_and_it_says_so() -> None:
    for act in (lambda: towpath.Engine.open("sqlite:x"), lambda: asyncio.run(good.main())):
        with pytest.raises(towpath.EngineMissing, match="which is not part of this package yet") as refused:
            act()
        assert isinstance(refused.value, NotImplementedError)


def test_the_shapes_of_the_engine_cannot_be_made() -> None:
    for shape in (towpath.Engine, towpath.Run):
        make: Any = shape
        with pytest.raises(TypeError, match="abstract"):
            make()


def test_a_step_function_of_the_sketch_is_unit_tested() -> None:
    assert asyncio.run(good.unit_test()) == good.SmokeReport(passed=True)


@pytest.mark.parametrize("name", [name for name, thing in PUBLIC.items() if inspect.isclass(thing)])
def test_public_classes_are_documented(name: str) -> None:
    assert inspect.getdoc(PUBLIC[name])


def test_the_package_needs_nothing_but_the_standard_library() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(refusals.PACKAGE)!r}); import towpath;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    others = set(done.stdout.split()) - set(sys.stdlib_module_names) - {"__main__", "towpath"}
    assert not others


def test_files_and_functions_stay_small() -> None:
    for path in [*refusals.PACKAGE.rglob("*.py"), *refusals.SAMPLES.parent.rglob("*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name
