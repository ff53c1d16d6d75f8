"""Steps: what a pipeline places."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar, cast, get_args

from towpath._types import argument_of, name_of
from towpath.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

InDoubt: TypeAlias = Literal["no_effect", "idempotent", "observe", "ask_operator"]
"""What happens when it is not known whether an attempt took effect; every step declares it.

`no_effect` and `idempotent` enter the step again, `observe` looks at the world, `ask_operator` rests and asks.
"""

_KIND: Final = re.compile(r"[A-Za-z0-9._/-]+/v[1-9][0-9]*")
_KIND_BYTES_MAX: Final = 256


class Step(Generic[T_co]):
    """A step that gives a `T` when it is done: a dataclass whose fields are what it is asked to do.

    A field that may be a handle is an `Input`. The kind is a stable, versioned tag; what to do in doubt is declared,
    never defaulted.

    A type variable in an `Input` needs a bound, as in `TypeVar("A", bound=Artifact)`: without one mypy cannot tell a
    handle to an artifact from a value that is a handle.

    Example:
        >>> from dataclasses import dataclass
        >>> from towpath import Input, Pipeline, Step
        >>> @dataclass(frozen=True)
        ... class Image:
        ...     digest: str
        >>> @dataclass(frozen=True)
        ... class BuildImage(Step[Image], kind="shop.build/v1", in_doubt="idempotent"):
        ...     commit: Input[str]
        >>> Pipeline("checkout").step("build", BuildImage("4f2c"))
        <Handle build: Image>
    """

    __kind__: ClassVar[Kind]
    __placed__: Placed

    if TYPE_CHECKING:

        def __init_subclass__(cls, *, kind: str, in_doubt: InDoubt) -> None: ...

    else:
        # What is missing is told in the words of the package, not of Python.
        def __init_subclass__(cls, *, kind: str | None = None, in_doubt: InDoubt | None = None) -> None:
            super().__init_subclass__()
            cls.__kind__ = Kind.of(kind, in_doubt, f"class {cls.__name__}(Step[...], kind=..., in_doubt=...)")


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What is recorded of a kind of step."""

    name: str
    in_doubt: InDoubt

    @staticmethod
    def of(name: object, in_doubt: object, written: str) -> Kind:
        """The kind of that name.

        Raises:
            DefinitionError: when the name or the declaration is wrong; `written` says how both are written.
        """
        if not isinstance(name, str) or not _KIND.fullmatch(name) or len(name) > _KIND_BYTES_MAX:
            raise DefinitionError(
                f"{name!r} is not a kind: write {written}, with a name and a version as in scan.image/v1"
            )
        if in_doubt not in get_args(InDoubt):
            known = ", ".join(get_args(InDoubt))
            said = "does not say" if in_doubt is None else f"says {in_doubt!r} for"
            raise DefinitionError(f"{name} {said} in_doubt: write {written}, with one of {known}")
        return Kind(name, cast("InDoubt", in_doubt))


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """What a pipeline reads of a step."""

    kind: Kind
    fields: Mapping[str, object]
    output: object


class StepContext:
    """What the body of a step gets beside its arguments.

    Its verbs (keys, checkpoints, waits, secrets) come with the native engine; for now it is what a step function names
    as its first argument, and what a test hands over.

    Example:
        >>> from towpath import StepContext
        >>> cx = StepContext.for_test()
    """

    @staticmethod
    def for_test() -> StepContext:
        """A context for calling a step function in a unit test.

        Example:
            >>> from towpath import StepContext, step
            >>> @step("shop.double/v1", in_doubt="no_effect")
            ... def double(cx: StepContext, number: int) -> int:
            ...     return 2 * number
            >>> double(StepContext.for_test(), 21)
            42
        """
        return StepContext()


def call(kind: Kind, fields: Mapping[str, object], output: object) -> Step[Any]:
    """The step that `.of(...)` of a step function makes; its class is `Step` itself."""
    step: Step[Any] = Step()
    step.__placed__ = Placed(kind, fields, output)
    return step


def placed(step: object) -> Placed:
    """What to record of whatever was given as a step.

    Raises:
        DefinitionError: when it is no step, with what to write instead.
    """
    if isinstance(step, type):
        raise DefinitionError(f"{step.__name__} is the class of a step; give its fields, as in {step.__name__}(...)")
    if not isinstance(step, Step):
        raise DefinitionError(f"{_what(step)} is no step; give a step, or .of(...) of a step function")
    return _placed(cast("Step[object]", step))


def _placed(step: Step[object]) -> Placed:
    cls = type(step)
    if cls is Step:
        return step.__placed__
    # Asked of the class itself: a base that is a dataclass would lend its fields and drop those of the class.
    if not dataclasses.is_dataclass(step) or "__dataclass_fields__" not in vars(cls):
        raise DefinitionError(f"{cls.__name__} is a step without fields; put @dataclass(frozen=True) above the class")
    fields = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
    return Placed(cls.__kind__, fields, argument_of(cls, Step))


def _what(given: object) -> str:
    if inspect.iscoroutine(given):
        given.close()  # it was never to run, and would warn that nobody awaited it
        return f"a call of {given.__qualname__}"
    return f"{name_of(type(given))} {given!r}"
