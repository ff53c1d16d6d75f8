"""Running the bodies of steps: async ones on the engine's loop, plain ones in threads."""

from __future__ import annotations

import contextvars
import json
import queue
import threading
import traceback
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

from towpath import _native
from towpath._bridge import dumps
from towpath._context import Entry, Host, StepContext
from towpath._fault import error_of
from towpath._json import encode
from towpath._observe import Done, NotDone, TakenOver, Unknown
from towpath._results import moment
from towpath.errors import DefinitionError, Dropped, Parked, StepError, ValueMisfit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from towpath._bridge import Bridge
    from towpath._kinds import Definition

_TRACEBACK_MAX = 8_192

current: contextvars.ContextVar[StepContext | None] = contextvars.ContextVar("towpath_step", default=None)
"""The context of the step whose body runs here."""


class Inside(Host):
    """One body that is inside, as its context asks."""

    def __init__(self, bridge: Bridge, number: int) -> None:
        self.bridge = bridge
        self.number = number
        self.left = False
        self.inner: asyncio.Task[None] | None = None
        self._waits: set[Future[Any]] = set()
        self._asked: set[Future[Any]] = set()

    def ask(self, what: object) -> Future[Any]:
        """Asks Rust; when the body is left before the answer, the one who waits is told so."""
        if self.left:
            raise Dropped
        text, native = dumps(what), self.bridge.native

        def ask(op: int) -> None:
            if not native.ask(self.number, op, text):
                raise Dropped

        future = self.bridge.ask(ask)
        is_wait = isinstance(what, dict) and ("sleep" in what or "signal" in what)
        held = self._waits if is_wait else self._asked
        held.add(future)
        future.add_done_callback(held.discard)
        return future

    def key(self, name: str) -> str:
        """The key of an effect."""
        return str(self._now(lambda: self.bridge.native.key(self.number, name)))

    def run_key(self, name: str) -> str:
        """The key that the work passed on."""
        return str(self._now(lambda: self.bridge.native.run_key(self.number, name)))

    def log(self, text: str) -> None:
        """Adds to the step's log."""
        self._now(lambda: self.bridge.native.log(self.number, text))

    def progress(self, percent: int, message: str) -> None:
        """Tells how far it is."""
        self._now(lambda: self.bridge.native.progress(self.number, percent, message))

    def is_cancelled(self) -> bool:
        """Whether the step was asked to stop, or left."""
        return self.left or self.bridge.native.is_cancelled(self.number)

    def now(self) -> datetime:
        """The time by the engine's clock."""
        return cast("datetime", moment(self._now(lambda: self.bridge.native.now(self.number))))

    def leave(self) -> None:
        """The body was dropped: what waits in it ends, and so does what runs on a loop."""
        self.left = True
        waits = list(self._waits)
        for future in waits:
            _fail(future, Parked())
        for future in list(self._asked):
            _fail(future, Dropped())
        inner = self.inner
        if inner is not None and not waits:
            inner.get_loop().call_soon_threadsafe(inner.cancel)

    def _now(self, call: Callable[[], Any]) -> Any:
        if self.left:
            raise Dropped
        try:
            return call()
        except _native.Fault as fault:
            raise error_of(fault.args[0]) from None


def _fail(future: Future[Any], error: BaseException) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


