"""What the body of a step gets beside its arguments."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast, overload

from towpath._decode import decode
from towpath._json import encode
from towpath._results import preview
from towpath._secret import Secret, SecretValue
from towpath.errors import DefinitionError, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from towpath._handle import Input
    from towpath._results import Preview

T = TypeVar("T")

Seconds: TypeAlias = float | timedelta
"""A length of time: seconds, or a `timedelta`."""

_NOTHING: Final = object()


def millis(time: Seconds, what: str) -> int:
    """A length of time in milliseconds, rounded up, as Rust takes it.

    Raises:
        DefinitionError: when it is below zero, or no length of time.
    """
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if isinstance(seconds, bool) or not isinstance(cast("object", seconds), int | float) or not seconds >= 0:
        raise DefinitionError(f"{what} is {time!r}; give seconds, or a timedelta, of zero or more")
    return min(-int(-seconds * 1_000 // 1), 2**53)


class Host(ABC):
    """What answers the calls of a context: an engine, or a test."""

    @abstractmethod
    def ask(self, what: object) -> Future[Any]:
        """Asks for something whose answer takes its time."""

    @abstractmethod
    def key(self, name: str) -> str:
        """The key of an effect."""

    @abstractmethod
    def run_key(self, name: str) -> str:
        """The key that the work passed on."""

    @abstractmethod
    def log(self, text: str) -> None:
        """Adds to the step's log."""

    @abstractmethod
    def progress(self, percent: int, message: str) -> None:
        """Tells how far it is."""

    @abstractmethod
    def is_cancelled(self) -> bool:
        """Whether the step was asked to stop."""

    @abstractmethod
    def now(self) -> datetime:
        """The time."""


