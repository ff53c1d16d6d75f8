"""Every exception of the package: one base, and a builtin mixed in where callers expect it.

A message is a lower-case fragment that says what is wrong and what to write instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "DefinitionError",
    "EngineMissing",
    "HandleMisuse",
    "PlanErrors",
    "Problem",
    "TowpathError",
    "UnknownField",
]


class TowpathError(Exception):
    """The base of everything that this package raises.

    Example:
        >>> import towpath
        >>> try:
        ...     towpath.Pipeline("Check Out").build()
        ... except towpath.TowpathError as error:
        ...     print(error)
        pipeline 'Check Out' cannot be built:
        - its name is not 1 to 64 of a-z, 0-9 and -
        - it has no step; place one with p.step(...)
    """


class HandleMisuse(TowpathError, TypeError):
    """A handle, a place in an output or a condition was used as if its value were known.

    Example:
        >>> import towpath
        >>> port = towpath.Pipeline("checkout").param("port", int)
        >>> int(port.out)
        Traceback (most recent call last):
        towpath.errors.HandleMisuse: ...
    """


class UnknownField(TowpathError, AttributeError):
    """An output has no such field, or none that is stored.

    Example:
        >>> import towpath
        >>> port = towpath.Pipeline("checkout").param("port", int)
        >>> port.out.number
        Traceback (most recent call last):
        towpath.errors.UnknownField: ...
    """


class DefinitionError(TowpathError, TypeError):
    """A step or a pipeline was written in a way that cannot be stored.

    Example:
        >>> import towpath
        >>> towpath.step("shop.smoke", in_doubt="no_effect")
        Traceback (most recent call last):
        towpath.errors.DefinitionError: ...
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a pipeline, and the step it is about (none: the pipeline itself).

    Example:
        >>> print(Problem("scan", "its id is used twice; rename one of the two"))
        step 'scan': its id is used twice; rename one of the two
    """

    step: str | None
    message: str

    def __str__(self) -> str:
        return self.message if self.step is None else f"step {self.step!r}: {self.message}"


class PlanErrors(TowpathError, ValueError):
    """Everything that is wrong with a pipeline or its values, at once.

    Example:
        >>> import towpath
        >>> try:
        ...     towpath.Pipeline("Check Out").build()
        ... except towpath.PlanErrors as errors:
        ...     print([problem.step for problem in errors.problems])
        [None, None]
    """

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{what}:", *(f"- {problem}" for problem in problems)]))


class EngineMissing(TowpathError, NotImplementedError):
    """Something was asked that needs the native engine, which is not part of this package yet.

    Example:
        >>> import towpath
        >>> towpath.Engine.open("sqlite:deploys.db")
        Traceback (most recent call last):
        towpath.errors.EngineMissing: ...
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs the native engine, which is not part of this package yet; "
            "build the pipeline here and run its record from rust"
        )
