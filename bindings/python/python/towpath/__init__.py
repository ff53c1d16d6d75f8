"""Towpath: deployment workflows as a library.

A pipeline is written as data with typed handles, checked by the type checker, and built into the record that the Rust
library stores. The native engine is not part of this package yet: what needs it raises `EngineMissing`.

Example:
    >>> from towpath import Pipeline, StepContext, step
    >>> @step("shop.smoke/v1", in_doubt="no_effect")
    ... async def smoke(cx: StepContext, url: str) -> bool:
    ...     return url.startswith("https://")
    >>> p = Pipeline("checkout")
    >>> smoked = p.step("smoke", smoke.of("https://shop.example"))
    >>> p.build()
    <frozen pipeline checkout: smoke>
"""

from towpath._condition import Condition
from towpath._engine import Engine, Event, Run
from towpath._environment import Approved, Environment
from towpath._function import StepFunction, step
from towpath._handle import Handle, Input
from towpath._input import text
from towpath._observe import Done, NotDone, Observed, TakenOver, Unknown
from towpath._pipeline import Pipeline
from towpath._plan import FrozenPipeline, Plan
from towpath._step import InDoubt, Step, StepContext
from towpath.errors import (
    DefinitionError,
    EngineMissing,
    HandleMisuse,
    PlanErrors,
    Problem,
    TowpathError,
    UnknownField,
)

__all__ = [
    "Approved",
    "Condition",
    "DefinitionError",
    "Done",
    "Engine",
    "EngineMissing",
    "Environment",
    "Event",
    "FrozenPipeline",
    "Handle",
    "HandleMisuse",
    "InDoubt",
    "Input",
    "NotDone",
    "Observed",
    "Pipeline",
    "Plan",
    "PlanErrors",
    "Problem",
    "Run",
    "Step",
    "StepContext",
    "StepFunction",
    "TakenOver",
    "TowpathError",
    "Unknown",
    "UnknownField",
    "step",
    "text",
]