class Entry:
    """What is known of an entry when it begins."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.run: str = facts["run"]
        self.step: str = facts["step"]
        self.attempt: int = facts["attempt"]
        self.checkpoint: object = facts.get("checkpoint")
        self.before: object = facts.get("before", _NOTHING)
        failed = facts.get("failure")
        self.failure = None if failed is None else RunFailure(failed)


class RunFailure:
    """Why a run left its way, and what it left behind: for its `on_failure` and `finally` steps."""

    __slots__ = ("in_doubt", "kept", "left", "why")

    def __init__(self, told: Mapping[str, Any]) -> None:
        aftermath = told["aftermath"]
        self.why: str = told["why"]
        self.kept: tuple[str, ...] = tuple(aftermath.get("kept", ()))
        """Steps whose effect was kept."""
        self.left: tuple[str, ...] = tuple(aftermath.get("left", ()))
        """Steps whose effect could not be undone."""
        self.in_doubt: tuple[str, ...] = tuple(aftermath.get("in_doubt", ()))

    def __repr__(self) -> str:
        return f"<run failure: {self.why}>"


class Asks:
    """What both forms of a context have: its entry, its host, and the calls as Rust takes them."""

    def __init__(self, entry: Entry, host: Host) -> None:
        self.entry = entry
        self.host = host

    def save(self, value: object) -> object:
        """A checkpoint as it is stored."""
        try:
            return encode(value, "the checkpoint")
        except DefinitionError as error:
            raise StepError.permanent(str(error)) from error

    def _with(self, ask: dict[str, object], saving: object) -> dict[str, object]:
        return ask if saving is _NOTHING else {**ask, "saving": self.save(saving)}

    def sleep(self, name: str, time: Seconds, saving: object) -> object:
        """The call of a sleep."""
        ask: dict[str, object] = {"name": name, "ms": millis(time, f"the wait {name!r}")}
        return {"sleep": self._with(ask, saving)}

    def signal(self, name: str, within: Seconds | None, wait: str | None, saving: object) -> object:
        """The call of a wait for a signal."""
        ask: dict[str, object] = {"name": name}
        if wait is not None:
            ask["wait"] = wait
        if within is not None:
            ask["within_ms"] = millis(within, f"the wait for {name!r}")
        return {"signal": self._with(ask, saving)}

    def saved(self, saving: object) -> None:
        """A wait that saved a checkpoint is over."""
        if saving is not _NOTHING:
            self.entry.checkpoint = encode(saving, "the checkpoint")

    def value(self, came: list[object], kind: Any, name: str) -> Any:
        """The value of a signal that came."""
        return decode(kind, came[0], f"the value of the signal {name!r}") if came else None


class StepContext:
    """What the body of a step gets beside its arguments: keys, checkpoints, durable waits, secrets, its log.

    The calls that take their time are awaited. A plain function, which runs in a thread of its own, has the same
    calls at `cx.blocking`.

    Example:
        >>> from towpath import StepContext
        >>> cx = StepContext.for_test()
        >>> cx.key("weight-25") == cx.run_key("weight-25")
        True
    """

    def __init__(self, entry: Entry, host: Host) -> None:
        self._asks = Asks(entry, host)
        self._entry = entry
        self._host = host
        self.blocking = BlockingCalls(self._asks)
        """The calls that take their time, for plain functions: they block the thread."""

    @staticmethod
    def for_test(
        *,
        checkpoint: object = None,
        secrets: Mapping[str, str] | None = None,
        signals: Mapping[str, object] | None = None,
        attempt: int = 1,
    ) -> StepContext:
        """A context for calling a step function in a unit test. Waits are over at once.

        Example:
            >>> from towpath import StepContext, step
            >>> @step("shop.double/v1", in_doubt="no_effect")
            ... def double(cx: StepContext, number: int) -> int:
            ...     return 2 * number
            >>> double(StepContext.for_test(), 21)
            42
        """
        from towpath._alone import AloneHost  # noqa: PLC0415 - it is made of what is here

        facts = {"run": "test", "step": "test", "attempt": attempt, "checkpoint": checkpoint}
        return StepContext(Entry(facts), AloneHost(secrets or {}, signals or {}))

    @property
    def run_id(self) -> str:
        """The run."""
        return self._entry.run

    @property
    def step_id(self) -> str:
        """The step's path in its plan."""
        return self._entry.step

    @property
    def attempt(self) -> int:
        """The attempt, numbered from 1. Entering again after a durable wait is the same attempt."""
        return self._entry.attempt

    @property
    def failure(self) -> RunFailure | None:
        """Why the run left its way, for the steps that have their turn after that."""
        return self._entry.failure

    @property
    def cancelled(self) -> bool:
        """Whether the step was asked to stop. It then has a grace period, after which it is dropped."""
        return self._host.is_cancelled()

    def now(self) -> datetime:
        """The time by the engine's clock."""
        return self._host.now()

    def get(self, field: Input[T]) -> T:
        """The value of a field of a class step.

        Example:
            >>> from towpath import StepContext
            >>> StepContext.for_test().get("v1")
            'v1'
        """
        return cast("T", field)

    def key(self, name: str) -> str:
        """The key of the effect `name`: pass it on to whoever does the effect.

        It is the same in every attempt and entry of this step, and another one where the step is undone.

        Raises:
            StepError: permanent, when the key of that name was taken in this entry already.
        """
        return self._host.key(name)

    def run_key(self, name: str) -> str:
        """The key that the step's own work passes on: for its undoing, to name what is to be undone."""
        return self._host.run_key(name)

    def log(self, text: object) -> None:
        """Adds to the step's log."""
        self._host.log(str(text))

    def progress(self, percent: float, message: object = "") -> None:
        """Tells how far it is, in percent, and what it does."""
        self._host.progress(max(0, min(100, int(percent))), str(message))

    @overload
    def last_checkpoint(self) -> Any: ...
    @overload
    def last_checkpoint(self, kind: type[T]) -> T | None: ...
    def last_checkpoint(self, kind: Any = object) -> Any:
        """The last checkpoint, by whichever entry or attempt it was saved; none, when there is none.

        Raises:
            ValueMisfit: when it is not of that type.
        """
        last = self._entry.checkpoint
        return None if last is None else decode(kind, last, "the checkpoint")

    @overload
    def before(self) -> Any: ...
    @overload
    def before(self, kind: type[T]) -> T: ...
    def before(self, kind: Any = object) -> Any:
        """The before-image: what the step's `before` gave.

        Raises:
            StepError: permanent, when there is none.
        """
        if self._entry.before is _NOTHING:
            raise StepError.permanent("there is no before-image: give the step before=...")
        return decode(kind, self._entry.before, "the before-image")

    async def checkpoint(self, value: object) -> None:
        """Saves a value; it is durable when this returns. Later entries and attempts see the last one."""
        await self._answer({"checkpoint": self._asks.save(value)})
        self._entry.checkpoint = encode(value, "the checkpoint")

    async def sleep(self, name: str, time: Seconds, *, saving: object = _NOTHING) -> None:
        """Waits durably. While it waits, the body may end here, and be entered again from its top when it is over.

        `saving` is a checkpoint that is saved in the same commit.
        """
        await self._answer(self._asks.sleep(name, time, saving))
        self._asks.saved(saving)

    @overload
    async def signal(self, name: str, kind: type[T], *, wait: str | None = None, saving: object = _NOTHING) -> T: ...
    @overload
    async def signal(
        self, name: str, kind: type[T], *, within: Seconds, wait: str | None = None, saving: object = _NOTHING
    ) -> T | None: ...
    async def signal(
        self,
        name: str,
        kind: Any,
        *,
        within: Seconds | None = None,
        wait: str | None = None,
        saving: object = _NOTHING,
    ) -> Any:
        """Waits durably for a signal and gives its value; none, when it did not come `within` its time.

        A step that waits for one signal several times gives each wait a name of its own, `wait`.
        """
        came = await self._answer(self._asks.signal(name, within, wait, saving))
        self._asks.saved(saving)
        return self._asks.value(came, kind, name)

    async def secret(self, secret: Secret | str) -> SecretValue:
        """The value of a secret, now."""
        name = secret.secret if isinstance(secret, Secret) else secret
        return SecretValue(name, await asyncio.wrap_future(self._host.ask({"secret": name})))

    async def preview(self, steps: Sequence[str]) -> Preview:
        """What these steps of the run's plan would change, from where the run and the world stand now."""
        return preview(await self._answer({"preview": list(steps)}))

    async def wait_cancelled(self) -> None:
        """Returns when the step is asked to stop."""
        await self._answer("cancelled")

    def __repr__(self) -> str:
        return f"<context of {self.step_id}, attempt {self.attempt}, of run {self.run_id}>"

    async def _answer(self, what: object) -> Any:
        return json.loads(await asyncio.wrap_future(self._host.ask(what)))


class BlockingCalls:
    """The calls of a context that take their time, for plain functions: each blocks the thread until it is answered."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    def checkpoint(self, value: object) -> None:
        """As `StepContext.checkpoint`."""
        self._answer({"checkpoint": self._asks.save(value)})
        self._asks.saved(value)

    def sleep(self, name: str, time: Seconds, *, saving: object = _NOTHING) -> None:
        """As `StepContext.sleep`."""
        self._answer(self._asks.sleep(name, time, saving))
        self._asks.saved(saving)

    @overload
    def signal(self, name: str, kind: type[T], *, wait: str | None = None, saving: object = _NOTHING) -> T: ...
    @overload
    def signal(
        self, name: str, kind: type[T], *, within: Seconds, wait: str | None = None, saving: object = _NOTHING
    ) -> T | None: ...
    def signal(
        self,
        name: str,
        kind: Any,
        *,
        within: Seconds | None = None,
        wait: str | None = None,
        saving: object = _NOTHING,
    ) -> Any:
        """As `StepContext.signal`."""
        came = self._answer(self._asks.signal(name, within, wait, saving))
        self._asks.saved(saving)
        return self._asks.value(came, kind, name)

    def secret(self, secret: Secret | str) -> SecretValue:
        """As `StepContext.secret`."""
        name = secret.secret if isinstance(secret, Secret) else secret
        return SecretValue(name, self._ask({"secret": name}).result())

    def preview(self, steps: Sequence[str]) -> Preview:
        """As `StepContext.preview`."""
        return preview(self._answer({"preview": list(steps)}))

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Whether the step was asked to stop, after at most that many seconds."""
        future = self._ask("cancelled")
        try:
            future.result(timeout)
        except TimeoutError:
            future.cancel()
            return False
        return True

    def _ask(self, what: object) -> Future[Any]:
        return self._asks.host.ask(what)

    def _answer(self, what: object) -> Any:
        return json.loads(self._ask(what).result())
