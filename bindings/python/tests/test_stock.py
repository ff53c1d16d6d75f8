"""The stock steps: what Python stores of them is what Rust stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from towpath import (
    Approval,
    Command,
    DefinitionError,
    HttpCall,
    HttpCheck,
    HttpRequest,
    Notify,
    Pipeline,
    Secret,
    Succeeded,
    Wait,
    _native,
    blocking,
    text,
)
from towpath.stock import ExitCodes, HttpProbe, WaitEnd

if TYPE_CHECKING:
    from pathlib import Path

    from towpath import Step

P = Pipeline("stock")
HOST = P.param("host", str)
LONG = P.param("long", timedelta)
URL = text("https://{}/health", HOST)
ORDER = HttpRequest(
    "POST", URL, headers={"X-Who": HOST, "X-Token": Secret("token")}, json={"count": 3}, fields={"host": HOST}
)

STEPS: dict[str, Step[Any]] = {
    "command": Command(["make", "test"]),
    "command with everything": Command(
        ["kubectl", "apply", HOST, text("-f{}", HOST)],
        env={"B": HOST, "A": Secret("token"), "C": "c"},
        clear_env=True,
        folder=HOST,
        timeout=timedelta(minutes=5),
        grace=1.5,
        output_limit=1_024,
        exit_codes=ExitCodes(ok={0, 3}, rejected={4}, unknown={5}, permanent={75}, transient=set()),
        observe=["kubectl", "get", HOST],
        undo=["kubectl", "delete", HOST],
        before=["kubectl", "get", "-o", "yaml"],
        preview=["kubectl", "diff"],
    ),
    "idempotent command": Command(["true"], effect="idempotent"),
    "script": Command.shell('echo "$1"', HOST, effect="no_effect", undo=["true"]),
    "approval": Approval(HOST),
    "approval with everything": Approval(
        "v1",
        quorum=2,
        actors=["user:eve"],
        teams={"sre": ["user:bob", "user:ann"], "dev": ["user:joe"]},
        not_from=[HOST, "user:ann"],
        showing=HOST,
        expires=8 * 3_600,
        expired="reject",
    ),
    "approval that expires by a handle": Approval(HOST, expires=LONG),
    "wait for a time": Wait(time=1.5),
    "wait for a time by a handle": Wait(time=LONG),
    "wait until": Wait(until=datetime(2026, 11, 29, 18, tzinfo=UTC)),
    "wait for a signal": Wait(signal="go"),
    "wait for a signal within": Wait(signal=HOST, within=60, or_go_on=True),
    "check": HttpCheck(URL),
    "check with everything": HttpCheck(
        Secret("address"),
        method="HEAD",
        headers={"X-Who": HOST},
        bearer=Secret("token"),
        status=[204, 200, 200],
        contains=["ok", HOST],
        equals={"/status": "ok", "/version": HOST},
        successes=3,
        timeout=1,
        every=0.5,
        until=60,
        body_limit=10,
    ),
    "call": HttpCall(HttpRequest("GET", "https://a.example")),
    "call that can be repeated": HttpCall(HttpRequest("PUT", "https://a.example", text=HOST, content_type="text/x")),
    "call with everything": HttpCall(
        ORDER,
        also_ok=[409],
        key_header="X-Key",
        keep_headers=["Location"],
        timeout=5,
        body_limit=9,
        observe=HttpProbe(HttpRequest("GET", "https://a.example/{key}", bearer=Secret("token")), {"/status": "placed"}),
        undo=HttpRequest("DELETE", "https://a.example/{output/body/id}"),
    ),
    "call that its author knows": HttpCall(ORDER, effect="idempotent"),
    "notice": Notify(text("{} is live", HOST)),
    "notice to a webhook": Notify("done", webhook=HttpRequest.to_secret("POST", Secret("hook")), required=True),
}


def stored(placed: Step[Any]) -> dict[str, Any]:
    """What a pipeline stores of a step, as plain data."""
    P._nodes.clear()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    P.step("it", placed)
    step = P.build().record()["steps"]
    assert isinstance(step, list)
    return cast("dict[str, Any]", step[0])


@pytest.mark.parametrize("name", STEPS)
def test_rust_reads_what_python_stores_and_would_write_the_same(name: str) -> None:
    told = stored(STEPS[name])
    again = _native.encoded(told["kind"], json.dumps(told["with"]))
    assert _native.canonical(again) == _native.canonical(json.dumps(told["with"]))


@pytest.mark.parametrize("name", STEPS)
def test_a_plan_with_it_is_one_for_rust(name: str) -> None:
    P._nodes.clear()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    P.step("it", STEPS[name])
    assert P.build().with_(host="a.example", long=timedelta(seconds=3)).hash


@pytest.mark.parametrize("name", STEPS)
def test_what_a_kind_declares_is_what_rust_declares(name: str) -> None:
    told = stored(STEPS[name])
    if "param" in json.dumps(told["with"]):
        # A record that stands alone has no parameters.
        told["with"] = json.loads(
            json.dumps(told["with"])
            .replace('{"param": {"name": "host"}}', '{"value": "a"}')
            .replace('{"param": {"name": "long"}}', '{"value": {"secs": 1, "nanos": 0}}')
        )
    alone = json.loads(_native.alone(told["kind"], json.dumps(told["with"])))
    for part in ("kind", "in_doubt", "methods", "undo", "best_effort", "retry", "undo_retry", "observe_retry"):
        assert alone.get(part) == told.get(part), part


LATER = {"towpath.window/v1": "it stands in an environment's schedule, which Python cannot write yet"}


def test_every_stock_kind_is_there_or_has_a_reason() -> None:
    kinds = {kind["kind"] for kind in json.loads(_native.kinds())}
    ours = {stored(placed)["kind"] for placed in STEPS.values()}
    assert kinds - ours == set(LATER)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Command("make test"), "a list of a program and its arguments"),
        (lambda: Command(["true"], effect="no_effect", observe=["false"]), "leave out effect='no_effect'"),
        (Wait, "give time=, until= or signal="),
        (lambda: Wait(time=1, signal="go"), "give time=, until= or signal="),
        (lambda: Wait(time=1, within=3), "are for a signal"),
        (lambda: Wait(until=datetime(2026, 1, 1)), "has no time zone"),  # noqa: DTZ001
        (lambda: Wait(time=-1), "below zero"),
        (lambda: HttpCall(HttpRequest("POST", "x", text="a", json=1)), "one body"),
        (lambda: HttpCall(ORDER, effect="idempotent", observe=HttpProbe(ORDER)), "leave out effect"),
        (lambda: HttpCheck("x", every=-1), "every is -1; give seconds"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_placed(make: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        Pipeline("stock").step("it", make())


def test_stock_steps_run_beside_those_of_python(tmp_path: Path) -> None:
    p = Pipeline("stock")
    said = p.step("say", Command(["echo", p.param("word", str)], effect="no_effect", folder=str(tmp_path)))
    waited = p.step("wait", Wait(signal="go", within=10), after=said)
    p.step("tell", Notify(text("it said {}", said.out.stdout)), after=waited)
    with blocking.Engine.open("memory:", steps=[]) as engine:
        run = engine.run(p.output(waited).build().with_(word="hello"), key="it")
        run.signal("go", {"a": 1})
        assert run.settled() == Succeeded(WaitEnd(came=True, value={"a": 1}))
        done = [event for event in run.events() if event.kind == "step-done" and event.step == "say"]
        assert "hello" in str(done)
