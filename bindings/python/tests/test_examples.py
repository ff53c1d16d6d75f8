"""The examples run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples" / "python"


ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("page", "says"), [("README.md", "registry.example/shop:4f2c"), ("docs/python.md", None)])
def test_what_the_pages_show_runs(page: str, says: str | None, tmp_path: Path) -> None:
    """In a process of its own: it defines kinds, and an engine without `steps=` takes all that its process has."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    ends = "\nprint(asyncio.run(main()))\n" if says else ""
    done = subprocess.run(
        [sys.executable, "-c", blocks[0] + ends], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert says is None or done.stdout == f"{says}\n"


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_quickstart_releases_and_undoes(tmp_path: Path) -> None:
    store = str(tmp_path / "deploys.db")
    done = run("quickstart.py", store, "4f2c")
    assert done.returncode == 0, done.stderr
    assert "Succeeded(output=Live(version='v-4f2c', healthy=True))" in done.stdout

    again = run("quickstart.py", store, "4f2c")
    assert "Succeeded(output=Live(version='v-4f2c', healthy=True))" in again.stdout, "the same run, told again"

    refused = run("quickstart.py", store, "bad1", "--refuse")
    assert "Compensated(" in refused.stdout, refused.stderr
    assert "v-bad1 answers with errors" in refused.stdout
    assert "compensation-done release" in refused.stdout


def test_a_cron_line_goes_on_with_what_waited(tmp_path: Path) -> None:
    store = str(tmp_path / "deploys.db")
    codes: list[int] = []
    deadline = time.monotonic() + 30
    while not codes or (codes[-1] == 10 and time.monotonic() < deadline):
        codes.append(run("cron.py", store, "nightly").returncode)
    assert codes[0] == 10, "the first line leaves a run that waits"
    assert codes[-1] == 0
