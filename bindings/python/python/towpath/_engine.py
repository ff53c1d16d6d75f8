"""Engines and runs, for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from towpath import _results
from towpath._core import Core, Settings, of_settled, run_output, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from towpath import _native
    from towpath._context import Seconds
    from towpath._core import Registered
    from towpath._environment import Environment
    from towpath._plan import FrozenPipeline, Plan
    from towpath._results import Driven, Event, Explanation, Health, Preview, RunRow, Settled

T = TypeVar("T")
Out_co = TypeVar("Out_co", covariant=True)


class Run(Generic[Out_co]):
    """One execution of a plan: what `Engine.run` gives, and `Engine.attach`."""

    def __init__(self, core: Core, native: _native.Run, output: object) -> None:
        self._core = core
        self._native = native
        self._output = output

    @property
    def id(self) -> str:
        """Its id: any process that opens the store finds it by that."""
        return self._native.id

    async def settled(self) -> Settled[Out_co]:
        """Returns when it is over, or when an operator has to decide. A run that waits is neither.

        Raises:
            EngineStopped: when the engine was closed before.
        """
        return of_settled(await _read(self._core.of_run(self._native, "settled")), self._output)

    async def output(self) -> Out_co:
        """What it gives back, once it has succeeded.

        Raises:
            NotSucceeded: when it ended in another way, or is stuck; its `settled` says how.
        """
        return run_output(self.id, await self.settled())

    async def events(self) -> AsyncIterator[Event]:
        """The events of its journal from the first, and its progress, until it is over."""
        updates = int(await _read(self._core.of_run(self._native, "follow")))
        try:
            while (update := await _read(self._core.call({"next": updates}))) is not None:
                yield _results.event(update)
        finally:
            self._core.unfollow(updates)

    async def explain(self) -> Explanation:
        """Why it does not move, and who can move it."""
        return _results.explanation(await _read(self._core.of_run(self._native, "explain")))

    async def row(self) -> RunRow:
        """Where it stands."""
        return _results.row(await _read(self._core.of_run(self._native, "row")))

    async def signal(self, name: str, value: object = None, *, step: str | None = None) -> None:
        """Sends it a signal; to one of its steps, when the step is named."""
        await _read(self._core.of_run(self._native, self._core.a_signal(name, value, step)))

    async def approve(self, step: str, comment: str = "") -> None:
        """Says yes to what an approval asks."""
        await _read(self._core.of_run(self._native, self._core.an_approval(step, comment, approve=True)))

    async def reject(self, step: str, comment: str = "") -> None:
        """Says no to what an approval asks."""
        await _read(self._core.of_run(self._native, self._core.an_approval(step, comment, approve=False)))

    async def pause(self, reason: str = "") -> None:
        """Begins nothing new, until it is resumed.

        Raises:
            Refused: when it cannot be paused where it stands; so for every verb.
        """
        await self._verb("pause", reason)

    async def resume(self, reason: str = "") -> None:
        """Goes on."""
        await self._verb("resume", reason)

    async def cancel(self, reason: str = "", *, unwind: bool = True) -> None:
        """Stops it, and undoes what it did unless `unwind` is false."""
        await self._verb({"cancel": {"unwind": unwind}}, reason)

    async def retry(
        self, step: str | None = None, reason: str = "", *, new_key: bool = False, from_scratch: bool = False
    ) -> None:
        """Tries a step again that rests; a new key is for an effect that has to be done a second time."""
        await self._verb({"retry": {"step": step, "new_key": new_key, "from_scratch": from_scratch}}, reason)

    async def skip(self, step: str | None = None, reason: str = "", *, output: object = None) -> None:
        """Goes on without a step that rests. Who reads it needs an output in its place."""
        await self._verb(self._core.a_skip(step, output), reason)

    async def resolve(self, step: str | None, reason: str = "", *, done: bool, output: object = None) -> None:
        """Tells what became of a step that is in doubt: that it is done, with this output, or that it is not."""
        await self._verb(self._core.a_resolve(step, output, done=done), reason)

    async def handback(self, step: str | None = None, reason: str = "") -> None:
        """Goes on from what is there, after somebody took a step over."""
        await self._verb({"handback": {"step": step}}, reason)

    async def abandon(self, reason: str) -> None:
        """Gives it up; what it did stays."""
        await self._verb("abandon", reason)

    def __repr__(self) -> str:
        return f"<run {self.id}>"

    async def _verb(self, verb: object, reason: str) -> None:
        await _read(self._core.of_run(self._native, {"verb": {"verb": verb, "reason": reason}}))


class Engine:
    """What drives runs: a value, not a global. Two engines in one process are fine.

    Async step functions run on the event loop that the engine was opened on, plain ones in threads.

    Example:
        >>> import asyncio
        >>> from towpath import Engine, Pipeline, StepContext, Succeeded, step
        >>> @step("demo.greet/v1", in_doubt="no_effect")
        ... async def greet(cx: StepContext, name: str) -> str:
        ...     return f"hello {name}"
        >>> p = Pipeline("greetings")
        >>> greeting = p.step("greet", greet.of(p.param("name", str).out))
        >>> plan = p.output(greeting).build().with_(name="world")
        >>> async def main() -> str:
        ...     async with Engine.open("memory:", steps=[greet]) as engine:
        ...         run = await engine.run(plan, key="first")
        ...         return await run.output()
        >>> asyncio.run(main())
        'hello world'
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._core: Core | None = None

    @staticmethod
    def open(  # noqa: PLR0913 - each is a setting of an engine
        store: str,
        /,
        *,
        steps: Iterable[Registered] | None = None,
        pipelines: Sequence[FrozenPipeline[Any]] = (),
        environments: Sequence[Environment[Any]] = (),
        secrets: Mapping[str, str] | None = None,
        actor: str | None = None,
        grace: Seconds | None = None,
        park_after: Seconds | None = None,
        settle_after: Seconds | None = None,
        lease: Seconds | None = None,
        concurrency: int | None = None,
        threads: int = 64,
        background: bool = True,
    ) -> Engine:
        """An engine on the store at an address: `sqlite:deploys.db`, or `memory:` for tests. `async with` starts it.

        Args:
            store: where journals are.
            steps: step functions, classes of steps, and modules of them. Without it, all that this process has defined.
            pipelines: what can be started by name.
            environments: the environments that plans name.
            secrets: values of secrets by name. Without it, the environment: `TOWPATH_SECRET_` and the name.
            actor: who sends what is sent through this engine, such as `user:ann`. Without it, the user of the process.
            grace: how long a body that was asked to stop may go on; 30 seconds.
            park_after: up to which length a durable wait is waited for in memory; 5 seconds.
            settle_after: how long a request of a dead worker may still be under way; 10 seconds.
            lease: how long this engine is taken for alive after it was last heard of; 10 seconds.
            concurrency: most runs in memory; 1,024.
            threads: most plain step functions at the same time.
            background: whether runs are driven without anybody asking. Without, only `drive` makes them go.

        Raises:
            PlanErrors: when two places of this process define one kind, and `steps` does not say which.
            DefinitionError: when something is no step.
        """
        return Engine(
            settings(
                store,
                steps=steps,
                pipelines=pipelines,
                environments=environments,
                secrets=secrets,
                actor=actor,
                times={"grace": grace, "park_after": park_after, "settle_after": settle_after, "lease": lease},
                concurrency=concurrency,
                threads=threads,
                background=background,
            )
        )

    async def start(self) -> Self:
        """Starts it, as `async with` does.

        Raises:
            Unfit: everything that is wrong with what was given, at once.
            StoreError: when the store cannot be opened.
        """
        loop = asyncio.get_running_loop()
        core = Core(self._settings, lambda: loop)
        try:
            await _plain(core.started)
        except BaseException:
            core.close()
            raise
        self._core = core
        return self

    async def close(self) -> None:
        """Stops it, as the end of `async with` does: bodies have their grace, and what they did is journaled."""
        core, self._core = self._core, None
        if core is not None:
            try:
                await asyncio.shield(_plain(core.shut_down()))
            finally:
                # Its threads end while the loop goes on, since bodies may still be leaving.
                await asyncio.to_thread(core.close)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        await self.close()

    async def run(
        self, plan: Plan[T], /, *, key: str, labels: Mapping[str, str] | None = None, reason: str = ""
    ) -> Run[T]:
        """Starts a plan under a key; starting it again with that key gives the same run.

        Raises:
            KeyTaken: when the key belongs to a run of another plan.
            Unfit: when this engine cannot drive it, with everything that it lacks.
        """
        core = self._running()
        native = await _plain(core.run(plan, key, labels, reason))
        return Run(core, native, plan.pipeline.output_type)

    async def attach(self, run: str, /) -> Run[Any]:
        """A run that was started earlier, here or elsewhere; its output is plain data.

        Raises:
            RunNotFound: when there is no such run.
        """
        core = self._running()
        return Run(core, await _plain(core.call({"attach": run})), _results.ANYTHING)

    async def find(self, pipeline: str, key: str) -> Run[Any] | None:
        """The run that was started with this key of a pipeline, when there is one."""
        core = self._running()
        found = await _plain(core.call({"find": {"pipeline": pipeline, "key": key}}))
        return None if isinstance(found, str) else Run(core, found, _results.ANYTHING)

    async def runs(
        self,
        *,
        status: Sequence[str] = (),
        pipeline: str | None = None,
        labels: Mapping[str, str] | None = None,
        after: int | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        """Runs, newest first. The next page begins `after` the `no` of the last."""
        rows = await _read(self._running().runs(status, pipeline, labels, after, limit))
        return [_results.row(row) for row in rows]

    async def drive(self, until: Literal["settled", "parked"] = "settled", *, at_most: Seconds | None = None) -> Driven:
        """Drives what is due, and returns when it has settled, or is parked; for a cron line, a CI job, a function."""
        return _results.driven(await _read(self._running().drive(until, at_most)))

    async def preview(self, plan: Plan[Any], /) -> Preview:
        """What a plan would change, from where the world stands now. Nothing is changed."""
        return _results.preview(await _read(self._running().preview(plan)))

    async def health(self) -> Health:
        """How it is."""
        return _results.health(await _read(self._running().call("health")))

    def __repr__(self) -> str:
        return f"<engine on {self._settings.store}{'' if self._core else ', not started'}>"

    def _running(self) -> Core:
        if self._core is None:
            raise self._settings.stopped()
        return self._core


async def _plain(future: Future[Any]) -> Any:
    return await asyncio.wrap_future(future)


async def _read(future: Future[Any]) -> Any:
    return Core.read(await asyncio.wrap_future(future))
