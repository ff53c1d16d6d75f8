"""Pipelines: what an author writes, and the record that it becomes.

What is wrong with one line raises on that line. What is wrong with the whole (ids, handles of another pipeline) is
told by `build`, all at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from towpath import _record
from towpath._condition import Condition, as_condition
from towpath._handle import Handle, Place, place_of
from towpath._input import store
from towpath._json import slug_problem
from towpath._plan import FrozenPipeline
from towpath._step import Placed, Step, placed
from towpath._types import name_of
from towpath.errors import DefinitionError, PlanErrors, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from towpath._json import Json

T = TypeVar("T")
Out_co = TypeVar("Out_co", covariant=True)


@dataclass(frozen=True, slots=True)
class _Node:
    """One placed step, as it was written."""

    id: str
    step: Placed
    fields: dict[str, Json]
    reads: tuple[Place, ...]
    after: tuple[Place, ...]
    when: Condition | None

    def foreign(self, pipeline: object) -> list[Place]:
        """The places that belong to another pipeline."""
        compared = () if self.when is None else self.when.places
        return [place for place in (*self.reads, *compared, *self.after) if place.owner is not pipeline]


class Pipeline(Generic[Out_co]):
    """A pipeline being written: parameters, steps and what it gives back.

    Example:
        >>> from towpath import Pipeline, StepContext, step
        >>> @step("shop.smoke/v1", in_doubt="no_effect")
        ... def smoke(cx: StepContext, url: str) -> bool:
        ...     return url != ""
        >>> p = Pipeline("checkout")
        >>> url = p.param("url", str)
        >>> smoked = p.step("smoke", smoke.of(url.out))
        >>> p.output(smoked).build()
        <frozen pipeline checkout: smoke>
    """

    def __init__(self: Pipeline[None], name: str) -> None:
        self._name = name
        self._params: list[tuple[str, object]] = []
        self._nodes: list[_Node] = []
        self._output: Place | None = None

    def param(self, name: str, kind: type[T], /) -> Handle[T]:
        """A parameter, whose value a start gives.

        Example:
            >>> from towpath import Pipeline
            >>> Pipeline("checkout").param("commit", str)
            <Handle commit: str>

        Raises:
            DefinitionError: when the name cannot be a keyword of `with_`, or the type is no type.
        """
        if not name.isidentifier():
            raise DefinitionError(f"the parameter {name!r} is no python name; with_({name}=...) could not give it")
        if isinstance(cast("object", kind), str):
            raise DefinitionError(f"the parameter {name!r} has {kind!r} for a type; write the type itself, as in str")
        self._params.append((name, kind))
        return Handle(Place(self, name, kind=kind, is_param=True))

    def step(
        self,
        id: str,  # noqa: A002 - the word of the vocabulary
        step: Step[T],
        /,
        *,
        after: Handle[object] | Sequence[Handle[object]] = (),
        when: Condition | bool | None = None,
    ) -> Handle[T]:
        """Places a step and gives the handle to its output.

        Reading a handle orders steps; `after` orders it behind steps of which it reads nothing, and `when` is a
        condition under which it runs at all.

        Example:
            >>> from towpath import Pipeline, StepContext, step
            >>> @step("shop.count/v1", in_doubt="no_effect")
            ... def count(cx: StepContext, up_to: int) -> int:
            ...     return up_to
            >>> p = Pipeline("sums")
            >>> first = p.step("first", count.of(3))
            >>> p.step("second", count.of(4), after=first, when=first.out > 2)
            <Handle second: int>

        Raises:
            DefinitionError: when what is given is no step, no handle or no condition, or holds what cannot be stored.
        """
        what = placed(step)
        fields, reads = _stored(what, id)
        condition = None if when is None else as_condition(when, f"when= of step {id!r} is")
        self._nodes.append(_Node(id, what, fields, reads, tuple(_after(after, id)), condition))
        return Handle(Place(self, id, kind=what.output))

    def output(self, handle: Handle[T], /) -> Pipeline[T]:
        """Makes the output of a step what a run gives back; the same pipeline, typed so.

        Example:
            >>> from towpath import Pipeline
            >>> p = Pipeline("echo")
            >>> p.output(p.param("word", str))
            <pipeline echo: no steps>

        Raises:
            DefinitionError: when what is given is no handle.
        """
        place = place_of(handle)
        if place is None:
            raise DefinitionError(f"the output of a pipeline is a handle, not {handle!r}; give what p.step(...) gave")
        self._output = place
        return cast("Pipeline[T]", self)

    def build(self) -> FrozenPipeline[Out_co]:
        """The pipeline as data, checked.

        Example:
            >>> from towpath import Pipeline, StepContext, step
            >>> @step("shop.count/v1", in_doubt="no_effect")
            ... def count(cx: StepContext, up_to: int) -> int:
            ...     return up_to
            >>> p = Pipeline("sums")
            >>> counted = p.step("count", count.of(3))
            >>> p.build().record()["steps"][0]["with"]
            {'up_to': {'value': 3}}

        Raises:
            PlanErrors: everything that is wrong with the pipeline, with step ids.
        """
        problems = list(self._problems())
        if problems:
            raise PlanErrors(f"pipeline {self._name!r} cannot be built", problems)
        steps: list[Json] = [_record.step(n.id, n.step, n.fields, n.reads, n.after, n.when) for n in self._nodes]
        record = _record.pipeline(self._name, steps, dict(self._params), self._output)
        return FrozenPipeline(record, dict(self._params), None if self._output is None else self._output.kind)

    def __repr__(self) -> str:
        return f"<pipeline {self._name}: {', '.join(node.id for node in self._nodes) or 'no steps'}>"

    def _problems(self) -> Iterable[Problem]:
        wrong = slug_problem(self._name)
        if wrong is not None:
            yield Problem(None, f"its name {wrong}")
        names = [name for name, _ in self._params]
        for name in _repeated(names):
            yield Problem(None, f"the parameter {name!r} is declared twice; rename one of the two")
        if self._output is not None and self._output.owner is not self:
            yield Problem(None, f"its output {self._output} belongs to another pipeline; give a handle of this one")
        if not self._nodes:
            yield Problem(None, "it has no step; place one with p.step(...)")
        if len(self._nodes) > _record.STEPS_MAX:
            yield Problem(None, f"it has {len(self._nodes)} steps, above {_record.STEPS_MAX}; split it")
        for id in _repeated([node.id for node in self._nodes]):  # noqa: A001 - the word of the vocabulary
            yield Problem(id, "its id is used twice; rename one of the two")
        for node in self._nodes:
            yield from self._problems_of(node)

    def _problems_of(self, node: _Node) -> Iterable[Problem]:
        wrong = slug_problem(node.id)
        if wrong is not None:
            yield Problem(node.id, f"its id {wrong}")
        if node.when is not None and node.when.depth > _record.NESTING_MAX:
            yield Problem(
                node.id, f"its condition nests {node.when.depth} deep, above {_record.NESTING_MAX}; flatten it"
            )
        for place in node.foreign(self):
            yield Problem(node.id, f"{place} belongs to another pipeline; give a handle of this one")


def _stored(what: Placed, id: str) -> tuple[dict[str, Json], tuple[Place, ...]]:  # noqa: A002
    """The fields of a step as they are stored, and what they read."""
    if what.stored is not None:
        return what.stored
    stored = {name: store(value, f"{name} of step {id!r}") for name, value in what.fields.items()}
    reads = tuple(place for _, places in stored.values() for place in places)
    return {name: record for name, (record, _) in stored.items()}, reads


def _after(after: Handle[object] | Sequence[Handle[object]], id: str) -> Iterable[Place]:  # noqa: A002
    given: object = after
    for handle in given if isinstance(given, list | tuple) else (given,):
        place = place_of(handle)
        if not isinstance(handle, Handle) or place is None:
            raise DefinitionError(
                f"after= of step {id!r} is {name_of(type(cast('object', handle)))} {handle!r}; "
                "give the handle that p.step(...) gave, or a list of them"
            )
        if place.is_param:
            raise DefinitionError(
                f"after= of step {id!r} is the parameter {place.source!r}, known before any step; drop it"
            )
        yield place


def _repeated(names: list[str]) -> Iterable[str]:
    return dict.fromkeys(name for index, name in enumerate(names) if name in names[:index])
