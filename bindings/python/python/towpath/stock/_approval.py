"""Asking people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from towpath._environment import Approved
from towpath._handle import Handle, Input, place_of
from towpath._step import Placed, Step, Stock
from towpath._types import UNKNOWN
from towpath.stock._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from towpath._json import Json

A = TypeVar("A", bound=object)


@dataclass(frozen=True)
class Approval(Step[Approved[A]], Stock, Generic[A], kind="towpath.approval/v1", in_doubt="no_effect"):
    """Asks people whether a value may go on: kind `towpath.approval/v1`. Its output is an `Approved` of that value.

    People answer with `towpath approve RUN STEP`, or through an engine. Each has one voice, and one no is enough for
    a no. While it waits, the run needs no process.

    Example:
        >>> from towpath import Approval, Pipeline
        >>> p = Pipeline("checkout")
        >>> release = p.param("release", str)
        >>> p.step("approve", Approval(release, teams={"sre": ["user:ann", "user:bob"]}, quorum=2, expires=8 * 3600))
        <Handle approve: Approved[str]>
    """

    value: Input[A]
    quorum: int = 1
    """How many have to say yes."""
    actors: Sequence[str] | None = None
    """Who may decide, by the name under which they send: `user:ann`. Without actors and teams, anybody."""
    teams: Mapping[str, Sequence[str]] = field(default_factory=dict[str, "Sequence[str]"])
    """Teams whose members may decide."""
    not_from: Sequence[Input[str]] = ()
    """Who may not, such as whoever started it."""
    showing: Handle[Any] | None = None
    """What is shown to those who decide; without it the value itself."""
    expires: Input[timedelta] | float | None = None
    """How long they have, in seconds or as a `timedelta`; without it for ever."""
    expired: Literal["ask", "reject", "approve"] = "ask"
    """What it becomes when the time is over: an operator decides, a no, or a yes."""

    def __place__(self) -> Placed:
        """What a pipeline records of it."""
        write = Writer(self)
        fields: dict[str, Json] = {"value": write.input(self.value, "value")}
        if self.showing is not None:
            fields["showing"] = write.input(self.showing, "showing")
        who: dict[str, Json] = {}
        if self.actors is not None:
            who["actors"] = [*sorted(set(self.actors))]
        if self.teams:
            who["teams"] = {team: [*sorted(set(members))] for team, members in sorted(self.teams.items())}
        if who:
            fields["who"] = who
        if self.not_from:
            fields["not_from"] = [write.input(actor, "not_from") for actor in self.not_from]
        fields["quorum"] = self.quorum
        if self.expires is not None:
            fields["expires"] = write.seconds(self.expires, "expires")
        fields["expired"] = self.expired
        place = place_of(self.value)
        of = type(self.value) if place is None else place.kind
        # The type is known when the program runs, which no checker is.
        output: object = UNKNOWN if of is UNKNOWN else Approved[of]  # type: ignore[valid-type]  # pyright: ignore[reportInvalidTypeForm]
        return write.place(fields, output=output)
