"""Values as JSON, checked where they are written: what cannot be stored is refused with the place it stands in."""

from __future__ import annotations

import base64
import dataclasses
import enum
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, TypeAlias, cast
from uuid import UUID

from towpath._traps import Trap
from towpath._types import name_of
from towpath.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Beyond these, readers that hold numbers as doubles would change them.
_INTEGER_MAX: Final = 2**53
# The decoder of the record gives up at 128; a value sits a few levels inside it.
_DEPTH_MAX: Final = 100
_SLUG: Final = re.compile(r"[a-z0-9-]{1,64}")


def encode(value: object, where: str, *, depth: int = 0) -> Json:
    """A value as plain JSON data: dataclasses by their fields, enums by their values.

    Raises:
        DefinitionError: when it cannot be stored; `where` says what the value was meant for.
    """
    if depth > _DEPTH_MAX:
        raise DefinitionError(
            f"{where} nests deeper than {_DEPTH_MAX} levels; flatten it, or pass an artifact by digest"
        )
    if isinstance(value, Trap):
        raise DefinitionError(f"{where} has {value!r} inside a value; only a whole field or argument can be a handle")
    if isinstance(value, enum.Enum):
        return encode(value.value, where, depth=depth + 1)
    for kind, encoder in _ENCODERS:
        if isinstance(value, kind):
            return encoder(value, where, depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: encode(getattr(value, name), f"{where}.{name}", depth=depth + 1) for name in names}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return encode(dump(mode="json"), where, depth=depth + 1)
    raise DefinitionError(f"{where} is a {name_of(type(value))}, which cannot be stored; {_instead(value)}")


def _instead(value: object) -> str:
    if isinstance(value, set | frozenset):
        return "a set has no order, so write sorted(...) of it"
    return "use a dataclass, an enum, a text, a number, a list or a dict"


def _integer(value: object, where: str, _depth: int) -> Json:
    number = int(cast("int", value))
    if abs(number) > _INTEGER_MAX:
        raise DefinitionError(f"{where} is {number}, beyond 2^53, where json numbers lose digits; write it as a text")
    return number


def _float(value: object, where: str, _depth: int) -> Json:
    number = float(cast("float", value))
    if not math.isfinite(number):
        raise DefinitionError(f"{where} is {number}, which json cannot hold; leave it out, or use none")
    return number


def _text(value: object, where: str, _depth: int) -> Json:
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DefinitionError(f"{where} holds half of a surrogate pair, which is no text; repair {text!r}") from error
    return text


def _items(value: object, where: str, depth: int) -> Json:
    items = cast("list[object]", value)
    return [encode(item, f"{where}[{index}]", depth=depth) for index, item in enumerate(items)]


def _mapping(value: object, where: str, depth: int) -> Json:
    stored: dict[str, Json] = {}
    for key, item in cast("Mapping[object, object]", value).items():
        if not isinstance(key, str) or isinstance(key, enum.Enum):
            raise DefinitionError(f"{where} has the key {key!r}, which is no text; use texts as keys")
        stored[cast("str", _text(key, where, depth))] = encode(item, f"{where}[{key!r}]", depth=depth)
    return stored


def _duration(value: object, where: str, _depth: int) -> Json:
    time = cast("timedelta", value)
    if time < timedelta(0):
        raise DefinitionError(f"{where} is {time}, below zero, and a duration is not; give a positive one")
    # As Rust stores a duration.
    return {"secs": time.days * 86_400 + time.seconds, "nanos": time.microseconds * 1_000}


def _bytes(value: object, _where: str, _depth: int) -> Json:
    return base64.b64encode(cast("bytes", value)).decode("ascii")


def _iso(value: object, _where: str, _depth: int) -> Json:
    return cast("datetime | date | time", value).isoformat()


def _plain_text(value: object, where: str, depth: int) -> Json:
    return _text(str(value), where, depth)


def _as_is(value: object, _where: str, _depth: int) -> Json:
    return cast("bool | None", value)


# Order matters: a bool is an int. docs/python.md has the table.
_ENCODERS: Final[tuple[tuple[type[object] | tuple[type[object], ...], Callable[[object, str, int], Json]], ...]] = (
    ((bool, type(None)), _as_is),
    (int, _integer),
    (float, _float),
    (str, _text),
    ((list, tuple), _items),
    (Mapping, _mapping),
    (timedelta, _duration),
    ((datetime, date, time), _iso),
    ((Decimal, UUID, PurePath), _plain_text),
    (bytes, _bytes),
)


def slug_problem(text: str) -> str | None:
    """Why a text is no name of a pipeline, a step or an environment; none when it is one."""
    return None if _SLUG.fullmatch(text) else "is not 1 to 64 of a-z, 0-9 and -"


def require_slug(text: str, what: str) -> str:
    """The text, when it is a slug.

    Raises:
        DefinitionError: when it is not.
    """
    problem = slug_problem(text)
    if problem is not None:
        raise DefinitionError(f"the {what} {text!r} {problem}")
    return text
