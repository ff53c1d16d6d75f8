"""What is known of a step that is to be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

from towpath._decode import decode

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Undo(Generic[T_co]):
    """What is known of a step that is to be undone.

    Example:
        >>> from towpath import Undo
        >>> undo = Undo(before=5, output="weight 25", checkpoint=None, ended="done")
        >>> undo.read_before(int)
        5
    """

    before: Any
    """What was there before, when the kind takes a before-image."""
    output: T_co | None
    """The output, when the step is known to be done."""
    checkpoint: Any
    """The last checkpoint."""
    ended: Literal["done", "failed", "in-doubt", "parked"]
    """How the step ended."""

    def read_before(self, kind: type[T]) -> T:
        """The before-image as what `before` gave."""
        return cast("T", decode(kind, self.before, "the before-image"))

    def read_checkpoint(self, kind: type[T]) -> T | None:
        """The last checkpoint as what was saved."""
        return None if self.checkpoint is None else cast("T", decode(kind, self.checkpoint, "the checkpoint"))


def undo_of(told: dict[str, Any], output: object) -> Undo[Any]:
    """What Rust tells of a step that is to be undone."""
    value = decode(output, told["output"], "the output") if told["has_output"] else None
    return Undo(told["before"], value, told["checkpoint"], told["ended"])
