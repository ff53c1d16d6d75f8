"""Holds a file of wrong lines against what the checkers say of them.

A wrong line carries a mark, `# E: mypy's code, pyright's rule: what is wrong`. The file is as it should be when every
marked line is refused by both checkers with those codes, and no other line by either.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tokenize
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Found: TypeAlias = "Mapping[int, set[str]]"
"""Line number to the codes of what a checker refused there."""

PACKAGE: Final = Path(__file__).parent.parent / "python"
SAMPLES: Final = Path(__file__).parent / "typing"
_MARK: Final = re.compile(r"# E: (?P<mypy>[a-z-]+), (?P<pyright>report[A-Za-z]+): \S")


def marks(source: str) -> dict[int, tuple[str, str] | None]:
    """The codes that each marked line wants, of mypy and of pyright; none for a mark that does not say."""
    found: dict[int, tuple[str, str] | None] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.string.startswith("# E"):
            mark = _MARK.match(token.string)
            found[token.start[0]] = None if mark is None else (mark["mypy"], mark["pyright"])
    return found


def verdict(source: str, mypy: Found, pyright: Found) -> list[str]:
    """What is not as the marks say; empty when all is."""
    return list(_faults(marks(source), mypy, pyright))


def _faults(wanted: dict[int, tuple[str, str] | None], mypy: Found, pyright: Found) -> Iterable[str]:
    if not wanted:
        yield "nothing is marked"
    for line, codes in wanted.items():
        if codes is None:
            yield f"line {line}: the mark is not `# E: mypy's code, pyright's rule: what is wrong`"
            continue
        for checker, code, found in (("mypy", codes[0], mypy), ("pyright", codes[1], pyright)):
            if not found.get(line):
                yield f"line {line}: accepted by {checker}"
            elif code not in found[line]:
                yield f"line {line}: {checker} refuses it for {sorted(found[line])}, the mark says {code}"
    for checker, found in (("mypy", mypy), ("pyright", pyright)):
        for line in found.keys() - wanted.keys():
            yield f"line {line}: not marked, refused by {checker} for {sorted(found[line])}"


def beside(folder: Path, bad: str) -> Path:
    """A folder of its own with the good sample and `bad` as bad.py, so that no project's settings apply to it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SAMPLES / "good.py", folder / "good.py")
    path = folder / "bad.py"
    path.write_text(bad, encoding="utf-8")
    return path


def mypy_refuses(path: Path, cache: Path) -> Found:
    """What `mypy --strict` refuses in a file."""
    command = [
        "mypy",
        "--strict",
        "--config-file=",
        "--output=json",
        "--no-error-summary",
        f"--cache-dir={cache}",
        path.name,
    ]
    lines = _run(command, path.parent, {"MYPYPATH": str(PACKAGE)}).splitlines()
    return _by_line(
        path, ((d["file"], d["line"], d["code"]) for d in map(json.loads, lines) if d["severity"] == "error")
    )


def pyright_refuses(path: Path) -> Found:
    """What pyright, with its own settings but for the file's comments, refuses in a file."""
    settings = {"include": [path.name], "extraPaths": [str(PACKAGE)], "pythonVersion": "3.11"}
    (path.parent / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    report: dict[str, Any] = json.loads(_run(["pyright", "--outputjson"], path.parent, {}))
    assert report["summary"]["filesAnalyzed"] == 1, report
    return _by_line(
        path,
        (
            (d["file"], d["range"]["start"]["line"] + 1, d.get("rule", "none"))
            for d in report["generalDiagnostics"]
            if d["severity"] == "error"
        ),
    )


def _by_line(path: Path, refused: Iterable[tuple[str, int, str]]) -> Found:
    found: defaultdict[int, set[str]] = defaultdict(set)
    for file, line, code in refused:
        assert Path(file).name == path.name, f"{file}:{line} is refused for {code}, and it should be clean"
        found[line].add(code)
    return dict(found)


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Standard output of a checker; 0 and 1 are its answers, everything else is its failure."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout
