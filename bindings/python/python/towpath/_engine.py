"""The engine as far as the authoring shape needs it: types, and a clear word that nothing runs yet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from towpath.errors import EngineMissing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from types import TracebackType

    from towpath._environment import Environment
    from towpath._plan import Plan

T = TypeVar("T")
Out_co = TypeVar("Out_co", covariant=True)


class Event(Protocol):
    """One numbered entry of a run's journal."""

    @property
    def seq(self) -> int:
        """Its number in the journal, from 1."""
        ...

    @property
    def kind(self) -> str:
        """What happened, in the word that journals show."""
        ...


class Run(ABC, Generic[Out_co]):
    """One execution of a plan. The native engine will give these; there are none yet."""

    @abstractmethod
    def events(self) -> AsyncIterator[Event]:
        """The events of the run's journal, from its first, until it settles."""


class Engine(ABC):
    """What drives runs: a value, not a global. The native engine will be one; there is none yet.

    Example:
        >>> from towpath import Engine, TowpathError
        >>> try:
        ...     Engine.open("sqlite:deploys.db")
        ... except TowpathError as error:
        ...     print(error)
        Engine.open needs the native engine, which is not part of this package yet; build the pipeline here and run ...
    """

    @staticmethod
    def open(store: str, /, *, environments: Sequence[Environment[Any]] = ()) -> Engine:
        """Opens a store and starts an engine on it.

        Raises:
            EngineMissing: always, until the native engine is part of the package.
        """
        raise EngineMissing("Engine.open")

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    @abstractmethod
    async def run(self, plan: Plan[T], /, *, key: str) -> Run[T]:
        """Starts a plan under a key; starting it again with that key gives the same run."""
