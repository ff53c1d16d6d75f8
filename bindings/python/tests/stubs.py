"""What the run-time tests place: a few outputs, and steps that give them."""

from __future__ import annotations

from dataclasses import dataclass

from towpath import Input, Step, StepContext, step


@dataclass(frozen=True)
class Image:
    digest: str
    layers: list[str]

    @property
    def short(self) -> str:
        return self.digest[:12]


@dataclass(frozen=True)
class Report:
    image: Image
    critical: int
    clean: bool


@dataclass(frozen=True)
class Build(Step[Image], kind="stub.build/v1", in_doubt="idempotent"):
    context: str
    commit: Input[str]


@dataclass(frozen=True)
class Scan(Step[Report], kind="stub.scan/v1", in_doubt="no_effect"):
    image: Input[Image]
    fail_on: Input[str] = "high"


@step("stub.tell/v1", in_doubt="ask_operator")
async def tell(cx: StepContext, what: str, times: int = 1) -> str:
    """Tells somebody."""
    return what * times


@step("stub.count/v1", in_doubt="no_effect")
def count(cx: StepContext, up_to: int) -> int:
    return up_to
