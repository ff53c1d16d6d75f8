"""What the package knows at run time about the type of an output: its fields, so that a wrong one is refused at once.

Types are read the way they were written; where something cannot be known (an unresolved name, an open type variable, a
class that is no dataclass) nothing is refused, and the type checker has the word.
"""

from __future__ import annotations

import dataclasses
import types
import weakref
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints


class _Unknown:
    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = _Unknown()

# What is stored as one JSON value: it has no fields, whatever attributes the Python class has.
_PLAIN: Final = frozenset({bool, int, float, str, list, tuple, dict, types.NoneType})


def class_of(kind: object) -> type[object] | None:
    """The class of the values of a type; none when it is not one class, or not known."""
    origin: object = get_origin(kind) or kind
    return origin if isinstance(origin, type) else None


def fields_of(kind: object) -> dict[str, object] | None:
    """The stored fields of a type and their types; none when that cannot be known."""
    origin = class_of(kind)
    if origin is None:
        return {} if kind is None else None
    if origin in _PLAIN:
        return {}
    if not dataclasses.is_dataclass(origin):
        return None
    hints = hints_of(origin)
    bound = _bindings(origin, get_args(kind))
    return {field.name: substitute(hints.get(field.name, UNKNOWN), bound) for field in dataclasses.fields(origin)}


_HINTS: Final[weakref.WeakKeyDictionary[Any, dict[str, object]]] = weakref.WeakKeyDictionary()


def hints_of(thing: object) -> dict[str, object]:
    """The type hints of a class or function; empty when one of them cannot be resolved.

    What was resolved is kept as long as the class lives: evaluating hints costs more than a step may. What was not is
    tried again, since the name may be there by then.
    """
    known = _HINTS.get(thing)
    if known is None:
        try:
            known = dict(get_type_hints(thing))
        except (NameError, AttributeError, TypeError):
            return {}
        _HINTS[thing] = known
    return known


def argument_of(cls: type[object], base: type[object]) -> object:
    """The first type argument that `cls` gives to its generic base `base`."""
    bases: tuple[object, ...] = cls.__dict__.get("__orig_bases__", cls.__bases__)
    for written in bases:
        origin: object = get_origin(written) or written
        if origin is base:
            return next(iter(get_args(written)), UNKNOWN)
        if isinstance(origin, type) and issubclass(origin, base):
            return substitute(argument_of(origin, base), _bindings(origin, get_args(written)))
    return UNKNOWN


def substitute(kind: object, bound: dict[object, object]) -> object:
    """`kind` with its type variables replaced by what they are bound to."""
    if isinstance(kind, TypeVar):
        return bound.get(kind, kind)
    arguments = get_args(kind)
    if not arguments or not any(
        getattr(part, "__parameters__", None) or isinstance(part, TypeVar) for part in arguments
    ):
        return kind
    replaced = tuple(substitute(part, bound) for part in arguments)
    origin: Any = get_origin(kind)
    if origin is types.UnionType or origin is Union:
        return Union[replaced]  # noqa: UP007 - built from a tuple
    return UNKNOWN if UNKNOWN in replaced else origin[replaced]


def name_of(kind: object) -> str:
    """A type as a reader would write it."""
    if isinstance(kind, type) and not get_args(kind):
        return kind.__name__
    origin: object = get_origin(kind)
    if isinstance(origin, type):
        return f"{origin.__name__}[{', '.join(name_of(part) for part in get_args(kind))}]"
    return str(kind)


def _bindings(origin: type[object], arguments: tuple[object, ...]) -> dict[object, object]:
    return dict(zip(getattr(origin, "__parameters__", ()), arguments, strict=False))
