"""What the fields of a step are stored as: values, places, and texts made of both."""

from __future__ import annotations

from itertools import islice
from string import Formatter
from typing import TYPE_CHECKING, TypeAlias, cast

from towpath._condition import Condition
from towpath._handle import Handle, Place, place_of
from towpath._json import encode
from towpath._traps import Trap, misuse
from towpath._types import class_of, name_of
from towpath.errors import DefinitionError

if TYPE_CHECKING:
    from towpath._json import Json

TextPart: TypeAlias = str | int | float | Handle[str] | Handle[int] | Handle[float]
"""What fills a `{}` of a `text`: a value that reads well, or a handle to one."""


class Text(Trap):
    """What `text` gives at run time: pieces that the run joins."""

    __slots__ = ("parts", "template")

    template: str
    parts: tuple[tuple[Json, Place | None], ...]

    def __init__(self, template: str, parts: tuple[tuple[Json, Place | None], ...]) -> None:
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "parts", parts)

    def __repr__(self) -> str:
        return f"<text {self.template!r}>"

    def __subject__(self) -> str:
        return f"the text {self.template!r}"

    def __eq__(self, other: object) -> bool:
        raise misuse(self.__subject__(), "it is compared", "compare the places it is made of")

    def __hash__(self) -> int:
        raise misuse(self.__subject__(), "it is put in a set or used as a key", "hand it to a step")


def text(template: str, *parts: TextPart) -> str:
    """A text that the run fills in: each `{}` of the template takes the next part.

    It reads as the `str` it will be, so it goes wherever a step wants one.

    Example:
        >>> import towpath
        >>> p = towpath.Pipeline("checkout")
        >>> towpath.text("http://{}:{}", p.param("host", str), p.param("port", int).out)
        <text 'http://{}:{}'>

    Raises:
        DefinitionError: when the number of `{}` is not the number of parts, or a part does not read as text.
    """
    stored: list[tuple[Json, Place | None]] = []
    fills = iter(parts)
    holes = 0
    for literal, is_hole in _pieces(template):
        if literal:
            stored.append(({"value": literal}, None))
        if is_hole:
            holes += 1
            stored.extend(_part(part, f"part {holes} of the text {template!r}") for part in islice(fills, 1))
    if holes != len(parts):
        raise DefinitionError(
            f"the text {template!r} has {holes} {{}} for {len(parts)} parts; give one part for each {{}}"
        )
    return cast("str", Text(template, tuple(stored)))


def store(value: object, where: str) -> tuple[Json, tuple[Place, ...]]:
    """One field as it is stored, and the places that it reads."""
    place = place_of(value)
    if place is not None:
        return place.record(), (place,)
    if isinstance(value, Text):
        parts = value.parts
        return {"text": [part for part, _ in parts]}, tuple(place for _, place in parts if place is not None)
    if isinstance(value, Condition):
        raise DefinitionError(f"{where} is a condition, {value!r}; give conditions to when=, and places to fields")
    return {"value": encode(value, where)}, ()


def _pieces(template: str) -> list[tuple[str, bool]]:
    """The literal pieces of a template, each with whether a `{}` follows."""
    try:
        found = list(Formatter().parse(template))
    except ValueError as error:
        raise DefinitionError(f"the text {template!r} has a lone brace; write {{{{ or }}}} for a brace") from error
    for _, name, spec, conversion in found:
        if name or spec or conversion:
            raise DefinitionError(
                f"the text {template!r} has a {{}} that is not empty; write {{}} and format inside a step"
            )
    return [(literal, name is not None) for literal, name, _, _ in found]


def _part(part: object, where: str) -> tuple[Json, Place | None]:
    place = place_of(part)
    if place is not None:
        found = class_of(place.kind)
        if found is not None and not issubclass(found, str | int | float):
            raise DefinitionError(
                f"{where} is {place}, a {name_of(place.kind)}; give a text, a number, or a place of one"
            )
        return place.record(), place
    if isinstance(part, bool) or not isinstance(part, str | int | float):
        raise DefinitionError(f"{where} is {part!r}; give a text, a number, or a place of one")
    return {"value": encode(part, where)}, None
