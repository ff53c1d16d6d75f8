"""What becomes of runs when processes die, fork and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import towpath
from towpath import blocking

SHOP = """
import asyncio, os, pathlib, sys, time
from towpath import Done, Engine, NotDone, Observed, Pipeline, StepContext, blocking, step

EFFECTS = pathlib.Path(os.environ["EFFECTS"])

def effect(cx, name):
    with EFFECTS.open("a") as file:
        file.write(f"{cx.step_id} {cx.key(name)}\\n")

async def was_placed(cx: StepContext, what: str) -> Observed[str]:
    key = cx.run_key("order")
    placed = EFFECTS.exists() and key in EFFECTS.read_text()
    return Done(what) if placed else NotDone()

@step("shop.order/v1", in_doubt="observe", observe=was_placed)
async def order(cx: StepContext, what: str) -> str:
    effect(cx, "order")
    if os.environ.get("HANG") == "order":
        print("inside", flush=True)
        await asyncio.sleep(3600)
    return what

@step("shop.pack/v1", in_doubt="idempotent")
def pack(cx: StepContext, what: str) -> str:
    done = cx.last_checkpoint(int) or 0
    if done == 0:
        effect(cx, "pack")
        cx.blocking.checkpoint(1)
    if os.environ.get("HANG") == "pack":
        print("inside", flush=True)
        time.sleep(3600)
    return f"packed {what}"

p = Pipeline("shop")
ordered = p.step("order", order.of("tea"))
packed = p.step("pack", pack.of(ordered.out))
plan = p.output(packed).build().with_()
"""

DRIVE = """
from shop import *
with blocking.Engine.open(f"sqlite:{sys.argv[1]}", settle_after=0) as engine:
    print(engine.run(plan, key="it").output(), flush=True)
"""


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, str]:
    """A folder with the shop, and the variables that find it."""
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    (tmp_path / "drive.py").write_text(DRIVE, encoding="utf-8")
    home = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": home, "EFFECTS": str(tmp_path / "effects"), "FOLDER": str(tmp_path)}


def drive(shop: dict[str, str], **variables: str) -> subprocess.Popen[str]:
    folder = shop["FOLDER"]
    command = [sys.executable, f"{folder}/drive.py", f"{folder}/deploys.db"]
    return subprocess.Popen(
        command, env={**shop, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize("where", ["order", "pack"])
def test_a_killed_process_leaves_a_journal_that_another_goes_on_with(shop: dict[str, str], where: str) -> None:
    with drive(shop, HANG=where) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "inside\n"
        first.send_signal(signal.SIGKILL)
        assert first.wait(10) == -signal.SIGKILL

    with drive(shop) as second:
        told, _ = second.communicate(timeout=60)

    assert (second.returncode, told) == (0, "packed tea\n")
    effects = Path(shop["EFFECTS"]).read_text(encoding="utf-8").splitlines()
    assert sorted(line.split()[0] for line in effects) == ["order", "pack"], "each effect once"


def test_a_process_that_ends_with_work_in_flight_leaves_a_journal_as_well(shop: dict[str, str]) -> None:
    script = """
        import threading
        from shop import *
        engine = blocking.Engine.open(f"sqlite:{sys.argv[1]}").start()
        engine.run(plan, key="it")
        while not EFFECTS.exists():
            time.sleep(0.01)
        print("leaving", flush=True)
    """
    leaving = [sys.executable, "-c", textwrap.dedent(script), f"{shop['FOLDER']}/deploys.db"]
    begun = time.monotonic()
    done = subprocess.run(
        leaving, env={**shop, "HANG": "order"}, capture_output=True, text=True, check=True, timeout=60
    )
    assert "leaving" in done.stdout
    assert done.stderr == ""
    assert time.monotonic() - begun < 30

    with drive(shop) as second:
        told, _ = second.communicate(timeout=60)
    assert told == "packed tea\n"


def test_an_interrupt_drains_and_the_run_goes_on_elsewhere(shop: dict[str, str]) -> None:
    script = """
        from shop import *
        @step("shop.patient/v1", in_doubt="idempotent")
        async def patient(cx: StepContext) -> str:
            if cx.last_checkpoint() is not None:
                return "went on"
            print("inside", flush=True)
            await cx.wait_cancelled()
            await cx.checkpoint("asked to stop")
            await cx.sleep("nap", 0.01)
            return "never"
        p = Pipeline("patient")
        plan = p.output(p.step("it", patient.of())).build().with_()
        async def main():
            async with Engine.open(f"sqlite:{sys.argv[1]}", park_after=0) as engine:
                print(await (await engine.run(plan, key="it")).output(), flush=True)
        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script), f"{shop['FOLDER']}/deploys.db"]
    with subprocess.Popen(command, env=shop, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "inside\n"
        first.send_signal(signal.SIGINT)
        _, errors = first.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors

    second = subprocess.run(command, env=shop, capture_output=True, text=True, check=True, timeout=60)
    assert second.stdout == "went on\n"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_engine_is_refused_in_a_forked_process() -> None:
    with blocking.Engine.open("memory:", steps=[]) as engine:
        child = os.fork()
        if child == 0:
            try:
                engine.health()
            except towpath.Forked:
                os._exit(7)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        assert engine.health().well
