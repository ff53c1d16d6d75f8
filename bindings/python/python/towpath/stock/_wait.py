"""Waiting for a time or a signal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from towpath._step import Placed, Step, Stock
from towpath.errors import DefinitionError
from towpath.stock._writer import Writer

if TYPE_CHECKING:
    from towpath._handle import Input
    from towpath._json import Json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class WaitEnd:
    """How a wait ended."""

    came: bool
    """Whether the signal came; false for a time."""
    value: Any = None
    """The signal's value."""


@dataclass(frozen=True)
class Wait(Step[WaitEnd], Stock, kind="towpath.wait/v1", in_doubt="no_effect"):
    """Waits durably for one thing: a time, a point in time, or a signal. Kind `towpath.wait/v1`.

    Example:
        >>> from towpath import Pipeline, Wait
        >>> p = Pipeline("checkout")
        >>> baked = p.step("bake", Wait(time=600))
        >>> p.step("go", Wait(signal="go", within=3600, or_go_on=True), after=baked)
        <Handle go: WaitEnd>
    """

    time: Input[timedelta] | float | None = None
    """So long, in seconds or as a `timedelta`."""
    until: datetime | None = None
    """Until this moment."""
    signal: Input[str] | None = None
    """Until this signal comes."""
    within: Input[timedelta] | float | None = None
    """How long to wait for the signal; then it is rejected."""
    or_go_on: bool = False
    """Goes on when the signal did not come."""

    def __place__(self) -> Placed:
        """What a pipeline records of it."""
        if sum(what is not None for what in (self.time, self.until, self.signal)) != 1:
            raise DefinitionError("a wait is for one thing; give time=, until= or signal=")
        if self.signal is None and (self.within is not None or self.or_go_on):
            raise DefinitionError("within= and or_go_on= are for a signal; give signal=, or leave them out")
        write = Writer(self)
        fields: dict[str, Json] = {"for": self._what(write)}
        if self.or_go_on:
            fields["or_go_on"] = True
        return write.place(fields)

    def _what(self, write: Writer) -> Json:
        if self.time is not None:
            return {"time": write.seconds(self.time, "time")}
        if self.until is not None:
            if self.until.tzinfo is None:
                raise DefinitionError(f"until={self.until!r} has no time zone; write datetime(..., tzinfo=UTC)")
            return {"point": {"value": (self.until - _EPOCH) // timedelta(microseconds=1)}}
        signal: dict[str, Json] = {"name": write.input(self.signal, "signal")}
        if self.within is not None:
            signal["within"] = write.seconds(self.within, "within")
        return {"signal": signal}
