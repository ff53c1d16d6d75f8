"""Steps: what a pipeline places."""

from __future__ import annotations

import dataclasses
import inspect
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar, cast, get_args

from towpath._kinds import METHODS, methods_of, remember
from towpath._types import argument_of, name_of
from towpath.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath._handle import Place
    from towpath._json import Json

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

UndoPolicy: TypeAlias = Literal["undo", "keep", "ask"]
"""What becomes of the effect of a step when its run unwinds: it is undone, kept, or an operator is asked."""

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

        def __init_subclass__(cls, *, kind: str, in_doubt: InDoubt, undo_policy: UndoPolicy = "undo") -> None: ...

    else:
        # What is missing is told in the words of the package, not of Python.
        def __init_subclass__(
            cls, *, kind: str | None = None, in_doubt: InDoubt | None = None, undo_policy: UndoPolicy = "undo"
        ) -> None:
            super().__init_subclass__()
            cls.__kind__ = Kind.of(
                kind, in_doubt, f"class {cls.__name__}(Step[...], kind=..., in_doubt=...)", undo_policy
            )
            remember(cls.__kind__.name, cls)


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What is recorded of a kind of step."""

    name: str
    in_doubt: InDoubt
    undo: UndoPolicy = "undo"

    @staticmethod
    def of(name: object, in_doubt: object, written: str, undo: object = "undo") -> Kind:
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
        if undo not in get_args(UndoPolicy):
            raise DefinitionError(f"{name} says undo_policy={undo!r}: write one of {', '.join(get_args(UndoPolicy))}")
        return Kind(name, cast("InDoubt", in_doubt), cast("UndoPolicy", undo))


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """What a pipeline reads of a step."""

    kind: Kind
    fields: Mapping[str, object]
    output: object
    methods: tuple[str, ...] = ()
    """What the kind may do beside running."""
    best_effort: bool = False
    stored: tuple[dict[str, Json], tuple[Place, ...]] | None = None
    """Its fields as they are stored, when they are not one input each; and what they read."""


class Stock(ABC):
    """A step whose code is in Rust: it says itself how it is stored."""

    @abstractmethod
    def __place__(self) -> Placed:
        """What a pipeline records of it."""


def call(kind: Kind, fields: Mapping[str, object], output: object, methods: tuple[str, ...] = ()) -> Step[Any]:
    """The step that `.of(...)` of a step function makes; its class is `Step` itself."""
    step: Step[Any] = Step()
    step.__placed__ = Placed(kind, fields, output, methods)
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
    if isinstance(step, Stock):
        return step.__place__()
    # Asked of the class itself: a base that is a dataclass would lend its fields and drop those of the class.
    if not dataclasses.is_dataclass(step) or "__dataclass_fields__" not in vars(cls):
        raise DefinitionError(f"{cls.__name__} is a step without fields; put @dataclass(frozen=True) above the class")
    fields = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
    return Placed(cls.__kind__, fields, argument_of(cls, Step), _methods(cls))


def _methods(cls: type[object]) -> tuple[str, ...]:
    methods = [method for method in METHODS if method in methods_of(cls)]
    # A sketch of a step, without its code, says what it will do.
    if cast("Any", cls).__kind__.in_doubt == "observe" and "observe" not in methods:
        methods.append("observe")
    return tuple(methods)


def _what(given: object) -> str:
    if inspect.iscoroutine(given):
        given.close()  # it was never to run, and would warn that nobody awaited it
        return f"a call of {given.__qualname__}"
    return f"{name_of(type(given))} {given!r}"
