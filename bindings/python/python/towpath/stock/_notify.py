"""Telling people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath._step import Placed, Step, Stock
from towpath.stock._http import HttpRequest, request_record
from towpath.stock._writer import Writer

if TYPE_CHECKING:
    from towpath._handle import Input
    from towpath._json import Json


@dataclass(frozen=True)
class Notify(Step[None], Stock, kind="towpath.notify/v1", in_doubt="idempotent"):
    """Tells people something: kind `towpath.notify/v1`. Unless it is required, a failure of it is only recorded.

    Example:
        >>> from towpath import HttpRequest, Notify, Pipeline, Secret, text
        >>> p = Pipeline("checkout")
        >>> version = p.param("version", str)
        >>> hook = HttpRequest.to_secret("POST", Secret("chat-hook"))
        >>> p.step("tell", Notify(text("{} is live", version), webhook=hook))
        <Handle tell: NoneType>
    """

    text: Input[str]
    webhook: HttpRequest | None = None
    """Where it goes; without it, to the step's log and the engine's tracing."""
    required: bool = False

    def __place__(self) -> Placed:
        """What a pipeline records of it."""
        write = Writer(self)
        fields: dict[str, Json] = {"text": write.input(self.text, "text"), "to": "log"}
        if self.webhook is not None:
            fields["to"] = {"webhook": request_record(write, self.webhook)}
        if self.required:
            fields["required"] = True
        return write.place(fields, best_effort=not self.required)
