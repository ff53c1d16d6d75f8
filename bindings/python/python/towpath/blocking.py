"""Engines and runs, for scripts and threads: the calls of `towpath.Engine` and `towpath.Run`, each of which blocks.

Example:
    >>> from towpath import Pipeline, StepContext, blocking, step
    >>> @step("demo.shout/v1", in_doubt="no_effect")
    ... def shout(cx: StepContext, text: str) -> str:
    ...     return text.upper()
    >>> p = Pipeline("shouts")
    >>> plan = p.output(p.step("shout", shout.of("hello"))).build().with_()
    >>> with blocking.Engine.open("memory:", steps=[shout]) as engine:
    ...     engine.run(plan, key="first").output()
    'HELLO'
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from towpath import _results
from towpath._core import Core, Settings, of_settled, run_output, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
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

    def settled(self) -> Settled[Out_co]:
        """Returns when it is over, or when an operator has to decide. A run that waits is neither.

        Raises:
            EngineStopped: when the engine was closed before.
        """
        return of_settled(_read(self._core.of_run(self._native, "settled")), self._output)

    def output(self) -> Out_co:
        """What it gives back, once it has succeeded.

        Raises:
            NotSucceeded: when it ended in another way, or is stuck; its `settled` says how.
        """
        return run_output(self.id, self.settled())

    def events(self) -> Iterator[Event]:
        """The events of its journal from the first, and its progress, until it is over."""
        updates = int(_read(self._core.of_run(self._native, "follow")))
        try:
            while (update := _read(self._core.call({"next": updates}))) is not None:
                yield _results.event(update)
        finally:
            self._core.unfollow(updates)

    def explain(self) -> Explanation:
        """Why it does not move, and who can move it."""
        return _results.explanation(_read(self._core.of_run(self._native, "explain")))

    def row(self) -> RunRow:
        """Where it stands."""
        return _results.row(_read(self._core.of_run(self._native, "row")))

    def signal(self, name: str, value: object = None, *, step: str | None = None) -> None:
        """Sends it a signal; to one of its steps, when the step is named."""
        _read(self._core.of_run(self._native, self._core.a_signal(name, value, step)))

    def approve(self, step: str, comment: str = "") -> None:
        """Says yes to what an approval asks."""
        _read(self._core.of_run(self._native, self._core.an_approval(step, comment, approve=True)))

    def reject(self, step: str, comment: str = "") -> None:
        """Says no to what an approval asks."""
        _read(self._core.of_run(self._native, self._core.an_approval(step, comment, approve=False)))

    def pause(self, reason: str = "") -> None:
        """Begins nothing new, until it is resumed.

        Raises:
            Refused: when it cannot be paused where it stands; so for every verb.
        """
        self._verb("pause", reason)

    def resume(self, reason: str = "") -> None:
        """Goes on."""
        self._verb("resume", reason)

    def cancel(self, reason: str = "", *, unwind: bool = True) -> None:
        """Stops it, and undoes what it did unless `unwind` is false."""
        self._verb({"cancel": {"unwind": unwind}}, reason)

    def retry(
        self, step: str | None = None, reason: str = "", *, new_key: bool = False, from_scratch: bool = False
    ) -> None:
        """Tries a step again that rests; a new key is for an effect that has to be done a second time."""
        self._verb({"retry": {"step": step, "new_key": new_key, "from_scratch": from_scratch}}, reason)

    def skip(self, step: str | None = None, reason: str = "", *, output: object = None) -> None:
        """Goes on without a step that rests. Who reads it needs an output in its place."""
        self._verb(self._core.a_skip(step, output), reason)

    def resolve(self, step: str | None, reason: str = "", *, done: bool, output: object = None) -> None:
        """Tells what became of a step that is in doubt: that it is done, with this output, or that it is not."""
        self._verb(self._core.a_resolve(step, output, done=done), reason)

    def handback(self, step: str | None = None, reason: str = "") -> None:
        """Goes on from what is there, after somebody took a step over."""
        self._verb({"handback": {"step": step}}, reason)

    def abandon(self, reason: str) -> None:
        """Gives it up; what it did stays."""
        self._verb("abandon", reason)

    def __repr__(self) -> str:
        return f"<run {self.id}>"

    def _verb(self, verb: object, reason: str) -> None:
        _read(self._core.of_run(self._native, {"verb": {"verb": verb, "reason": reason}}))


class Engine:
    """What drives runs: a value, not a global. Two engines in one process are fine.

    Async step functions run on an event loop in a thread of its own, plain ones in threads.

    Example:
        >>> from towpath import blocking
        >>> with blocking.Engine.open("memory:", steps=[]) as engine:
        ...     engine.health().well
        True
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._core: Core | None = None
        self._loop: _Loop | None = None

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
        """An engine on the store at an address: `sqlite:deploys.db`, or `memory:` for tests. `with` starts it.

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

    def start(self) -> Self:
        """Starts it, as `with` does.

        Raises:
            Unfit: everything that is wrong with what was given, at once.
            StoreError: when the store cannot be opened.
        """
        loop = _Loop()
        core = Core(self._settings, loop.running)
        try:
            _plain(core.started)
        except BaseException:
            core.close()
            loop.close()
            raise
        self._core, self._loop = core, loop
        return self

    def close(self) -> None:
        """Stops it, as the end of `with` does: bodies have their grace, and what they did is journaled."""
        core, self._core = self._core, None
        if core is None:
            return
        shut = core.shut_down()
        try:
            # Interrupted once, it still drains; interrupted again, it leaves the bodies where they are.
            try:
                shut.result()
            except KeyboardInterrupt:
                shut.result()
                raise
        finally:
            core.close()
            if self._loop is not None:
                self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def run(self, plan: Plan[T], /, *, key: str, labels: Mapping[str, str] | None = None, reason: str = "") -> Run[T]:
        """Starts a plan under a key; starting it again with that key gives the same run.

        Raises:
            KeyTaken: when the key belongs to a run of another plan.
            Unfit: when this engine cannot drive it, with everything that it lacks.
        """
        core = self._running()
        native = _plain(core.run(plan, key, labels, reason))
        return Run(core, native, plan.pipeline.output_type)

    def attach(self, run: str, /) -> Run[Any]:
        """A run that was started earlier, here or elsewhere; its output is plain data.

        Raises:
            RunNotFound: when there is no such run.
        """
        core = self._running()
        return Run(core, _plain(core.call({"attach": run})), _results.ANYTHING)

    def find(self, pipeline: str, key: str) -> Run[Any] | None:
        """The run that was started with this key of a pipeline, when there is one."""
        core = self._running()
        found = _plain(core.call({"find": {"pipeline": pipeline, "key": key}}))
        return None if isinstance(found, str) else Run(core, found, _results.ANYTHING)

    def runs(
        self,
        *,
        status: Sequence[str] = (),
        pipeline: str | None = None,
        labels: Mapping[str, str] | None = None,
        after: int | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        """Runs, newest first. The next page begins `after` the `no` of the last."""
        rows = _read(self._running().runs(status, pipeline, labels, after, limit))
        return [_results.row(row) for row in rows]

    def drive(self, until: Literal["settled", "parked"] = "settled", *, at_most: Seconds | None = None) -> Driven:
        """Drives what is due, and returns when it has settled, or is parked; for a cron line, a CI job, a function."""
        return _results.driven(_read(self._running().drive(until, at_most)))

    def preview(self, plan: Plan[Any], /) -> Preview:
        """What a plan would change, from where the world stands now. Nothing is changed."""
        return _results.preview(_read(self._running().preview(plan)))

    def health(self) -> Health:
        """How it is."""
        return _results.health(_read(self._running().call("health")))

    def __repr__(self) -> str:
        return f"<engine on {self._settings.store}{'' if self._core else ', not started'}>"

    def _running(self) -> Core:
        if self._core is None:
            raise self._settings.stopped()
        return self._core


class _Loop:
    """An event loop in a thread, made when an async step is first entered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="towpath-loop", daemon=True)
                self._thread.start()
            return self._loop

    def close(self) -> None:
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=5)

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            left = asyncio.all_tasks(loop)
            for one in left:
                one.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=2))
        finally:
            loop.close()


def _plain(future: Future[Any]) -> Any:
    try:
        return future.result()
    except BaseException:
        # Whoever waits no longer wants no answer.
        future.cancel()
        raise


def _read(future: Future[Any]) -> Any:
    return Core.read(_plain(future))
