"""A run whose document was edited goes on with it only where it would have done the same there until now."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.chart import Chart
from machine.chart.edit import carried_over, contradictions, edit_of, in_terms_of_now
from machine.chart.events import Edit, Reopened, event_from_json
from machine.chart.history import recompute
from machine.errors import IdentityError
from machine.plan.compare import compare
from machine.plan.model import Plan


def make(**fields: Any) -> dict[str, Any]:
    body = {"contentType": "application/json", "payload": {"kind": "a"}}
    outputs = {"id": "$response.body#/id"}
    return {"stepId": "make", "operationId": "makeThing", "requestBody": body, "outputs": outputs, **fields}


def action(name: str, kind: str, state: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "criteria": [{"condition": f"$response.body#/s == '{state}'"}], **fields}


BUSY = action("busy", "goto", "busy", stepId="look")
DONE = action("done", "end", "ok")


def look(*actions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"stepId": "look", "operationId": "getThing", "onSuccess": list(actions or (BUSY, DONE)), **fields}


AHEAD = {"stepId": "after", "operationId": "listThings"}


@pytest.fixture
def polling(drive: Any, built: Callable[..., Plan]) -> Any:
    """A run that created and looks again: made, busy, busy."""
    return drive(built([make(), look()])).reply(201, {"id": 1}).reply(200, {"s": "busy"}).reply(200, {"s": "busy"})


@pytest.fixture
def stuck(drive: Any, built: Callable[..., Plan]) -> Any:
    """A run that ended because nothing its document says applied."""
    return drive(built([make(), look()])).reply(201, {"id": 1}).reply(200, {"s": "busy"}).reply(200, {"s": "odd"})


def against(run: Any, after: Plan) -> list[str]:
    """Why that run may not go on with that plan."""
    start = run.chart.begin()
    snapshots = [start, *(one.snapshot for one in recompute(start, run.records, lambda _: run.chart))][:-1]
    chart = Chart(after)
    found = contradictions(run.records, snapshots, run.plan, after, chart.advance, compare(run.plan, after))
    return [str(one) for one in found]


MAY = [
    pytest.param([make(), look(BUSY, DONE, action("odd", "end", "odd"))], id="an-action-behind"),
    pytest.param([make(), look(action("odd", "end", "odd"), BUSY, DONE)], id="an-action-that-never-applied"),
    pytest.param([make(), look(BUSY, action("done", "end", "fine"))], id="a-guard-that-never-held"),
    pytest.param([make(), look(**{"x-machine": {"poll": {"interval": "9s"}}})], id="another-pace"),
    pytest.param([make(), look(), AHEAD], id="a-step-ahead"),
    pytest.param([make(), look(DONE, BUSY)], id="another-order-that-made-no-difference"),
]


@pytest.mark.parametrize("steps", MAY)
def test_what_lies_ahead_may_change(polling: Any, built: Callable[..., Plan], steps: Any) -> None:
    assert against(polling, built(steps)) == []


MAY_NOT = [
    pytest.param(
        [make(requestBody={"contentType": "application/json", "payload": {"kind": "b"}}), look()],
        "make: request 'body/kind': a becomes b",
        id="what-was-sent",
    ),
    pytest.param([make(operationId="makePart"), look()], "make: request 'operation/", id="another-call"),
    pytest.param(
        [make(**{"x-machine": {"effect": {"onDoubt": "fail"}}}), look()], "make: effect 'on_doubt'", id="its-policy"
    ),
    pytest.param([make(outputs={"name": "$response.body#/id"}), look()], "make: outputs", id="its-outputs"),
    pytest.param([AHEAD, make(), look()], "cannot happen", id="the-first-step"),
    pytest.param([make(), {**look(), "stepId": "watch", "onSuccess": [DONE]}], "state look is gone", id="gone"),
    pytest.param([make(**{"x-machine": {"state": "begin"}}), look()], "state make: ", id="another-name"),
    pytest.param(
        [make(), look(action("stop", "end", "busy"), BUSY, DONE)],
        "look: it took 'busy' to polling and would take 'stop' to stop (record 3)",
        id="an-action-that-would-have-applied",
    ),
    pytest.param(
        [make(), look(action("busy", "goto", "bsy", stepId="look"), DONE)],
        "look: it took 'busy' to polling and would take 'unmatched' to failed (record 3)",
        id="a-guard-that-held",
    ),
    pytest.param([make(), look(successCriteria=[{"condition": "$statusCode == 202"}])], "would take", id="a-success"),
]


@pytest.mark.parametrize(("steps", "why"), MAY_NOT)
def test_what_was_done_may_not(polling: Any, built: Callable[..., Plan], steps: Any, why: str) -> None:
    found = against(polling, built(steps))

    assert found
    assert why in found[0]


def test_the_stop_a_run_was_left_in_may_go_otherwise_now(stuck: Any, built: Callable[..., Plan]) -> None:
    after = built([make(), look(BUSY, DONE, action("odd", "end", "odd"))])

    assert stuck.reason == "unmatched"
    assert against(stuck, after) == []


def edited(run: Any, after: Plan, at: float = 5000.0) -> Any:
    """The run gone on with the plan; its drive is of that plan from then on."""
    difference = compare(run.plan, after)
    edit = Edit(
        before=run.chart.plan_sha256,
        after=after.sha256,
        states=difference.states,
        transitions=difference.transitions,
    )
    run.plan, run.chart = after, Chart(after)
    run.happen(Reopened(at=at, edit=edit, by="a person"))
    return run


def test_a_run_goes_on_with_the_edited_plan(stuck: Any, built: Callable[..., Plan]) -> None:
    run = edited(stuck, built([make(), look(BUSY, DONE, action("odd", "end", "odd"))]))
    run.reply(200, {"s": "odd"})

    assert (run.state, run.reason) == ("odd", "ended")
    assert run.snapshot.plan_sha256 == run.plan.sha256
    assert run.snapshot.ledger[0].outcome == "applied"


def test_a_history_with_edits_recomputes_to_the_same_bytes(stuck: Any, built: Callable[..., Plan]) -> None:
    first, start = stuck.chart, stuck.chart.begin()
    run = edited(stuck, built([make(), look(BUSY, DONE, action("odd", "goto", "odd", stepId="look"))]))
    second = run.reply(200, {"s": "odd"}).chart
    run = edited(
        run, built([make(), look(BUSY, action("ready", "end", "ok"), action("odd", "goto", "odd", stepId="look"))])
    )
    run.reply(200, {"s": "ok"})
    charts = {one.plan_sha256: one for one in (first, second, run.chart)}
    again = list(recompute(start, run.records, charts.__getitem__))

    assert len(charts) == 3
    assert [json.dumps(one.record.to_json()) for one in again] == [json.dumps(one.to_json()) for one in run.records]
    assert again[-1].snapshot.text() == run.snapshot.text()
    assert run.state == "ready"


def test_an_edit_survives_its_record(stuck: Any, built: Callable[..., Plan]) -> None:
    run = edited(stuck, built([make(), look(), AHEAD]))
    event = event_from_json(json.loads(json.dumps(run.records[-1].event)))

    assert isinstance(event, Reopened)
    assert event.edit == edit_of(run.records[-1])
    assert [edit_of(one) for one in run.records[:-1]] == [None] * 4


def test_earlier_records_are_told_in_the_terms_of_now(stuck: Any, built: Callable[..., Plan]) -> None:
    before = stuck.plan
    names = [(before.state(one.source).name, before.state(one.target).name) for one in stuck.records]
    swapped = [make(), AHEAD, look(BUSY, DONE, action("odd", "goto", "odd", stepId="look"))]
    # Rows move: what was the third state is another one now.
    run = edited(stuck, replace(built(swapped), title="moved"))
    told = in_terms_of_now(run.records)

    assert [(run.plan.state(one.source).name, run.plan.state(one.target).name) for one in told[:4]] == names
    assert told[0].source != run.records[0].source or told[2].source != run.records[2].source
    assert {one.transition for one in told} <= {one.id for one in run.plan.transitions}
    assert in_terms_of_now(stuck.records[:4]) == stuck.records[:4]


def test_what_is_to_be_retried_by_a_transition_that_is_gone_is_forgotten(stuck: Any) -> None:
    frame = replace(stuck.snapshot.frame, retries={"t_0": 1, "t_gone": 2})
    states = {state.id: state.id for state in stuck.plan.states}
    edit = Edit(before=stuck.plan.sha256, after="b", states=states, transitions={"t_0": "t_9"})

    assert carried_over(stuck.snapshot.with_frame(frame), edit).frame.retries == {"t_9": 1}


@pytest.mark.parametrize("change", [{"before": "other"}, {"states": {}}], ids=["another-plan", "a-state-is-gone"])
def test_a_snapshot_is_not_carried_where_it_cannot_be(stuck: Any, change: dict[str, Any]) -> None:
    states = {state.id: state.id for state in stuck.plan.states}
    edit = Edit(**{"before": stuck.plan.sha256, "after": "b", "states": states, **change})

    with pytest.raises(IdentityError):
        carried_over(stuck.snapshot, edit)
