"""The wheel installs into an empty environment, and needs nothing beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

WHEEL = os.environ.get("TOWPATH_WHEEL", "")
QUICKSTART = Path(__file__).parents[3] / "examples" / "python" / "quickstart.py"

pytestmark = pytest.mark.skipif(not WHEEL, reason="no wheel was built; bindings/python/check builds one")


def test_the_wheel_runs_the_quickstart_in_an_empty_environment(tmp_path: Path) -> None:
    home = tmp_path / "home"
    venv.create(home, with_pip=False)
    python = str(home / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", WHEEL]
    # The path of the tests has the package already, and pip would see it there.
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(install, env=plain, check=True, capture_output=True, timeout=120)
    # Nothing but the new environment: no path, and no compiler to fall back on.
    alone = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    run = [python, "-I", str(QUICKSTART), str(tmp_path / "deploys.db"), "4f2c"]
    done = subprocess.run(run, env=alone, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Succeeded(output=Live(version='v-4f2c', healthy=True))" in done.stdout
    command = [str(home / "bin" / "towpath"), "runs", "--store", f"sqlite:{tmp_path / 'deploys.db'}"]
    listed = subprocess.run(command, env=alone, capture_output=True, text=True, check=False, timeout=60)
    assert listed.returncode == 0, listed.stderr
    assert "succeeded" in listed.stdout


def test_one_wheel_serves_every_python_from_3_11_up() -> None:
    name = Path(WHEEL).name
    assert "-cp311-abi3-" in name
    with zipfile.ZipFile(WHEEL) as wheel:
        names = set(wheel.namelist())
    assert {"towpath/py.typed", "towpath/_native.pyi", "towpath/_native.abi3.so"} <= names
