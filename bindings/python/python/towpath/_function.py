"""Step functions: ordinary functions that a pipeline can place.

A decorated function is called as it was written, with a context first; `.of(...)` takes the same arguments without the
context and gives the step. `ParamSpec` carries names, defaults and any number of arguments through both. A handle is
handed over as `handle.out`, which reads as the value that the function wants.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from towpath._context import StepContext
from towpath._kinds import METHODS, Definition, of_function, remember
from towpath._step import Kind, Step, UndoPolicy, call
from towpath._traps import Trap
from towpath._types import UNKNOWN, hints_of
from towpath.errors import DefinitionError, HandleMisuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from towpath._observe import Observed
    from towpath._undo import Undo

P = ParamSpec("P")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class StepFunction(Generic[P, Result_co, T_co]):
    """A function that a pipeline can place; calling it is calling the function.

    Example:
        >>> from towpath import Pipeline, StepContext, step
        >>> @step("shop.double/v1", in_doubt="no_effect")
        ... def double(cx: StepContext, number: int, times: int = 1) -> int:
        ...     return number * 2**times
        >>> double(StepContext.for_test(), 21)
        42
        >>> Pipeline("sums").step("double", double.of(21, times=3))
        <Handle double: int>
    """

    __name__: str

    def __init__(
        self,
        kind: Kind,
        function: Callable[Concatenate[StepContext, P], Result_co],
        others: dict[str, Callable[..., object]] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self._kind = kind
        self._function = function
        self._others = others or {}
        self._methods = tuple(method for method in METHODS if method in self._others)
        self.arguments = _arguments(function, f"the step function of {kind.name}")
        """The arguments of `of`."""
        remember(kind.name, self)

    def __call__(self, cx: StepContext, /, *args: P.args, **kwargs: P.kwargs) -> Result_co:
        """Runs the function as it was written."""
        if not _is_a_call(cx, *args, *kwargs.values()):
            raise HandleMisuse(
                f"{self.__name__}(...) runs the function, with a context and values; "
                f"write {self.__name__}.of(...) to place it in a pipeline"
            )
        return self._function(cx, *args, **kwargs)

    def of(self, *args: P.args, **kwargs: P.kwargs) -> Step[T_co]:
        """The step that calls the function with these arguments, each a value or a place (`handle.out`).

        Example:
            >>> from towpath import Pipeline, StepContext, step
            >>> @step("shop.double/v1", in_doubt="no_effect")
            ... def double(cx: StepContext, number: int) -> int:
            ...     return 2 * number
            >>> p = Pipeline("sums")
            >>> first = p.step("first", double.of(21))
            >>> p.step("second", double.of(first.out))
            <Handle second: int>

        Raises:
            DefinitionError: when the arguments are not those of the function.
        """
        try:
            bound = self.arguments.bind(*args, **kwargs)
        except TypeError as error:
            raise DefinitionError(f"{self.__name__}.of(...): {error}; it takes {self.arguments}") from error
        # Defaults are stored too: changing one later changes no plan that was made before.
        bound.apply_defaults()
        return call(self._kind, bound.arguments, hints_of(self._function).get("return", UNKNOWN), self._methods)

    def definition(self) -> Definition:
        """The kind with its code, as an engine is told of it."""
        codes: dict[str, Callable[..., Any]] = {"run": self._function, **self._others}
        return of_function(self._kind, self._function, self.arguments, codes)

    def __repr__(self) -> str:
        return f"<step function {self.__name__}: {self._kind.name}>"


class StepDecorator(Protocol):
    """What `step(...)` gives: it takes an async or a plain function."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[StepContext, P], Coroutine[Any, Any, R]], /
    ) -> StepFunction[P, Coroutine[Any, Any, R], R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[StepContext, P], R], /) -> StepFunction[P, R, R]: ...


