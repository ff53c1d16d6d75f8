"""What runs tell: how they ended, why they rest, what happened, what a plan would change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeAlias, TypeVar, cast

from towpath._types import UNKNOWN

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

ANYTHING = UNKNOWN
"""The output of a run whose types are not known here."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure, as the journal holds it.

    Example:
        >>> from towpath import Failure
        >>> print(Failure("transient", "push the image", ("connection reset",)))
        push the image: connection reset
    """

    kind: str
    """transient, rejected, permanent, unknown, needs-operator or cancelled."""
    message: str
    causes: tuple[str, ...] = ()
    details: Any = None
    """Facts for programs. Of a Python exception: its `type`, and its `traceback` without locals."""

    def __str__(self) -> str:
        return ": ".join([self.message, *self.causes])


@dataclass(frozen=True, slots=True)
class Why:
    """Why a run did not succeed.

    Example:
        >>> from towpath import Why
        >>> print(Why("cancelled by user:ann"))
        cancelled by user:ann
    """

    text: str
    step: str | None = None
    """The step that failed, when one did."""
    failure: Failure | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """One thing that a run waits for."""

    step: str | None
    what: str
    since: datetime
    who: str
    """Who can move it: worker, time, signal, operator, locks or items."""
    command: str | None = None
    """What to send, when a signal is waited for."""
    at: datetime | None = None
    """When time moves it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run does not move, and who can move it."""

    summary: str
    waits: tuple[WaitingFor, ...]
    verbs: tuple[str, ...]
    """The verbs that can be given."""
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[T_co]):
    """It did what it was to do.

    Example:
        >>> from towpath import Succeeded
        >>> Succeeded("sha256:4f2c").output
        'sha256:4f2c'
    """

    output: T_co


@dataclass(frozen=True, slots=True)
class Compensated:
    """It failed, and what it had done was undone."""

    why: Why


@dataclass(frozen=True, slots=True)
class Failed:
    """It failed, and there was nothing to undo."""

    why: Why


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody cancelled it."""

    why: Why


@dataclass(frozen=True, slots=True)
class Superseded:
    """Another run took its place."""

    by: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An operator gave it up."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """An operator has to decide; `at` says about what."""

    at: Explanation


Settled: TypeAlias = Succeeded[T] | Compensated | Failed | Cancelled | Superseded | Abandoned | Stuck
"""How a run ended, or that it is stuck."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a run's journal, or news beside it.

    Progress, and the news that a slow reader missed entries, have no number: their `kind` is `progress` or `lagged`.
    """

    kind: str
    """What happened, in the word that journals show."""
    facts: dict[str, Any]
    """What is stored of it."""
    seq: int | None = None
    """Its number in the journal, from 1."""
    at: datetime | None = None
    actor: str | None = None

    @property
    def step(self) -> str | None:
        """The step that it is about, when it is about one."""
        step = self.facts.get("step")
        return step if isinstance(step, str) else None

    def __str__(self) -> str:
        number = "" if self.seq is None else f"{self.seq} "
        return f"{number}{self.kind}{'' if self.step is None else f' {self.step}'}"


@dataclass(frozen=True, slots=True)
class RunRow:
    """Where a run stands, for lists."""

    no: int
    id: str
    pipeline: str
    key: str
    plan_hash: str
    status: str
    """running, waiting, blocked, paused, unwinding, stuck, quarantined or settled."""
    note: str
    """One line about it: what it waits for, why it is stuck."""
    outcome: str | None
    labels: dict[str, str]
    started_at: datetime
    changed_at: datetime
    wake_at: datetime | None


@dataclass(frozen=True, slots=True)
class Driven:
    """What became of the runs that `drive` drove.

    Example:
        >>> from towpath import Driven
        >>> Driven(succeeded=2).exit_code, Driven(parked=1).exit_code, Driven(failed=1, stuck=1).exit_code
        (0, 10, 20)
    """

    settled: int = 0
    succeeded: int = 0
    failed: int = 0
    parked: int = 0
    stuck: int = 0
    blocked: int = 0
    going: int = 0
    next_wake: datetime | None = None

    @property
    def exit_code(self) -> int:
        """As `towpath tick` exits: 20 when an operator is needed, 1 when one failed, 10 when some wait, else 0."""
        if self.stuck:
            return 20
        if self.failed:
            return 1
        return 10 if self.parked or self.blocked or self.going else 0


@dataclass(frozen=True, slots=True)
class Health:
    """How an engine is."""

    well: bool
    store: str | None
    """What is wrong with the store, when something is."""
    oldest_due: datetime | None
    last_commit: datetime | None
    stuck: int
    quarantined: int
    lease_left: timedelta
    runs_in_memory: int


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a step would change.

    Example:
        >>> from towpath import Change
        >>> Change("update", "weight of checkout", before=5, after=25).action
        'update'
    """

    action: str
    """create, update, delete, none or unknown."""
    target: str
    before: Any = None
    after: Any = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class StepPreview:
    """What one step would change."""

    step: str
    kind: str
    changes: tuple[Change, ...]
    failure: Failure | None = None
    """Why it could not tell."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a plan would change, from where the world stands now."""

    steps: tuple[StepPreview, ...]
    digest: str
    text: str

    def __str__(self) -> str:
        return self.text


