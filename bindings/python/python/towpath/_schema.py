"""The types of parameters as JSON Schema, and the values that they admit."""

from __future__ import annotations

import dataclasses
import enum
import types
from typing import Final, Literal, Union, cast, get_args, get_origin

from towpath._json import Json, encode
from towpath._types import class_of, fields_of, name_of

_PLAIN: Final[dict[object, Json]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    types.NoneType: {"type": "null"},
    None: {"type": "null"},
}


def schema_of(kind: object) -> Json:
    """The JSON Schema of a type; what cannot be said admits anything."""
    origin: object = get_origin(kind)
    if _is_dataclass(kind) or _is_dataclass(origin):
        return _object(kind)
    if isinstance(kind, enum.EnumMeta):
        members = cast("list[enum.Enum]", list(kind))
        return {"enum": [encode(member, kind.__name__) for member in members]}
    if origin is Literal:
        return {"enum": [encode(value, "a literal") for value in get_args(kind)]}
    if origin is Union or origin is types.UnionType:
        return {"anyOf": [schema_of(part) for part in get_args(kind)]}
    if origin is list:
        return {"type": "array", "items": schema_of(get_args(kind)[0])}
    return _PLAIN.get(kind, {})


def _is_dataclass(kind: object) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _object(kind: object) -> Json:
    fields = fields_of(kind) or {}
    return {
        "title": name_of(kind),
        "type": "object",
        "properties": {name: schema_of(field) for name, field in fields.items()},
        "required": list[Json](fields),
    }


def admits(kind: object, value: object) -> bool:
    """Whether a value is one of a type, as far as its outermost class tells."""
    if get_origin(kind) is Union or isinstance(kind, types.UnionType):
        return any(admits(part, value) for part in get_args(kind))
    wanted = class_of(kind)
    if wanted is None:
        return True
    if isinstance(value, bool) and wanted in (int, float):
        return False
    return isinstance(value, (int, float) if wanted is float else wanted)
