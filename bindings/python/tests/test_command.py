"""The ``towpath`` command of the wheel, on journals that Python wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from towpath import Frozen, Pipeline, StepContext, blocking, step
from towpath.stock import Approval

if TYPE_CHECKING:
    from pathlib import Path


@step("command.greet/v1", in_doubt="no_effect")
def greet(cx: StepContext, name: str) -> str:
    return f"hello {name}"


def towpath(*line: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "towpath", *line]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A journal with a run that is over, and one that waits for somebody."""
    address = f"sqlite:{tmp_path / 'deploys.db'}"
    p = Pipeline("greetings")
    greeted = p.step("greet", greet.of("world"))
    gated = Pipeline("gated")
    gated.step("gate", Approval("ship it?"))
    with blocking.Engine.open(address, steps=[greet]) as engine:
        engine.run(p.output(greeted).build().with_(), key="first").settled()
        engine.run(gated.build().with_(), key="second")
    return address


def test_the_command_looks_at_what_python_wrote(store: str) -> None:
    listed = towpath("runs", "--store", store)
    assert listed.returncode == 0, listed.stderr
    assert "greetings" in listed.stdout
    assert "succeeded" in listed.stdout
    rows = [json.loads(line) for line in towpath("runs", "--json", "--store", store).stdout.splitlines()]
    assert {row["key"] for row in rows} == {"first", "second"}
    shown = towpath("show", "first", "--store", store)
    assert "hello world" in shown.stdout
    assert towpath("verify", "--all", "--store", store).returncode == 0


def test_the_command_answers_and_drives_stock_steps(store: str) -> None:
    assert "waits for the signal approval" in towpath("explain", "second", "--store", store).stdout
    said = towpath("approve", "second", "gate", "--store", store)
    assert said.returncode == 3, f"{said.stdout}{said.stderr}: sent, and nobody drives it yet"
    ticked = towpath("tick", "--store", store)
    assert ticked.returncode == 0, f"{ticked.stdout}{ticked.stderr}"
    assert "succeeded" in towpath("show", "second", "--store", store).stdout


def test_a_freeze_of_the_command_holds_starts_from_python(store: str) -> None:
    assert towpath("freeze", "friday", "--reason", "the sale", "--store", store).returncode == 0
    p = Pipeline("greetings")
    p.step("greet", greet.of("again"))
    plan = p.build().with_()
    with blocking.Engine.open(store, steps=[greet]) as engine:
        with pytest.raises(Frozen, match=r"friday.*the sale"):
            engine.run(plan, key="held")
        assert towpath("thaw", "friday", "--reason", "over", "--store", store).returncode == 0
        engine.run(plan, key="held").settled()


def test_a_wrong_command_line_says_what_is_wrong() -> None:
    wrong = towpath("exlain")
    assert wrong.returncode == 2
    assert "explain" in wrong.stderr
    assert towpath("--version").stdout.startswith("towpath ")
    missing = towpath("runs", "--store", "sqlite:/nowhere/deploys.db")
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr
    assert "/nowhere" in missing.stderr
