"""Frozen pipelines and plans: data, and nothing that can change under a reader."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Generic, TypeVar

from towpath._json import encode
from towpath._schema import admits
from towpath._traps import Trap
from towpath._types import name_of
from towpath.errors import DefinitionError, PlanErrors, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from towpath._json import Json

Out_co = TypeVar("Out_co", covariant=True)


class FrozenPipeline(Generic[Out_co]):
    """A pipeline as data: what was written, checked, without values.

    Example:
        >>> from towpath import Pipeline, StepContext, step
        >>> @step("shop.smoke/v1", in_doubt="no_effect")
        ... def smoke(cx: StepContext, url: str) -> bool:
        ...     return url != ""
        >>> p = Pipeline("checkout")
        >>> smoked = p.step("smoke", smoke.of(p.param("url", str).out))
        >>> built = p.build()
        >>> built.name
        'checkout'
        >>> built.record()["format"]
        1
        >>> built.with_(url="https://shop.example").values()
        {'url': 'https://shop.example'}
    """

    def __init__(self, record: dict[str, Json], params: dict[str, object]) -> None:
        self._record = record
        self._params = params

    @property
    def name(self) -> str:
        """The name of the pipeline."""
        return str(self._record["pipeline"])

    def record(self) -> dict[str, Json]:
        """The pipeline as it is stored, as plain data of the caller's own."""
        return copy.deepcopy(self._record)

    def with_(self, **values: object) -> Plan[Out_co]:
        """The plan that these parameter values make of it.

        Raises:
            PlanErrors: when a value is missing, unknown, of another type or cannot be stored; all at once.
        """
        problems = list(self._problems(values))
        stored: dict[str, Json] = {}
        for name, value in values.items():
            try:
                stored[name] = encode(value, f"the parameter {name!r}")
            except DefinitionError as error:
                problems.append(Problem(None, str(error)))
        if problems:
            raise PlanErrors(f"pipeline {self.name!r} cannot be started with these values", problems)
        return Plan(self, stored)

    def __repr__(self) -> str:
        steps = self._record["steps"]
        ids = [str(step["id"]) for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
        return f"<frozen pipeline {self.name}: {', '.join(ids) or 'no steps'}>"

    def _problems(self, values: dict[str, object]) -> Iterable[Problem]:
        for name, kind in self._params.items():
            if name not in values:
                yield Problem(None, f"the parameter {name!r} has no value; give {name}=, of type {name_of(kind)}")
            elif not isinstance(values[name], Trap) and not admits(kind, values[name]):
                found = name_of(type(values[name]))
                yield Problem(None, f"the parameter {name!r} is {found}; give {name_of(kind)}")
        for name in (name for name in values if name not in self._params):
            known = ", ".join(self._params) or "none"
            yield Problem(None, f"there is no parameter {name!r}; the pipeline has {known}")


class Plan(Generic[Out_co]):
    """A frozen pipeline with its values: what a run executes.

    Example:
        >>> from towpath import Pipeline, StepContext, step
        >>> @step("shop.tick/v1", in_doubt="no_effect")
        ... def tick(cx: StepContext) -> None: ...
        >>> p = Pipeline("clock")
        >>> ticked = p.step("tick", tick.of())
        >>> plan = p.build().with_()
        >>> plan
        <plan of clock>
        >>> plan.pipeline
        <frozen pipeline clock: tick>
    """

    def __init__(self, pipeline: FrozenPipeline[Out_co], values: dict[str, Json]) -> None:
        self._pipeline = pipeline
        self._values = values

    @property
    def pipeline(self) -> FrozenPipeline[Out_co]:
        """The frozen pipeline."""
        return self._pipeline

    def values(self) -> dict[str, Json]:
        """The values of the parameters, as they are stored."""
        return copy.deepcopy(self._values)

    def __repr__(self) -> str:
        return f"<plan of {self._pipeline.name}>"
