"""Conditions: what a step waits to hold, as data that can be drawn, hashed and explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from towpath import _handle
from towpath._json import encode
from towpath._traps import Trap, misuse
from towpath._types import UNKNOWN, name_of
from towpath.errors import DefinitionError

if TYPE_CHECKING:
    from towpath._handle import Place
    from towpath._json import Json

_SIGNS: Final = {"is": "==", "less": "<", "at-most": "<=", "all": "&", "any": "|"}


class Condition(Trap):
    """A condition over outputs, made by comparing places in them.

    Type checkers read a comparison of places as the `bool` it will be, so `when=` takes both; at run time it is always
    a condition, and a plain bool is refused.

    Example:
        >>> import towpath
        >>> port = towpath.Pipeline("checkout").param("port", int)
        >>> (port.out >= 1024) & (port.out != 8080)
        <(1024 <= port.out) & not (port.out == 8080)>
    """

    __slots__ = ("depth", "places", "record", "text")

    record: dict[str, Json]
    """The condition as it is stored."""
    text: str
    """The condition as it is read."""
    places: tuple[Place, ...]
    """The places that the condition reads."""
    depth: int
    """How deep it nests; 1 for a comparison."""

    def __init__(self, record: dict[str, Json], text: str, places: tuple[Place, ...], depth: int = 1) -> None:
        object.__setattr__(self, "record", record)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "depth", depth)

    def __repr__(self) -> str:
        return f"<{self.text}>"

    def __subject__(self) -> str:
        return f"whether {self.text}"

    def __and__(self, other: object) -> Condition:
        return join("all", self, other)

    def __or__(self, other: object) -> Condition:
        return join("any", self, other)

    def __rand__(self, other: object) -> Condition:
        return join("all", other, self)

    def __ror__(self, other: object) -> Condition:
        return join("any", other, self)

    def __eq__(self, other: object) -> bool:
        raise misuse(self.__subject__(), "it is compared", "compare the place with != or the other order instead")

    def __hash__(self) -> int:
        raise misuse(self.__subject__(), "it is put in a set or used as a key", "give it to when=")


def compare(how: Literal["is", "less", "at-most"], left: object, right: object) -> Condition:
    """The condition that two operands compare so, at least one of them a place."""
    sides = [_operand(side, ordered=how != "is") for side in (left, right)]
    places = tuple(place for _, _, place in sides if place is not None)
    text = f" {_SIGNS[how]} ".join(text for _, text, _ in sides)
    return Condition({how: [record for record, _, _ in sides]}, text, places)


def join(how: Literal["all", "any"], left: object, right: object) -> Condition:
    """The condition that all, or any, of two hold; a chain that was written as one is one list."""
    first, second = (as_condition(side, "& and | join conditions, and one side is") for side in (left, right))
    chain = first.record.get(how)
    records: list[Json] = [*chain, second.record] if isinstance(chain, list) else [first.record, second.record]
    text = f"{first.text if how in first.record else _bracketed(first)} {_SIGNS[how]} {_bracketed(second)}"
    depth = max(first.depth + (how not in first.record), second.depth + 1)
    return Condition({how: records}, text, (*first.places, *second.places), depth)


def negate(condition: Condition) -> Condition:
    """The condition that this one does not hold."""
    return Condition({"not": condition.record}, f"not ({condition.text})", condition.places, condition.depth + 1)


def as_condition(thing: object, where: str) -> Condition:
    """A condition as it is; a place of a bool stands for "is true"."""
    if isinstance(thing, Condition):
        return thing
    place = _handle.place_of(thing)
    if isinstance(thing, _handle.Ref) and place is not None and place.kind in (bool, UNKNOWN):
        return compare("is", thing, True)  # noqa: FBT003 - the value compared with
    if isinstance(thing, _handle.Ref):
        found = f"{place}, which is no bool; compare it, each comparison in its brackets"
    elif place is not None:
        found = f"the handle of {place.source!r}; compare {place}, or a field of it"
    elif isinstance(thing, bool):
        found = f"{thing}, known already; was it made of handles where a place was meant, as in handle.out == value"
    else:
        found = f"{name_of(type(thing))} {thing!r}; put each comparison in its brackets"
    raise DefinitionError(f"{where} {found}")


def _operand(side: object, *, ordered: bool) -> tuple[Json, str, Place | None]:
    if isinstance(side, _handle.Ref):
        place = _handle.place_of(side)
        assert place is not None  # noqa: S101 - a ref has a place
        return place.record(), str(place), place
    if isinstance(side, Trap):
        raise DefinitionError(
            f"a condition compares places and values, not {side!r}; compare handle.out or a field of it"
        )
    value = encode(side, "the value compared with")
    if ordered and (isinstance(value, bool) or not isinstance(value, int | float | str)):
        raise DefinitionError(
            f"{side!r} is neither a number nor a text, so nothing is less or more; compare it with =="
        )
    return {"value": value}, repr(side), None


def _bracketed(part: Condition) -> str:
    return part.text if "not" in part.record else f"({part.text})"
