"""Stored values as the types that they are read as; the way back from `_json.encode`.

The table of types is in docs/python.md. A field that is stored and not known is passed over, so that a newer release
may store more; one that is known and not stored takes its default.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePath
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, is_typeddict
from uuid import UUID

from towpath._json import encode
from towpath._types import UNKNOWN, fields_of, hints_of, name_of
from towpath.errors import ValueMisfit

T = TypeVar("T")


def decode(kind: object, value: object, where: str) -> Any:
    """A stored value as what it is read as.

    Raises:
        ValueMisfit: when it is none of that type; `where` says which value it is.
    """
    if kind is UNKNOWN or kind is Any or kind is object or isinstance(kind, TypeVar):
        return value
    if kind is None or kind is types.NoneType:
        return _is(value is None, None, kind, value, where)
    origin: object = get_origin(kind)
    if origin is Union or origin is types.UnionType:
        return _union(kind, value, where)
    if origin is Literal:
        found = [option for option in get_args(kind) if encode(option, "a literal") == value]
        return _is(bool(found), found[0] if found else None, kind, value, where)
    reader = _READERS.get(cast("Any", kind))
    if reader is not None:
        return reader(value, where)
    if isinstance(kind, enum.EnumMeta):
        members = cast("list[enum.Enum]", list(kind))
        found = [member for member in members if encode(member, "a member") == value]
        return _is(bool(found), found[0] if found else None, kind, value, where)
    origin = origin or kind
    return _of_class(kind, cast("Any", origin), value, where) if isinstance(origin, type) else value


def _of_class(kind: object, origin: Any, value: object, where: str) -> Any:
    # Held as anything: a check that narrows it would have the checkers know less of it than is said here.
    cls: Any = origin
    if dataclasses.is_dataclass(origin):
        return _dataclass(kind, cls, value, where)
    if is_typeddict(origin):
        return _typed_dict(cls, value, where)
    if _is_named_tuple(origin):
        return _named_tuple(cls, value, where)
    validate = getattr(origin, "model_validate", None)
    if callable(validate):
        return _model(cls, cast("Callable[[object], object]", validate), value, where)
    if issubclass(cls, tuple):
        return _tuple(kind, value, where)
    if issubclass(cls, dict) or origin is Mapping:
        return _dict(kind, value, where)
    if issubclass(cls, list) or origin is Sequence:
        (item,) = get_args(kind) or (UNKNOWN,)
        return [decode(item, part, f"{where}[{i}]") for i, part in enumerate(_list(kind, value, where))]
    return value


def _is_named_tuple(cls: Any) -> bool:
    return tuple in cls.__mro__ and hasattr(cls, "_fields")


def _is(fits: bool, found: T, kind: object, value: object, where: str) -> T:  # noqa: FBT001 - what was found to be so
    if not fits:
        raise ValueMisfit(f"{where} is {_short(value)}, which is no {name_of(kind)}")
    return found


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line


def _union(kind: object, value: object, where: str) -> Any:
    told: list[str] = []
    for option in get_args(kind):
        try:
            return decode(option, value, where)
        except ValueMisfit as misfit:
            told.append(str(misfit))
    raise ValueMisfit(f"{where} is {_short(value)}, which is no {name_of(kind)}: {'; '.join(told)}")


def _plain(wanted: type[object]) -> Callable[[object, str], object]:
    def read(value: object, where: str) -> object:
        return _is(type(value) is wanted, value, wanted, value, where)

    return read


def _float(value: object, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(cast("float", _is(is_number, value, float, value, where)))


def _int(value: object, where: str) -> int:
    # A number that is a whole one may have been written as 2.0 by whoever stored it.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return cast("int", _is(type(value) is int, value, int, value, where))


def _text_of(kind: type[T], make: Callable[[str], T]) -> Callable[[object, str], T]:
    def read(value: object, where: str) -> T:
        try:
            return make(_is(isinstance(value, str), cast("str", value), kind, value, where))
        except (ValueError, InvalidOperation, binascii.Error) as error:
            raise ValueMisfit(f"{where} is {_short(value)}, which is no {name_of(kind)}: {error}") from error

    return read


def _timedelta(value: object, where: str) -> timedelta:
    stored = cast("dict[str, object]", _is(isinstance(value, dict), value, timedelta, value, where))
    secs, nanos = stored.get("secs"), stored.get("nanos")
    if not isinstance(secs, int) or not isinstance(nanos, int):
        raise ValueMisfit(f"{where} is {_short(value)}, which is no timedelta")
    return timedelta(seconds=secs, microseconds=nanos // 1_000)


_READERS: Final[dict[Any, Callable[[object, str], object]]] = {
    bool: _plain(bool),
    int: _int,
    float: _float,
    str: _plain(str),
    list: lambda value, where: _list(list, value, where),
    dict: lambda value, where: _is(isinstance(value, dict), value, dict, value, where),
    datetime: _text_of(datetime, datetime.fromisoformat),
    date: _text_of(date, date.fromisoformat),
    time: _text_of(time, time.fromisoformat),
    timedelta: _timedelta,
    Decimal: _text_of(Decimal, Decimal),
    UUID: _text_of(UUID, UUID),
    Path: _text_of(Path, Path),
    PurePath: _text_of(PurePath, PurePath),
    bytes: _text_of(bytes, lambda text: base64.b64decode(text, validate=True)),
}


def _list(kind: object, value: object, where: str) -> list[object]:
    return cast("list[object]", _is(isinstance(value, list), value, kind, value, where))


def _dict(kind: object, value: object, where: str) -> dict[str, Any]:
    stored = cast("dict[str, object]", _is(isinstance(value, dict), value, kind, value, where))
    _, item = get_args(kind) or (str, UNKNOWN)
    return {key: decode(item, part, f"{where}[{key!r}]") for key, part in stored.items()}


def _tuple(kind: object, value: object, where: str) -> tuple[Any, ...]:
    items, wanted = _list(kind, value, where), get_args(kind)
    if not wanted:
        return tuple(items)
    if len(wanted) == 2 and wanted[1] is Ellipsis:  # noqa: PLR2004 - as in tuple[int, ...]
        wanted = (wanted[0],) * len(items)
    _is(len(wanted) == len(items), None, kind, value, where)
    return tuple(decode(part, item, f"{where}[{i}]") for i, (part, item) in enumerate(zip(wanted, items, strict=True)))


def _named_tuple(cls: type[Any], value: object, where: str) -> Any:
    items, names, hints = _list(cls, value, where), cls._fields, hints_of(cls)
    _is(len(names) == len(items), None, cls, value, where)
    return cls(*(decode(hints.get(n, UNKNOWN), item, f"{where}.{n}") for n, item in zip(names, items, strict=True)))


def _typed_dict(cls: type[Any], value: object, where: str) -> dict[str, Any]:
    stored = cast("dict[str, object]", _is(isinstance(value, dict), value, cls, value, where))
    hints = hints_of(cls)
    # Written as a text, as `from __future__ import annotations` has it, NotRequired is not seen by the class itself.
    written = {key: str(hint) for key, hint in cls.__annotations__.items()}
    missing = sorted(k for k in cls.__required_keys__ - stored.keys() if "NotRequired[" not in written.get(k, ""))
    if missing:
        raise ValueMisfit(f"{where} has no {missing[0]!r}, which a {name_of(cls)} has")
    return {key: decode(hints.get(key, UNKNOWN), part, f"{where}[{key!r}]") for key, part in stored.items()}


def _dataclass(kind: object, cls: type[Any], value: object, where: str) -> Any:
    stored = cast("dict[str, object]", _is(isinstance(value, dict), value, kind, value, where))
    hints = fields_of(kind) or {}
    given: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name in stored and field.init:
            hint = hints.get(field.name, UNKNOWN)
            given[field.name] = decode(hint, stored[field.name], f"{where}.{field.name}")
    try:
        return cls(**given)
    except TypeError as error:
        raise ValueMisfit(f"{where} is {_short(value)}, which is no {name_of(kind)}: {error}") from error


def _model(cls: type[Any], validate: Callable[[object], object], value: object, where: str) -> Any:
    try:
        return validate(value)
    except ValueError as error:  # pydantic's own is one
        raise ValueMisfit(f"{where} is {_short(value)}, which is no {name_of(cls)}: {error}") from error
