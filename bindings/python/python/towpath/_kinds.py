"""What is behind a kind: its fields, its output, and its code, as an engine is told of them."""

from __future__ import annotations

import dataclasses
import inspect
import types
import weakref
from typing import TYPE_CHECKING, Any, Final, Union, cast, get_args, get_origin

from towpath._decode import decode
from towpath._handle import Handle
from towpath._schema import schema_of
from towpath._types import UNKNOWN, argument_of, hints_of
from towpath._undo import undo_of
from towpath.errors import DefinitionError, PlanErrors, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from towpath._context import StepContext
    from towpath._step import Kind

METHODS: Final = ("preview", "before", "observe", "compensate")
"""What a kind may do beside running."""

_MISSING: Final = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field: how it is read, and what it is when a plan does not hold it."""

    kind: object
    default: object = _MISSING

    @property
    def required(self) -> bool:
        """Whether every plan holds it."""
        return self.default is _MISSING


class Definition:
    """A kind with its code."""

    def __init__(  # noqa: PLR0913 - one for each part
        self,
        kind: Kind,
        origin: str,
        fields: dict[str, Field],
        output: object,
        codes: Mapping[str, Callable[..., Any]],
        call: Callable[[Callable[..., Any], StepContext, dict[str, Any], tuple[Any, ...]], Any],
    ) -> None:
        self.kind = kind
        self.origin = origin
        self.fields = fields
        self.output = output
        self.codes = codes
        self._call = call

    def record(self, body: int) -> dict[str, Any]:
        """What Rust is told of it."""
        fields = {name: {"required": f.required, "schema": schema_of(f.kind)} for name, f in self.fields.items()}
        return {
            "body": body,
            "kind": self.kind.name,
            "origin": self.origin,
            "in_doubt": self.kind.in_doubt.replace("_", "-"),
            "methods": {method: True for method in METHODS if method in self.codes},
            "undo": self.kind.undo,
            "fields": fields,
            "output": schema_of(self.output),
        }

    def is_async(self, what: str) -> bool:
        """Whether the code of a method is a coroutine function."""
        return inspect.iscoroutinefunction(self.codes[what])

    def call(self, what: str, cx: StepContext, facts: Mapping[str, Any]) -> Any:
        """Calls the code of a method: with the fields that are stored, or that have their defaults.

        Raises:
            ValueMisfit: when a field is not of its type.
        """
        values: dict[str, Any] = {}
        for name, field in self.fields.items():
            if name in facts["with"]:
                values[name] = decode(field.kind, facts["with"][name], f"the field {name!r}")
            else:
                values[name] = field.default
        undo = (undo_of(facts["undo"], self.output),) if what == "compensate" else ()
        return self._call(self.codes[what], cx, values, undo)


def of_function(
    kind: Kind,
    function: Callable[..., Any],
    arguments: inspect.Signature,
    codes: Mapping[str, Callable[..., Any]],
) -> Definition:
    """The definition of a step function."""
    hints = hints_of(function)
    fields: dict[str, Field] = {}
    for name, parameter in arguments.parameters.items():
        default = _MISSING if parameter.default is parameter.empty else parameter.default
        fields[name] = Field(hints.get(name, UNKNOWN), default)
    first = [n for n, p in arguments.parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]

    def call(code: Callable[..., Any], cx: StepContext, values: dict[str, Any], undo: tuple[Any, ...]) -> Any:
        named = {name: value for name, value in values.items() if name not in first}
        return code(cx, *undo, *(values[name] for name in first), **named)

    return Definition(kind, _origin(function), fields, hints.get("return", UNKNOWN), codes, call)


def of_class(cls: type[Any], base: type[Any]) -> Definition:
    """The definition of a class step.

    Raises:
        DefinitionError: when it is no dataclass, or has no `run`.
    """
    if not dataclasses.is_dataclass(cls) or "__dataclass_fields__" not in vars(cls):
        raise DefinitionError(f"{cls.__name__} is a step without fields; put @dataclass(frozen=True) above the class")
    codes = methods_of(cls)
    if "run" not in codes:
        raise DefinitionError(f"{cls.__name__} has no run; write `async def run(self, cx: StepContext)`")
    hints = hints_of(cls)
    fields: dict[str, Field] = {}
    for field in dataclasses.fields(cls):
        default = field.default if field.default is not dataclasses.MISSING else _MISSING
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        fields[field.name] = Field(value_type(hints.get(field.name, UNKNOWN)), default)

    def call(code: Callable[..., Any], cx: StepContext, values: dict[str, Any], undo: tuple[Any, ...]) -> Any:
        return code(cls(**values), cx, *undo)

    return Definition(cast("Any", cls).__kind__, _origin(cls), fields, argument_of(cls, base), codes, call)


def methods_of(cls: type[Any]) -> dict[str, Callable[..., Any]]:
    """The methods of a class step that an engine calls."""
    found = {name: getattr(cls, name, None) for name in ("run", *METHODS)}
    return {name: cast("Callable[..., Any]", code) for name, code in found.items() if inspect.isfunction(code)}


def value_type(hint: object) -> object:
    """What the value of a field is, of a type that also admits handles."""
    if get_origin(hint) is Union or isinstance(hint, types.UnionType):
        options = tuple(o for o in get_args(hint) if o is not Handle and get_origin(o) is not Handle)
        return Union[options] if options else UNKNOWN  # noqa: UP007 - built from a tuple
    return hint


def _origin(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


_KNOWN: dict[str, list[weakref.ref[Any]]] = {}


def remember(kind: str, thing: object) -> None:
    """Keeps in mind that a kind was defined, as long as what defines it lives."""
    alive = [there for there in _KNOWN.get(kind, ()) if there() is not None]
    _KNOWN[kind] = [*alive, weakref.ref(thing)]


def defined(runs: Callable[[object], bool]) -> Iterable[object]:
    """What defines the kinds of this process: of each the last, since a notebook defines again what it changes.

    Raises:
        PlanErrors: when two of different places have one kind.
    """
    problems: list[Problem] = []
    found: list[object] = []
    for kind, things in _KNOWN.items():
        alive = [thing for there in things if (thing := there()) is not None and runs(thing)]
        if len({_origin(thing) for thing in alive}) > 1:
            places = " and ".join(sorted({_origin(thing) for thing in alive}))
            problems.append(Problem(None, f"the kind {kind} is defined by {places}; say which by steps=[...]"))
        found.extend(alive[-1:])
    if problems:
        raise PlanErrors("the steps of this process cannot be registered", problems)
    return found
