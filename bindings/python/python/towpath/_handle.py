"""Handles: typed references to what a step will return, and places in it.

`Handle[T]` is honest: it is a handle and reads as one. Its `out` reads as the `T` itself for the type checker, so that
fields, comparisons and function arguments are checked with the types the author wrote; at run time it is a `Ref`, which
records the path and refuses everything else.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from towpath import _condition
from towpath._traps import Trap, misuse
from towpath._types import UNKNOWN, fields_of, name_of
from towpath.errors import UnknownField

if TYPE_CHECKING:
    from towpath._condition import Condition
    from towpath._json import Json

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the output of a step, or in a parameter, of one pipeline."""

    owner: object
    source: str
    path: tuple[str, ...] = ()
    kind: object = UNKNOWN
    is_param: bool = False

    def __str__(self) -> str:
        return ".".join((self.source, "out", *self.path))

    def record(self) -> Json:
        """The place as it is stored: a step or a parameter, and an RFC 6901 pointer into it; none for the whole."""
        where: dict[str, Json] = {"name" if self.is_param else "step": self.source}
        if self.path:
            # The names are Python identifiers: nothing in them needs the pointer's escapes.
            where["path"] = "".join(f"/{name}" for name in self.path)
        return {"param" if self.is_param else "from": where}

    def field(self, name: str) -> Place:
        """The place of a field; refused when the type is known and has none of that name."""
        fields = fields_of(self.kind)
        if fields is None and not name.startswith("_"):
            return replace(self, path=(*self.path, name), kind=UNKNOWN)
        if fields is None or name not in fields:
            raise UnknownField(self._no_field(name, list(fields or ())))
        return replace(self, path=(*self.path, name), kind=fields[name])

    def _no_field(self, name: str, fields: list[str]) -> str:
        if hasattr(self.kind, name):
            return f"{self} has no stored field {name!r}: it is computed by {name_of(self.kind)}; take it inside a step"
        close = difflib.get_close_matches(name, fields, n=1)
        hint = f"did you mean {close[0]!r}" if close else f"it has {', '.join(fields) or 'no fields'}"
        return f"{self} has no field {name!r}; {hint}"


class Ref(Trap):
    """What `Handle.out` is at run time: a place that compares to a condition and gives places of its fields."""

    __slots__ = ("__place__",)

    __place__: Place

    def __init__(self, place: Place) -> None:
        object.__setattr__(self, "__place__", place)

    def __getattr__(self, name: str) -> Ref:
        return Ref(self.__place__.field(name))

    def __repr__(self) -> str:
        return f"<{self.__place__}>"

    def __subject__(self) -> str:
        return str(self.__place__)

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return _condition.compare("is", self, other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return _condition.negate(_condition.compare("is", self, other))

    def __lt__(self, other: object) -> Condition:
        return _condition.compare("less", self, other)

    def __le__(self, other: object) -> Condition:
        return _condition.compare("at-most", self, other)

    def __gt__(self, other: object) -> Condition:
        return _condition.compare("less", other, self)

    def __ge__(self, other: object) -> Condition:
        return _condition.compare("at-most", other, self)

    def __and__(self, other: object) -> Condition:
        return _condition.join("all", self, other)

    def __or__(self, other: object) -> Condition:
        return _condition.join("any", self, other)

    def __rand__(self, other: object) -> Condition:
        return _condition.join("all", other, self)

    def __ror__(self, other: object) -> Condition:
        return _condition.join("any", other, self)

    def __hash__(self) -> int:
        raise misuse(
            self.__subject__(), "it is put in a set or used as a key", "use the handle itself, or a name, as the key"
        )


if TYPE_CHECKING:

    class _Base:
        """Checkers see a handle without the traps, so that they refuse what the traps would."""

else:
    _Base = Trap


class Handle(_Base, Generic[T_co]):
    """A reference to the output of a step, or to a parameter.

    Give the handle itself to a field of a step, and `handle.out` or a field of it to the argument of a step function
    and to a condition.

    Example:
        >>> from dataclasses import dataclass
        >>> import towpath
        >>> @dataclass(frozen=True)
        ... class Release:
        ...     version: str
        >>> release = towpath.Pipeline("checkout").param("release", Release)
        >>> release
        <Handle release: Release>
        >>> release.out.version
        <release.out.version>
    """

    __slots__ = ("__place__",)

    __place__: Place

    def __init__(self, place: Place) -> None:
        object.__setattr__(self, "__place__", place)

    @property
    def out(self) -> T_co:
        """The output, to name a field of it, to compare it, or to hand it to a step function.

        Example:
            >>> import towpath
            >>> port = towpath.Pipeline("checkout").param("port", int)
            >>> port.out < 1024
            <port.out < 1024>
        """
        return cast("T_co", Ref(self.__place__))

    def __repr__(self) -> str:
        return f"<Handle {self.__place__.source}: {name_of(self.__place__.kind)}>"

    def __subject__(self) -> str:
        return f"the output of {self.__place__.source!r}"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            place = self.__place__
            if name.startswith("_") or name not in (fields_of(place.kind) or ()):
                msg = f"a handle has no {name!r}; a field of its output is {place}.field"
                raise UnknownField(msg)
            msg = f"a handle has no {name!r}, its output has; write {place}.{name}"
            raise UnknownField(msg)

        def __eq__(self, other: object) -> bool:
            if isinstance(other, Handle):
                return self.__place__ == other.__place__
            raise misuse(self.__subject__(), "the handle is compared", f"compare {self.__place__}, or a field of it")

        def __hash__(self) -> int:
            return hash((id(self.__place__.owner), self.__place__.source))


Input: TypeAlias = T | Handle[T]
"""What a field of a step takes: a value, or a handle to one. A type variable in it needs a bound (see `Step`)."""


def place_of(thing: object) -> Place | None:
    """The place that a handle or a ref stands for."""
    if isinstance(thing, Handle | Ref):
        return cast("Handle[object] | Ref", thing).__place__
    return None