def moment(micros: int | None) -> datetime | None:
    """A time of Rust."""
    return (
        None
        if micros is None
        else datetime.fromtimestamp(micros // 1_000_000, UTC) + timedelta(microseconds=micros % 1_000_000)
    )


def _at(micros: int) -> datetime:
    return cast("datetime", moment(micros))


def failure(told: dict[str, Any]) -> Failure:
    """A failure, of what is stored of it."""
    return Failure(told["kind"], told["message"], tuple(told.get("causes", ())), told.get("details"))


def why(told: dict[str, Any]) -> Why:
    """Why a run did not succeed."""
    stored = told["why"]
    failed: dict[str, Any] = cast("dict[str, Any]", stored).get("step-failed", {}) if isinstance(stored, dict) else {}
    return Why(told["text"], failed.get("step"), failure(failed["failure"]) if "failure" in failed else None)


def explanation(told: dict[str, Any]) -> Explanation:
    """Why a run does not move."""
    waits = tuple(
        WaitingFor(
            wait["step"],
            wait["what"],
            _at(wait["since"]),
            wait["mover"]["who"],
            wait["mover"].get("command"),
            moment(wait["mover"].get("at")),
        )
        for wait in told["waits"]
    )
    return Explanation(told["summary"], waits, tuple(told["verbs"]), told["text"])


def ended(told: dict[str, Any]) -> Compensated | Failed | Cancelled | Superseded | Abandoned | Stuck:
    """How a run ended that did not succeed."""
    match told["end"]:
        case "compensated":
            return Compensated(why(told))
        case "cancelled":
            return Cancelled(why(told))
        case "superseded":
            return Superseded(told["text"])
        case "abandoned":
            return Abandoned(told["by"], told["reason"])
        case "stuck":
            return Stuck(explanation(told["at"]))
        case "failed":
            return Failed(why(told))
        case _:
            return Failed(Why(told["text"]))


def event(told: dict[str, Any]) -> Event:
    """An event of a journal."""
    return Event(told["kind"], told["facts"], told.get("seq"), moment(told.get("at")), told.get("actor"))


def row(told: dict[str, Any]) -> RunRow:
    """The row of a run."""
    return RunRow(
        no=told["no"],
        id=told["run"],
        pipeline=told["pipeline"],
        key=told["key"],
        plan_hash=told["plan_hash"],
        status=told["status"],
        note=told["note"],
        outcome=told["outcome"],
        labels=dict(told["labels"]),
        started_at=_at(told["started_at"]),
        changed_at=_at(told["changed_at"]),
        wake_at=moment(told["wake_at"]),
    )


def driven(told: dict[str, Any]) -> Driven:
    """What became of the runs that were driven."""
    told = dict(told)
    return Driven(next_wake=moment(told.pop("next_wake")), **told)


def health(told: dict[str, Any]) -> Health:
    """How an engine is."""
    return Health(
        well=told["well"],
        store=told["store"],
        oldest_due=moment(told["oldest_due"]),
        last_commit=moment(told["last_commit"]),
        stuck=told["stuck"],
        quarantined=told["quarantined"],
        lease_left=timedelta(milliseconds=told["lease_left_ms"]),
        runs_in_memory=told["runs_in_memory"],
    )


def preview(told: dict[str, Any]) -> Preview:
    """What a plan would change."""
    steps = tuple(
        StepPreview(
            step["step"],
            step["kind"],
            tuple(Change(**change) for change in step["changes"]),
            failure(step["failure"]) if step.get("failure") else None,
        )
        for step in told["steps"]
    )
    return Preview(steps, told["digest"], told["text"])