class Threads:
    """Threads for plain functions: made when needed, kept for the next. They do not hold up the interpreter's end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._all = 0
        self._busy = 0

    def submit(self, call: Callable[[], None]) -> None:
        """Calls it in a thread."""
        with self._lock:
            self._busy += 1
            more = self._busy > self._all and self._all < self._most
            self._all += more
        self._calls.put(call)
        if more:
            threading.Thread(target=self._work, name="towpath-step", daemon=True).start()

    def close(self) -> None:
        """Lets the threads end when they have done what they do."""
        for _ in range(self._all):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                contextvars.Context().run(call)
            finally:
                with self._lock:
                    self._busy -= 1


class PythonBodies:
    """Enters and leaves the bodies of steps that are written in Python."""

    def __init__(
        self, bridge: Bridge, definitions: list[Definition], loop: Callable[[], asyncio.AbstractEventLoop], threads: int
    ) -> None:
        self._bridge = bridge
        self._definitions = definitions
        self._loop = loop
        self._threads = Threads(threads)
        self._inside: dict[int, Inside] = {}
        self._alive: dict[tuple[str, str], Future[None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def enter(self, entry: int, body: int, what: str, facts: str) -> None:
        """Enters a body, once what was left of an earlier entry of this step has ended."""
        told = cast("dict[str, Any]", json.loads(facts))
        inside = Inside(self._bridge, entry)
        self._inside[entry] = inside
        step = (told["run"], told["step"])
        before, gone = self._alive.get(step), Future[None]()
        self._alive[step] = gone

        def over() -> None:
            self._inside.pop(entry, None)
            if self._alive.get(step) is gone:
                del self._alive[step]
            gone.set_result(None)

        walk = Walk(inside, self._definitions[body], what, told, over)
        if before is None:
            self._start(walk)
        else:
            before.add_done_callback(lambda _: self._start(walk))

    def leave(self, entry: int) -> None:
        """Leaves a body that was dropped."""
        inside = self._inside.get(entry)
        if inside is not None:
            inside.leave()

    def close(self) -> None:
        """Lets the threads end."""
        self._threads.close()

    def _start(self, walk: Walk) -> None:
        if not walk.definition.is_async(walk.what):
            self._threads.submit(walk.plain)
            return
        try:
            self._loop().call_soon_threadsafe(self._spawn, walk)
        except RuntimeError as error:
            walk.failed(StepError.transient(f"the event loop of the engine is closed: {error}"))
            walk.over()

    def _spawn(self, walk: Walk) -> None:
        inner = self._loop().create_task(walk.coroutine(), name=f"towpath {walk.facts['step']}")
        walk.inside.inner = inner
        self._running.add(inner)
        inner.add_done_callback(self._running.discard)


class Walk:
    """One walk of a body, from its top to wherever it ends."""

    def __init__(
        self, inside: Inside, definition: Definition, what: str, facts: Mapping[str, Any], over: Callable[[], None]
    ) -> None:
        self.inside = inside
        self.definition = definition
        self.what = what
        self.facts = facts
        self.over = over

    def plain(self) -> None:
        """Walks it in this thread."""
        try:
            if not self.inside.left:
                self._done(self.definition.call(self.what, self._context(), self.facts))
        except BaseException as error:  # noqa: BLE001 - whatever ended it is told
            self.failed(error)
        finally:
            self.over()

    async def coroutine(self) -> None:
        """Walks it on this loop."""
        try:
            if not self.inside.left:
                self._done(await self.definition.call(self.what, self._context(), self.facts))
        except (KeyboardInterrupt, SystemExit) as error:
            self.failed(error)
            raise
        except BaseException as error:  # noqa: BLE001 - whatever ended it is told
            self.failed(error)
        finally:
            self.over()

    def failed(self, error: BaseException) -> None:
        """Tells Rust what ended it, unless Rust ended it."""
        if not self.inside.left:
            self.inside.bridge.native.failed(self.inside.number, dumps(told_of(error, self.what)))

    def _context(self) -> StepContext:
        cx = StepContext(Entry(self.facts), self.inside)
        current.set(cx)
        return cx

    def _done(self, value: object) -> None:
        if not self.inside.left:
            try:
                stored = _stored(self.what, value)
            except DefinitionError as error:
                raise StepError.permanent(str(error)) from error
            self.inside.bridge.native.done(self.inside.number, dumps(stored))


def _stored(what: str, value: object) -> object:
    if what == "run":
        return encode(value, "the output")
    if what == "before":
        return encode(value, "the before-image")
    if what == "compensate":
        return None
    if what == "preview":
        changes = cast("list[Any]", value)
        return [encode({k: v for k, v in _change(c).items() if v is not None}, "a change") for c in changes]
    match value:
        case Done():
            done = cast("Done[object]", value)
            return {"done": encode(done.output, "the output")}
        case NotDone():
            return "not-done"
        case TakenOver(seen):
            return {"taken-over": encode(seen, "what was seen")}
        case Unknown(why):
            return {"unknown": str(why)}
        case _:
            raise StepError.permanent(
                f"observe gave {value!r}; give Done(output), NotDone(), TakenOver(seen) or Unknown(why)"
            )


def _change(change: Any) -> dict[str, object]:
    told = {name: getattr(change, name) for name in ("action", "target", "before", "after")}
    return {**told, "note": change.note or None}


def told_of(error: BaseException, what: str) -> dict[str, object]:
    """An exception as Rust is told of it."""
    if isinstance(error, StepError):
        told: dict[str, object] = {"kind": error.kind, "message": str(error)}
        if error.is_taken_over:
            told["seen"] = [encode(error.seen, "what was seen")]
        if error.retry_after is not None:
            told["retry_after_ms"] = max(0, int(error.retry_after * 1_000))
        told["causes"] = [*error.causes, *_beneath(error)]
        details = error.details
        if details is None and error.__cause__ is not None:
            told["details"] = _facts(error.__cause__)
        elif details is not None:
            told["details"] = encode(details, "the details of an error")
        return told
    if isinstance(error, ValueMisfit):
        return {"kind": "permanent", "message": str(error), "causes": _beneath(error), "details": _facts(error)}
    name = type(error).__name__
    why = (
        f"{name} left the step's `{what}` and nothing says what it means: whether it took effect is not known; "
        "raise StepError.transient(...) or another of its kind from it"
    )
    return {"kind": "unknown", "message": _line(error), "causes": [*_beneath(error), why], "details": _facts(error)}


def _line(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _beneath(error: BaseException) -> list[str]:
    lines: list[str] = []
    seen = {id(error)}
    beneath = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while beneath is not None and id(beneath) not in seen and len(lines) < 16:  # noqa: PLR2004 - more says no more
        seen.add(id(beneath))
        lines.append(_line(beneath))
        beneath = beneath.__cause__ or (None if beneath.__suppress_context__ else beneath.__context__)
    return lines


def _facts(error: BaseException) -> dict[str, str]:
    """Type and traceback, without locals and without the frames of this package."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__") in (__name__, "towpath._kinds"):
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    kept = text if len(text) <= _TRACEBACK_MAX else f"{text[:1_024]}\n  ...\n{text[1_024 - _TRACEBACK_MAX :]}"
    return {"type": f"{type(error).__module__}.{type(error).__qualname__}", "traceback": kept}
