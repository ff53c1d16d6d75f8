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
    "Dropped",
    "EngineError",
    "EngineStopped",
    "Forked",
    "Frozen",
    "HandleMisuse",
    "InboxFull",
    "JournalCorrupt",
    "KeyTaken",
    "NotSucceeded",
    "Parked",
    "PlanErrors",
    "PlanFileError",
    "Problem",
    "Refused",
    "RunNotFound",
    "RunSettled",
    "StepError",
    "StoreError",
    "TowpathError",
    "Unfit",
    "UnknownField",
    "Unreadable",
    "ValueMisfit",
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


class ValueMisfit(TowpathError, ValueError):
    """A stored value is not of the type that it is read as.

    Example:
        >>> from towpath import ValueMisfit
        >>> issubclass(ValueMisfit, ValueError)
        True
    """


class PlanFileError(TowpathError, OSError):
    """A plan could not be written to a file, or not be read from one.

    Example:
        >>> import towpath
        >>> towpath.Plan.load("there-is-none.plan.json")
        Traceback (most recent call last):
        towpath.errors.PlanFileError: ...
    """


class EngineError(TowpathError):
    """Something went wrong with an engine or one of its runs; the classes below say what.

    Example:
        >>> from towpath import EngineError, StoreError
        >>> issubclass(StoreError, EngineError)
        True
    """

    kind: str = "other"
    """What went wrong, in one word."""
    operation: str = ""
    """What was being done."""
    problems: tuple[str, ...] = ()
    """Everything that has to be put right, when it is more than one thing."""
    transient: bool = False
    """Whether it may pass: trying again is worth it."""
    run: str | None = None
    """The run that it is about, when there is one."""


class StoreError(EngineError, OSError):
    """The store could not be read or written."""


class Unfit(EngineError, ValueError):
    """What was given cannot be driven by this engine: `problems` has everything, at once."""


class KeyTaken(EngineError, ValueError):
    """The key belongs to a run of another plan: `run` says which."""


class RunNotFound(EngineError, LookupError):
    """There is no such run."""


class Refused(EngineError):
    """The run refused a verb; the message says which verbs can be given."""


class InboxFull(EngineError):
    """A run has more to read than it can hold; try again when it has read."""


class RunSettled(EngineError):
    """The run is over."""


class Unreadable(EngineError, ValueError):
    """A value is not what it is read as."""


class JournalCorrupt(EngineError):
    """The journal of a run cannot be folded."""


class EngineStopped(EngineError, RuntimeError):
    """The engine was not started, or was closed."""


class Frozen(EngineError):
    """A freeze holds the start; the message says who declared it and why."""


class Forked(EngineError, RuntimeError):
    """The engine belongs to the process that this one was forked from. Open engines after forking."""


class NotSucceeded(EngineError):
    """A run gave no output, because it did not succeed; `settled` says how it ended."""

    settled: object = None


class StepError(TowpathError):
    """What went wrong in a step, and with it what happens next.

    Raise one of the five: `transient` is tried again, `rejected` and `permanent` unwind the run, `unknown` asks the
    world whether it took effect, `needs_operator` rests. Any other exception that leaves a step is taken for `unknown`.

    Example:
        >>> from towpath import StepError
        >>> error = StepError.transient("the registry answers 503", retry_after=10)
        >>> error.kind, error.retry_after
        ('transient', 10)
    """

    def __init__(  # noqa: PLR0913 - one for each part of a failure
        self,
        kind: str,
        message: str,
        *,
        causes: Sequence[str] = (),
        retry_after: float | None = None,
        details: object = None,
        seen: object = None,
        is_taken_over: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.causes = tuple(causes)
        self.retry_after = retry_after
        self.details = details
        self.seen = seen
        self.is_taken_over = is_taken_over

    @staticmethod
    def transient(message: str, *, retry_after: float | None = None, details: object = None) -> StepError:
        """It may pass: it is tried again by the step's retry policy, not before `retry_after` seconds.

        Example:
            >>> from towpath import StepError
            >>> print(StepError.transient("the registry answers 503"))
            the registry answers 503
        """
        return StepError("transient", message, retry_after=retry_after, details=details)

    @staticmethod
    def rejected(message: str, *, details: object = None) -> StepError:
        """A gate said no: the run unwinds.

        Example:
            >>> from towpath import StepError
            >>> StepError.rejected("3 critical findings", details={"critical": 3}).details
            {'critical': 3}
        """
        return StepError("rejected", message, details=details)

    @staticmethod
    def permanent(message: str, *, details: object = None) -> StepError:
        """It will not pass: the run unwinds.

        Example:
            >>> from towpath import StepError
            >>> StepError.permanent("there is no such image").kind
            'permanent'
        """
        return StepError("permanent", message, details=details)

    @staticmethod
    def unknown(message: str, *, details: object = None) -> StepError:
        """It is not known whether it took effect: the world is asked before anything else.

        Example:
            >>> from towpath import StepError
            >>> StepError.unknown("the answer was lost").kind
            'unknown'
        """
        return StepError("unknown", message, details=details)

    @staticmethod
    def needs_operator(message: str, *, details: object = None) -> StepError:
        """Somebody has to decide: the run rests.

        Example:
            >>> from towpath import StepError
            >>> StepError.needs_operator("two releases are live").kind
            'needs-operator'
        """
        return StepError("needs-operator", message, details=details)

    @staticmethod
    def cancelled(message: str, *, details: object = None) -> StepError:
        """The run is to end here, though nothing was wrong: it is cancelled, and what it did stays.

        Example:
            >>> from towpath import StepError
            >>> StepError.cancelled("there is nothing to release").kind
            'cancelled'
        """
        return StepError("cancelled", message, details=details)

    @staticmethod
    def taken_over(seen: object) -> StepError:
        """Somebody else has changed what the step owns: it is left alone, and the run rests. `seen` is what is there.

        Example:
            >>> from towpath import StepError
            >>> StepError.taken_over({"weight": 40}).seen
            {'weight': 40}
        """
        message = "somebody else changed what it owns"
        return StepError("needs-operator", message, seen=seen, is_taken_over=True)


class Parked(BaseException):
    """The body ends here: it waits durably, and is entered again from its top when the wait is over.

    Let it pass. It is no `Exception`, so that `except Exception` does.
    """


class Dropped(BaseException):
    """The body was dropped: its time was over, its run was cancelled, or its engine stops.

    A plain function meets it at the next call of its context; an async one is cancelled, as asyncio cancels.
    """
