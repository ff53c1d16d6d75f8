"""Frozen pipelines and plans: data, and nothing that can change under a reader."""

from __future__ import annotations

import copy
import json
import os
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from towpath import _native
from towpath._bridge import dumps
from towpath._fault import error_of
from towpath._json import encode
from towpath._schema import admits
from towpath._traps import Trap
from towpath._types import UNKNOWN, name_of
from towpath.errors import DefinitionError, PlanErrors, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

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

    def __init__(self, record: dict[str, Json], params: dict[str, object], output: object = UNKNOWN) -> None:
        self._record = record
        self._params = params
        self._output = output

    @property
    def name(self) -> str:
        """The name of the pipeline."""
        return str(self._record["pipeline"])

    @property
    def output_type(self) -> object:
        """What a run of it gives back, as far as that is known at run time."""
        return self._output

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
    """A frozen pipeline with its values: what a run executes. It is checked and hashed by Rust when that is asked for.

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
        >>> plan.hash == p.build().with_().hash
        True
        >>> print(plan.mermaid().splitlines()[0])
        flowchart TD
    """

    def __init__(self, pipeline: FrozenPipeline[Out_co], values: dict[str, Json]) -> None:
        self._pipeline = pipeline
        self._values = values
        self._made: _native.Plan | None = None

    @staticmethod
    def load(path: str | PathLike[str], /) -> Plan[Any]:
        """Reads a plan from a file that `save` wrote, here or in Rust. What its runs give is plain data.

        Raises:
            PlanFileError: when it cannot be read, was changed after it was saved, or cannot be driven by this release.
        """
        try:
            made = _native.load(os.fspath(path))
        except _native.Fault as fault:
            raise error_of(fault.args[0]) from None
        record, values = json.loads(made.record()), json.loads(made.values())
        plan: Plan[Any] = Plan(FrozenPipeline(record, dict.fromkeys(record.get("params", {}), UNKNOWN)), values)
        plan._made = made
        return plan

    @property
    def pipeline(self) -> FrozenPipeline[Out_co]:
        """The frozen pipeline."""
        return self._pipeline

    @property
    def hash(self) -> str:
        """Its hash, of the pipeline and the values: what an approval is bound to."""
        return self.native().hash

    @property
    def pipeline_hash(self) -> str:
        """The hash of its pipeline: of what was written, without values."""
        return self.native().pipeline_hash

    def values(self) -> dict[str, Json]:
        """The values of the parameters, as they are stored."""
        return copy.deepcopy(self._values)

    def tree(self) -> str:
        """It as a tree, for a terminal."""
        return self.native().picture("tree")

    def mermaid(self) -> str:
        """It as a flowchart in Mermaid's language."""
        return self.native().picture("mermaid")

    def dot(self) -> str:
        """It as a graph in Graphviz' language."""
        return self.native().picture("dot")

    def svg(self) -> str:
        """It as a picture."""
        return self.native().picture("svg")

    def diff(self, other: Plan[Any], /) -> str:
        """What differs in another plan, for people; empty when nothing does."""
        return _native.diff(self.native(), other.native())

    def save(self, path: str | PathLike[str], /) -> None:
        """Writes it to a file, to be reviewed, approved and started elsewhere. A file that is there is replaced.

        Raises:
            PlanFileError: when the file cannot be written.
        """
        try:
            self.native().save(os.fspath(path))
        except _native.Fault as fault:
            raise error_of(fault.args[0]) from None

    def native(self) -> _native.Plan:
        """The plan as Rust holds it.

        Raises:
            PlanErrors: when Rust finds something wrong with it that was not seen here.
        """
        if self._made is None:
            record, values = self._pipeline.record(), self._values
            try:
                self._made = _native.Plan(dumps(record), dumps(values))
            except _native.Fault as fault:
                raise error_of(fault.args[0]) from None
        return self._made

    def _repr_html_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"<plan of {self._pipeline.name}>"
