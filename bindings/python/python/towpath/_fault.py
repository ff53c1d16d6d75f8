"""Rust's errors as exceptions of the package."""

from __future__ import annotations

import json
from typing import Any, cast

from towpath import errors
from towpath.errors import EngineError, PlanErrors, Problem, StepError, TowpathError

_OF_ENGINE: dict[str, type[EngineError]] = {
    "store": errors.StoreError,
    "unfit": errors.Unfit,
    "key-taken": errors.KeyTaken,
    "not-found": errors.RunNotFound,
    "refused": errors.Refused,
    "full": errors.InboxFull,
    "settled": errors.RunSettled,
    "unreadable": errors.Unreadable,
    "corrupt": errors.JournalCorrupt,
    "stopped": errors.EngineStopped,
    "not-started": errors.EngineStopped,
    "forked": errors.Forked,
    "frozen": errors.Frozen,
}


def error_of(text: str) -> TowpathError:
    """The exception that stands for what went wrong in Rust."""
    told = cast("dict[str, Any]", json.loads(text))
    kind, message = str(told["kind"]), str(told["message"])
    causes = [str(cause) for cause in told.get("causes", ())]
    if kind == "plan":
        problems = [Problem(problem["step"], problem["message"]) for problem in told["problems"]]
        return PlanErrors(message, problems)
    if kind in ("plan-file", "plan-file-io"):
        return errors.PlanFileError("\n  because: ".join([message, *causes]))
    if kind == "step":
        return StepError(str(told["class"]), message, causes=causes, retry_after=_seconds(told.get("retry_after_ms")))
    of = _OF_ENGINE.get(kind, EngineError)
    error = of("\n  because: ".join([message, *causes]))
    error.kind = kind
    error.operation = str(told.get("operation", ""))
    error.problems = tuple(str(problem) for problem in told.get("problems", ()))
    error.transient = bool(told.get("transient", False))
    error.run = told.get("run")
    return error


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1_000
