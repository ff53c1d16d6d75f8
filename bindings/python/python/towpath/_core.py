"""The part that the engine for asyncio and the blocking one have in common."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from towpath import _results
from towpath._bodies import PythonBodies
from towpath._bridge import Bridge, dumps
from towpath._context import millis
from towpath._decode import decode
from towpath._function import StepFunction
from towpath._json import encode
from towpath._kinds import Definition, defined, methods_of, of_class
from towpath._step import Step
from towpath._types import name_of
from towpath.errors import DefinitionError, EngineStopped, NotSucceeded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from towpath import _native
    from towpath._context import Seconds
    from towpath._environment import Environment
    from towpath._plan import FrozenPipeline, Plan
    from towpath._results import Settled

T = TypeVar("T")

Registered: TypeAlias = "StepFunction[..., Any, Any] | type[Step[Any]] | ModuleType"
"""What an engine is given as a step: a step function, the class of a step, or a module with some."""

_STOCK: Final = "towpath."


@dataclass(frozen=True, slots=True)
class Settings:
    """What an engine is made of."""

    store: str
    definitions: tuple[Definition, ...]
    config: str
    threads: int

    def stopped(self) -> EngineStopped:
        """Nothing can be asked of an engine that does not run."""
        return EngineStopped(f"the engine on {self.store} is not running; use it inside `with` or `async with`")


def settings(  # noqa: PLR0913 - each is a setting of an engine
    store: str,
    *,
    steps: Iterable[Registered] | None,
    pipelines: Sequence[FrozenPipeline[Any]],
    environments: Sequence[Environment[Any]],  # noqa: ARG001 - what Python binds to them is nothing yet
    secrets: Mapping[str, str] | None,
    actor: str | None,
    times: Mapping[str, Seconds | None],
    concurrency: int | None,
    threads: int,
    background: bool,
) -> Settings:
    """The settings of an engine.

    Raises:
        PlanErrors: when two places of this process define one kind, and `steps` does not say which.
        DefinitionError: when something is no step, or no time.
    """
    definitions = tuple(_definitions(steps))
    config: dict[str, object] = {
        "store": store,
        "background": background,
        "kinds": [definition.record(number) for number, definition in enumerate(definitions)],
        "pipelines": [pipeline.record() for pipeline in pipelines],
    }
    if secrets is not None:
        config["secrets"] = dict(secrets)
    if actor is not None:
        config["actor"] = actor
    if concurrency is not None:
        config["concurrency"] = concurrency
    config.update({f"{name}_ms": millis(time, f"{name}=") for name, time in times.items() if time is not None})
    if threads < 1:
        raise DefinitionError(f"threads={threads} lets no plain step function run; give one at least")
    return Settings(store, definitions, dumps(config), threads)


def _definitions(steps: Iterable[Registered] | None) -> Iterable[Definition]:
    given: Iterable[object] = defined(_runs) if steps is None else steps
    found: dict[int, Definition] = {}
    for thing in given:
        for step in _of_module(thing) if isinstance(thing, ModuleType) else (thing,):
            if id(step) not in found:
                found[id(step)] = _definition(step)
    return found.values()


def _runs(thing: object) -> bool:
    """Whether something that defines a kind has code; a stock step has its code in Rust."""
    if isinstance(thing, type):
        kind = cast("type[Step[Any]]", thing).__kind__.name
        return "run" in methods_of(thing) and not kind.startswith(_STOCK)
    return isinstance(thing, StepFunction)


def _of_module(module: ModuleType) -> list[object]:
    own: list[object] = [thing for name, thing in vars(module).items() if not name.startswith("_")]
    return [thing for thing in own if isinstance(thing, StepFunction) or (_is_step(thing) and _runs(thing))]


def _is_step(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Step) and thing is not Step


def _definition(thing: object) -> Definition:
    if isinstance(thing, StepFunction):
        return cast("StepFunction[..., Any, Any]", thing).definition()
    cls = cast("type[object] | None", thing if isinstance(thing, type) else None)
    if cls is not None and issubclass(cls, Step) and cls is not Step:
        return of_class(cast("type[Any]", cls), Step)
    raise DefinitionError(
        f"steps= has {name_of(type(thing))} {thing!r}; give step functions, classes of steps, or modules of them"
    )


class Core:
    """An engine in Rust with the bodies of Python."""

    def __init__(self, settings: Settings, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._bridge = Bridge()
        self._bodies = PythonBodies(self._bridge, list(settings.definitions), loop, settings.threads)
        self._bridge.begin(self._bodies)
        self.started: Future[Any] = self._bridge.ask(lambda op: self._bridge.native.start(op, settings.config))

    @staticmethod
    def read(answer: str) -> Any:
        """An answer as plain data."""
        return json.loads(answer)

    def call(self, call: object) -> Future[Any]:
        """Asks the engine for something."""
        return self._bridge.call(call)

    def of_run(self, run: _native.Run, call: object) -> Future[Any]:
        """Asks a run for something."""
        return self._bridge.of_run(run, call)

    def run(self, plan: Plan[Any], key: str, labels: Mapping[str, str] | None, reason: str) -> Future[Any]:
        """Starts a run."""
        made, named = plan.native(), dict(labels or {})
        return self._bridge.ask(lambda op: self._bridge.native.run(op, made, key, named, reason))

    def preview(self, plan: Plan[Any]) -> Future[Any]:
        """Asks what a plan would change."""
        made = plan.native()
        return self._bridge.ask(lambda op: self._bridge.native.preview(op, made))

    def runs(
        self,
        status: Sequence[str],
        pipeline: str | None,
        labels: Mapping[str, str] | None,
        after: int | None,
        limit: int,
    ) -> Future[Any]:
        """Asks for a page of runs."""
        wanted = {"status": list(status), "pipeline": pipeline, "labels": list((labels or {}).items())}
        return self.call({"runs": {**wanted, "after": after, "limit": limit}})

    def drive(self, until: str, at_most: Seconds | None) -> Future[Any]:
        """Drives what is due."""
        if until not in ("settled", "parked"):
            raise DefinitionError(f"drive(until={until!r}) has no end; write 'settled' or 'parked'")
        limit = None if at_most is None else millis(at_most, "at_most=")
        return self.call({"drive": {"settled": until == "settled", "limit_ms": limit}})

    def unfollow(self, updates: int) -> None:
        """Follows a run no longer."""
        self._bridge.native.unfollow(updates)

    def shut_down(self) -> Future[Any]:
        """Brings what runs to an end."""
        return self._bridge.call("shutdown")

    def close(self) -> None:
        """Ends the threads."""
        self._bodies.close()
        self._bridge.close()

    @staticmethod
    def a_signal(name: str, value: object, step: str | None) -> object:
        """A signal, as Rust takes it."""
        return {"send": {"signal": {"name": name, "step": step, "value": encode(value, f"the signal {name!r}")}}}

    @staticmethod
    def an_approval(step: str, comment: str, *, approve: bool) -> object:
        """What somebody says to an approval, as Rust takes it."""
        return {"send": {"approval": {"step": step, "approve": approve, "comment": comment}}}

    @staticmethod
    def a_skip(step: str | None, output: object) -> object:
        """The verb, as Rust takes it."""
        return {"skip": {"step": step, "output": None if output is None else encode(output, "the output")}}

    @staticmethod
    def a_resolve(step: str | None, output: object, *, done: bool) -> object:
        """The verb, as Rust takes it."""
        to: object = {"done": encode(output, "the output")} if done else "not-done"
        return {"resolve": {"step": step, "to": to}}


def of_settled(told: dict[str, Any], output: object) -> Settled[Any]:
    """How a run ended, with its output as what it is read as."""
    if told["end"] == "succeeded":
        return _results.Succeeded(decode(output, told["output"], "the output of the run"))
    return _results.ended(told)


def run_output(run: str, settled: Settled[T]) -> T:
    """What a run gave.

    Raises:
        NotSucceeded: when it gave nothing.
    """
    if isinstance(settled, _results.Succeeded):
        return settled.output
    error = NotSucceeded(f"run {run} {_ending(settled)}")
    error.run = run
    error.settled = settled
    raise error


def _ending(settled: Settled[Any]) -> str:
    match settled:
        case _results.Compensated(why):
            return f"was compensated: {why}"
        case _results.Failed(why):
            return f"failed: {why}"
        case _results.Cancelled(why):
            return f"was cancelled: {why}"
        case _results.Stuck(at):
            return f"is stuck: {at}"
        case _:
            return f"ended as {settled!r}"
