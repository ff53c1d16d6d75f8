"""The types of parameters as JSON Schema, and the values that they admit."""

from __future__ import annotations

import dataclasses
import enum
import types
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Union, cast, get_args, get_origin
from uuid import UUID

from towpath._json import Json, encode
from towpath._types import class_of, fields_of, name_of

_PLAIN: Final[dict[object, Json]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    types.NoneType: {"type": "null"},
    None: {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string", "format": "time"},
    timedelta: {
        "type": "object",
        "properties": {"secs": {"type": "integer", "minimum": 0}, "nanos": {"type": "integer", "minimum": 0}},
        "required": ["secs", "nanos"],
    },
    Decimal: {"type": "string"},
    UUID: {"type": "string", "format": "uuid"},
    Path: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
}


# A type that holds itself is described so far, and admits anything below.
_DEPTH_MAX: Final = 8


def schema_of(kind: object, depth: int = 0) -> Json:
    """The JSON Schema of a type; what cannot be said admits anything."""
    origin: object = get_origin(kind)
    if depth > _DEPTH_MAX:
        return {}
    if _is_dataclass(kind) or _is_dataclass(origin):
        return _object(kind, depth)
    if isinstance(kind, enum.EnumMeta):
        members = cast("list[enum.Enum]", list(kind))
        return {"enum": [encode(member, kind.__name__) for member in members]}
    if origin is Literal:
        return {"enum": [encode(value, "a literal") for value in get_args(kind)]}
    if origin is Union or origin is types.UnionType:
        return {"anyOf": [schema_of(part, depth + 1) for part in get_args(kind)]}
    if origin is list:
        return {"type": "array", "items": schema_of(get_args(kind)[0], depth + 1)}
    return _PLAIN.get(kind, {})


def _is_dataclass(kind: object) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _object(kind: object, depth: int) -> Json:
    fields = fields_of(kind) or {}
    return {
        "title": name_of(kind),
        "type": "object",
        "properties": {name: schema_of(field, depth + 1) for name, field in fields.items()},
        "required": [name for name in fields if not _has_default(kind, name)],
    }


def _has_default(kind: object, name: str) -> bool:
    """Whether a value without this field can be read: it was stored before the field was there."""
    cls: Any = class_of(kind)
    field = cls.__dataclass_fields__[name]
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


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
