"""Writing the fields of stock steps as Rust reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from towpath._context import Seconds, millis
from towpath._input import store
from towpath._json import encode
from towpath._step import Kind, Placed
from towpath._types import argument_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath._handle import Place
    from towpath._json import Json
    from towpath._step import InDoubt, Step


class Writer:
    """Collects what the inputs of a step read, in the order in which they are written."""

    def __init__(self, step: Step[Any]) -> None:
        self._step = step
        self._places: list[Place] = []

    def input(self, value: object, field: str) -> Json:
        """One input: a value, a handle, a place, or a text made of them."""
        record, places = store(value, f"{field} of {type(self._step).__name__}")
        self._places.extend(places)
        return record

    def seconds(self, value: object, field: str) -> Json:
        """An input that is a length of time."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return self.input(timedelta(seconds=cast("float", value)) if is_number else value, field)

    def place(
        self,
        fields: Mapping[str, Json],
        *,
        in_doubt: InDoubt | None = None,
        methods: tuple[str, ...] = (),
        best_effort: bool = False,
        output: object = None,
    ) -> Placed:
        """What a pipeline records of the step."""
        from towpath._step import Step  # noqa: PLC0415 - for its type argument alone

        cls = type(self._step)
        kind = cls.__kind__
        gives = argument_of(cls, Step) if output is None else output
        return Placed(
            Kind(kind.name, in_doubt or kind.in_doubt),
            {},
            gives,
            methods,
            best_effort=best_effort,
            stored=(dict(fields), tuple(self._places)),
        )


def ms(time: Seconds, field: str) -> int:
    """A length of time that is known when the pipeline is written."""
    return millis(time, field)


def value(thing: object, field: str) -> Json:
    """A value that is no input."""
    return encode(thing, field)
