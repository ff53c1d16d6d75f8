"""The stored form: the same JSON that the Rust library writes for a plan.

The names and defaults are those of `PlanRecord` and `StepRecord` in `crates/model`; a field that holds its default and
is left out there is left out here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from towpath._json import Json
from towpath._schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from towpath._condition import Condition
    from towpath._handle import Place
    from towpath._step import Placed

FORMAT: Final = 1
STEPS_MAX: Final = 2_000
NESTING_MAX: Final = 8
_PARALLEL: Final = 16


def pipeline(name: str, steps: list[Json], params: dict[str, object], output: Place | None) -> dict[str, Json]:
    """A frozen pipeline."""
    record: dict[str, Json] = {"format": FORMAT, "pipeline": name, "steps": steps, "parallel": _PARALLEL}
    if params:
        record["params"] = {name: schema_of(kind) for name, kind in sorted(params.items())}
    if output is not None:
        record["output"] = output.record()
    return record


def step(  # noqa: PLR0913 - one argument for each part of the record
    id: str,  # noqa: A002 - the word of the vocabulary
    what: Placed,
    fields: dict[str, Json],
    reads: Iterable[Place],
    after: Iterable[Place],
    when: Condition | None,
) -> dict[str, Json]:
    """One step of a plan."""
    record: dict[str, Json] = {"id": id, "kind": what.kind.name, "with": dict(fields)}
    sources = list(dict.fromkeys(place.source for place in reads if not place.is_param))
    if sources:
        record["reads"] = [{"step": source} for source in sources]
    behind = list(dict.fromkeys(place.source for place in after))
    if behind:
        record["after"] = list[Json](behind)
    if when is not None:
        record["when"] = when.record
    record["in_doubt"] = what.kind.in_doubt.replace("_", "-")
    record["methods"] = dict[str, Json].fromkeys(what.methods, True)
    record["undo"] = what.kind.undo
    if what.best_effort:
        record["best_effort"] = True
    record["retry"] = _retry(5)
    record["undo_retry"] = _retry(5)
    record["observe_retry"] = _retry(12)
    return record


def _retry(attempts: int) -> dict[str, Json]:
    """From one second, doubling up to one minute, with jitter."""
    return {"initial_ms": 1_000, "factor_percent": 200, "max_ms": 60_000, "attempts_max": attempts, "jitter": True}
