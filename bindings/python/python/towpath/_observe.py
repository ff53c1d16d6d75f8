"""The answers of `observe`: what the world says of an attempt that is in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Done(Generic[T_co]):
    """It took effect, and this is its output.

    Example:
        >>> from towpath import Done
        >>> Done("sha256:4f2c").output
        'sha256:4f2c'
    """

    output: T_co


@dataclass(frozen=True, slots=True)
class NotDone:
    """It took no effect: a new attempt may begin.

    Example:
        >>> from towpath import NotDone
        >>> NotDone()
        NotDone()
    """


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Somebody else has changed what the step owns: the run rests and shows what was seen, and by whom if that shows.

    Example:
        >>> from towpath import TakenOver
        >>> TakenOver({"weight": 40, "by": "alice"}).seen
        {'weight': 40, 'by': 'alice'}
    """

    seen: object


@dataclass(frozen=True, slots=True)
class Unknown:
    """The world does not say: it is asked again, then an operator is.

    Example:
        >>> from towpath import Unknown
        >>> Unknown("the registry answers 503").why
        'the registry answers 503'
    """

    why: str


Observed: TypeAlias = Done[T] | NotDone | TakenOver | Unknown
"""What `observe` of a step with output `T` answers."""
