"""Towpath: deployment workflows as a library.

A pipeline is written as data with typed handles, checked by the type checker. An engine runs it: each step is
durable, each can be undone, none is lost and none is done twice by accident. The engine is Rust, in this process; its
store is one file.

Example:
    >>> from towpath import Engine, Pipeline, StepContext, step
    >>> @step("shop.smoke/v1", in_doubt="no_effect")
    ... async def smoke(cx: StepContext, url: str) -> bool:
    ...     return url.startswith("https://")
    >>> p = Pipeline("checkout")
    >>> smoked = p.step("smoke", smoke.of(p.param("url", str).out))
    >>> plan = p.output(smoked).build().with_(url="https://shop.example")
    >>> async def deploy() -> bool:
    ...     async with Engine.open("memory:", steps=[smoke]) as engine:
    ...         run = await engine.run(plan, key="checkout@4f2c")
    ...         return await run.output()
    >>> import asyncio
    >>> asyncio.run(deploy())
    True
"""

from towpath import blocking, errors, stock
from towpath._condition import Condition
from towpath._context import BlockingCalls, RunFailure, StepContext
from towpath._engine import Engine, Run
from towpath._environment import Approved, Environment, Voice
from towpath._function import StepFunction, step
from towpath._handle import Handle, Input
from towpath._input import text
from towpath._observe import Done, NotDone, Observed, TakenOver, Unknown
from towpath._pipeline import Pipeline
from towpath._plan import FrozenPipeline, Plan
from towpath._results import (
    Abandoned,
    Cancelled,
    Change,
    Compensated,
    Driven,
    Event,
    Explanation,
    Failed,
    Failure,
    Health,
    Preview,
    RunRow,
    Settled,
    StepPreview,
    Stuck,
    Succeeded,
    Superseded,
    WaitingFor,
    Why,
)
from towpath._secret import Secret, SecretValue
from towpath._step import InDoubt, Step, UndoPolicy
from towpath._undo import Undo
from towpath.errors import (
    DefinitionError,
    Dropped,
    EngineError,
    EngineStopped,
    Forked,
    Frozen,
    HandleMisuse,
    InboxFull,
    JournalCorrupt,
    KeyTaken,
    NotSucceeded,
    Parked,
    PlanErrors,
    PlanFileError,
    Problem,
    Refused,
    RunNotFound,
    RunSettled,
    StepError,
    StoreError,
    TowpathError,
    Unfit,
    UnknownField,
    Unreadable,
    ValueMisfit,
)
from towpath.stock import Approval, Command, HttpCall, HttpCheck, HttpRequest, Notify, Wait

__all__ = [
    "Abandoned",
    "Approval",
    "Approved",
    "BlockingCalls",
    "Cancelled",
    "Change",
    "Command",
    "Compensated",
    "Condition",
    "DefinitionError",
    "Done",
    "Driven",
    "Dropped",
    "Engine",
    "EngineError",
    "EngineStopped",
    "Environment",
    "Event",
    "Explanation",
    "Failed",
    "Failure",
    "Forked",
    "Frozen",
    "FrozenPipeline",
    "Handle",
    "HandleMisuse",
    "Health",
    "HttpCall",
    "HttpCheck",
    "HttpRequest",
    "InDoubt",
    "InboxFull",
    "Input",
    "JournalCorrupt",
    "KeyTaken",
    "NotDone",
    "NotSucceeded",
    "Notify",
    "Observed",
    "Parked",
    "Pipeline",
    "Plan",
    "PlanErrors",
    "PlanFileError",
    "Preview",
    "Problem",
    "Refused",
    "Run",
    "RunFailure",
    "RunNotFound",
    "RunRow",
    "RunSettled",
    "Secret",
    "SecretValue",
    "Settled",
    "Step",
    "StepContext",
    "StepError",
    "StepFunction",
    "StepPreview",
    "StoreError",
    "Stuck",
    "Succeeded",
    "Superseded",
    "TakenOver",
    "TowpathError",
    "Undo",
    "UndoPolicy",
    "Unfit",
    "Unknown",
    "UnknownField",
    "Unreadable",
    "ValueMisfit",
    "Voice",
    "Wait",
    "WaitingFor",
    "Why",
    "blocking",
    "errors",
    "step",
    "stock",
    "text",
]
