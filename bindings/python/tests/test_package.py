"""The package as a whole: one base for its errors, no pretended engine, and nothing but the standard library."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import good
import pytest

import refusals
import towpath
from towpath import errors

PUBLIC = {name: getattr(towpath, name) for name in towpath.__all__}
RAISED = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)]


# Functions that make one of ours, and what a trap that nobody meets has to raise.
HELPED = {"misuse", "error_of", "error", "self._settings.stopped", "NotImplementedError"}


@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.__name__)
def test_every_error_descends_from_the_one_base(error: type[Exception]) -> None:
    assert issubclass(error, towpath.TowpathError)
    assert error.__name__ in towpath.__all__


def test_nothing_raises_an_error_of_another_family() -> None:
    for path in (refusals.PACKAGE / "towpath").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            raised = re.match(r"\s*raise (?P<name>[\w.]+)", line)
            if raised is not None and raised["name"] not in HELPED:
                assert raised["name"].split(".")[0] in towpath.__all__, f"{path.name}: {line}"


def test_an_engine_that_does_not_run_says_so() -> None:
    async def ask() -> None:
        await towpath.Engine.open("memory:", steps=[]).health()

    with pytest.raises(towpath.EngineStopped, match="is not running; use it inside"):
        asyncio.run(ask())
    with pytest.raises(towpath.EngineStopped, match="is not running; use it inside"):
        towpath.blocking.Engine.open("memory:", steps=[]).health()


@pytest.mark.parametrize("name", ["Engine", "Run"])
def test_the_blocking_twin_has_the_same_calls(name: str) -> None:
    def calls(module: object) -> dict[str, inspect.Signature]:
        members = cast("dict[str, object]", vars(getattr(module, name)))
        bare = {member: getattr(call, "__func__", call) for member, call in members.items() if member[0] != "_"}
        return {member: inspect.signature(call) for member, call in bare.items() if inspect.isfunction(call)}

    ours, theirs = calls(towpath), calls(towpath.blocking)
    assert ours.keys() == theirs.keys()
    for member, signature in ours.items():
        assert signature.parameters == theirs[member].parameters, member


def test_a_step_function_of_the_sketch_is_unit_tested() -> None:
    assert asyncio.run(good.unit_test()) == good.SmokeReport(passed=True)


@pytest.mark.parametrize("name", [name for name, thing in PUBLIC.items() if inspect.isclass(thing)])
def test_public_classes_are_documented(name: str) -> None:
    assert inspect.getdoc(PUBLIC[name])


def test_the_package_needs_nothing_but_the_standard_library() -> None:
    home = str(Path(towpath.__file__).parent.parent)
    script = (
        f"import sys; sys.path.insert(0, {home!r}); import towpath;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    others = set(done.stdout.split()) - set(sys.stdlib_module_names) - {"__main__", "towpath"}
    assert not others


def test_files_and_functions_stay_small() -> None:
    for path in [*refusals.PACKAGE.rglob("*.py"), *refusals.SAMPLES.parent.rglob("*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name