class BoundStepDecorator(Protocol[P, R]):
    """What `step(...)` gives with `observe` or `undo`: it takes a function of the same arguments and output."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[StepContext, P], Coroutine[Any, Any, R]], /
    ) -> StepFunction[P, Coroutine[Any, Any, R], R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[StepContext, P], R], /) -> StepFunction[P, R, R]: ...


@overload
def step(
    kind: str, /, *, in_doubt: Literal["no_effect", "idempotent", "ask_operator"], undo_policy: UndoPolicy = "undo"
) -> StepDecorator: ...
@overload
def step(
    kind: str,
    /,
    *,
    in_doubt: Literal["no_effect", "idempotent", "ask_operator"],
    undo: Callable[Concatenate[StepContext, Undo[R], P], Awaitable[None] | None],
    before: Callable[Concatenate[StepContext, P], object] | None = None,
    undo_policy: UndoPolicy = "undo",
) -> BoundStepDecorator[P, R]: ...
@overload
def step(
    kind: str,
    /,
    *,
    in_doubt: Literal["observe"],
    observe: Callable[Concatenate[StepContext, P], Awaitable[Observed[R]] | Observed[R]],
    undo: Callable[Concatenate[StepContext, Undo[R], P], Awaitable[None] | None] | None = None,
    before: Callable[Concatenate[StepContext, P], object] | None = None,
    undo_policy: UndoPolicy = "undo",
) -> BoundStepDecorator[P, R]: ...
def step(  # noqa: PLR0913 - one for each part of a contract
    kind: str,
    /,
    *,
    in_doubt: str | None = None,
    observe: Callable[..., object] | None = None,
    undo: Callable[..., object] | None = None,
    before: Callable[..., object] | None = None,
    undo_policy: str = "undo",
) -> Callable[[Callable[..., Any]], StepFunction[..., Any, Any]]:
    """Makes a function one that a pipeline can place.

    What to do when it is not known whether an attempt took effect is declared, never defaulted: `in_doubt` is
    "no_effect" or "idempotent" (enter it again), "observe" (ask `observe`, which takes the same arguments and answers
    `Observed`), or "ask_operator".

    `before` looks, just before an attempt, at what the effect will replace; what it gives is journaled with the intent.
    `undo` puts things back when the run unwinds: it takes what is known of the step, an `Undo`, and then the same
    arguments. `undo_policy` says what becomes of the effect then: "undo", "keep" or "ask".

    Example:
        >>> from towpath import Done, NotDone, Observed, StepContext, step
        >>> async def pushed(cx: StepContext, tag: str) -> Observed[str]:
        ...     return NotDone()
        >>> @step("shop.push/v1", in_doubt="observe", observe=pushed)
        ... async def push(cx: StepContext, tag: str) -> str:
        ...     return f"registry/{tag}"
        >>> push
        <step function push: shop.push/v1>

    Raises:
        DefinitionError: when the kind is no kind, or in_doubt is missing, wrong or without its observe.
    """
    known = Kind.of(kind, in_doubt, f'@step("{kind}", in_doubt=...)', undo_policy)
    if known.in_doubt == "observe" and observe is None:
        raise DefinitionError(f"{kind} says in_doubt='observe' without a function that looks; add observe=function")
    if known.in_doubt != "observe" and observe is not None:
        raise DefinitionError(f"{kind} has an observe that nothing asks; say in_doubt='observe', or leave observe out")
    if known.undo == "ask" and undo is None:
        raise DefinitionError(f"{kind} asks about an undoing that there is not; add undo=function, or say 'keep'")
    given = {"observe": observe, "before": before, "compensate": undo}
    others = {method: code for method, code in given.items() if code is not None}

    def decorate(function: Callable[..., Any]) -> StepFunction[..., Any, Any]:
        made: StepFunction[..., Any, Any] = StepFunction(known, function, others)
        for method, code in others.items():
            word = "undo" if method == "compensate" else method
            _same_arguments(made, word, _arguments(code, f"{word} of {kind}", is_undo=method == "compensate"))
        return made

    return decorate


def _is_a_call(cx: object, *arguments: object) -> bool:
    return isinstance(cx, StepContext) and not any(isinstance(argument, Trap) for argument in arguments)


def _arguments(function: Callable[..., object], what: str, *, is_undo: bool = False) -> inspect.Signature:
    """The signature without the context (and what is to be undone); refused when an argument has no name."""
    if not inspect.isfunction(function):
        raise DefinitionError(f"{what} is {function!r}, which is no function; write def or async def")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise DefinitionError(f"{what} yields, and a step gives one output; return it, as a list if there are many")
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters):
        raise DefinitionError(
            f"{what} takes * or ** arguments, which have no names to be stored under; name each of them"
        )
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise DefinitionError(f"{what} takes no context; write cx: StepContext as its first argument")
    if is_undo and (len(parameters) == 1 or parameters[1].kind is inspect.Parameter.KEYWORD_ONLY):
        raise DefinitionError(f"{what} takes nothing to undo; write undo: Undo[...] as its second argument")
    return signature.replace(parameters=parameters[1 + is_undo :], return_annotation=inspect.Signature.empty)


def _same_arguments(function: StepFunction[..., Any, Any], word: str, signature: inspect.Signature) -> None:
    theirs, ours = list(signature.parameters), list(function.arguments.parameters)
    if theirs != ours:
        raise DefinitionError(
            f"{function!r} takes ({', '.join(ours)}) and its {word} ({', '.join(theirs)}); "
            f"give both the same arguments, since {word} looks with what the step was asked to do"
        )
