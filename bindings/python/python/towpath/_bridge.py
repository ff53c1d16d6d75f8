"""The bridge to Rust: what is asked goes there as JSON, what comes back is read in one thread.

Rust never waits for the interpreter. It puts answers, and bodies to be entered, into a queue; one thread per engine
takes them out and hands them to whoever waits.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from towpath import _native
from towpath._fault import error_of

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGGER = logging.getLogger("towpath")


class Bodies(Protocol):
    """Whoever runs the bodies of steps that are written in Python."""

    def enter(self, entry: int, body: int, what: str, facts: str) -> None:
        """Enters a body."""

    def leave(self, entry: int) -> None:
        """Leaves a body that was dropped."""


def dumps(value: object) -> str:
    """JSON as Rust reads it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Bridge:
    """An engine in Rust, and the thread that reads what it says."""

    def __init__(self) -> None:
        self.native = _native.Bridge()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._bodies: Bodies | None = None
        self._thread: threading.Thread | None = None

    def begin(self, bodies: Bodies) -> None:
        """Starts the thread; `bodies` runs what is to be entered."""
        self._bodies = bodies
        self._thread = threading.Thread(target=self._read, name="towpath-bridge", daemon=True)
        self._thread.start()

    def ask(self, how: Callable[[int], object]) -> Future[Any]:
        """Asks for something; `how` is given the number under which the answer comes. Cancelled, it is taken back."""
        number = next(self._numbers)
        future: Future[Any] = Future()
        self._waiting[number] = future
        try:
            how(number)
        except _native.Fault as fault:
            del self._waiting[number]
            raise error_of(fault.args[0]) from None
        except BaseException:
            del self._waiting[number]
            raise
        future.add_done_callback(lambda _: self._over(number))
        return future

    def call(self, call: object) -> Future[Any]:
        """Asks the engine for something."""
        text = dumps(call)
        return self.ask(lambda number: self.native.call(number, text))

    def of_run(self, run: _native.Run, call: object) -> Future[Any]:
        """Asks a run for something."""
        text = dumps(call)
        return self.ask(lambda number: self.native.of_run(number, run, text))

    def close(self) -> None:
        """Ends the threads; whoever still waits is told that the engine is gone."""
        self.native.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)
        self._bodies = None
        for number in list(self._waiting):
            self._answer(number, None, '{"kind":"stopped","message":"the engine was closed: open another"}')

    def _over(self, number: int) -> None:
        # It is still there when its end did not come from Rust: then what Rust does for it is of no use.
        if self._waiting.pop(number, None) is not None:
            self.native.cancel(number)

    def _read(self) -> None:
        while (items := self.native.take()) is not None:
            for item in items:
                try:
                    self._told(*item)
                except Exception:
                    # One thing that cannot be handed over must not keep the others from it.
                    _LOGGER.exception("what the engine said could not be handed over")

    def _told(self, what: str, number: int, first: Any, second: Any) -> None:
        if what == "answer":
            self._answer(number, first, second)
        elif self._bodies is None:
            return
        elif what == "enter":
            body, method = first
            self._bodies.enter(number, body, method, second)
        else:
            self._bodies.leave(number)

    def _answer(self, number: int, value: Any, fault: str | None) -> None:
        future = self._waiting.pop(number, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if fault is None:
            future.set_result(value)
        else:
            future.set_exception(error_of(fault))
