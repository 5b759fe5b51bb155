"""What a chart may not compute itself: asked through the evaluator, kept in the record, and never asked by a replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.chart import Chart
from machine.chart.events import event_from_json
from machine.chart.snapshot import Record, Snapshot
from machine.errors import UsageError
from machine.expressions.question import Answer, Question
from machine.plan.model import Plan
from machine.runtime.evaluator import Evaluator

XML = "<order><id>7</id><state>open</state></order>"
ORDER = {"context": "$response.body", "selector": "/order/id", "type": "xpath"}
STEPS: list[dict[str, Any]] = [
    {
        "stepId": "read",
        "operationId": "getThing",
        "successCriteria": [
            {"context": "$statusCode", "condition": "^2\\d\\d$", "type": "regex"},
            {"context": "$response.body", "condition": "/order/state = '{$inputs.state}'", "type": "xpath"},
        ],
        "outputs": {"order": ORDER},
    },
    {
        "stepId": "send",
        "operationId": "putThing",
        "requestBody": {
            "contentType": "text/xml",
            "payload": "<order><id/></order>",
            "replacements": [{"target": "/order/id", "value": "$steps.read.outputs.order"}],
        },
        "outputs": {"sent": "$request.body"},
    },
]


@pytest.fixture(scope="module")
def plan(built: Callable[..., Plan]) -> Plan:
    made = built(
        STEPS,
        version="1.1.0",
        inputs={"state": {}},
        workflow={
            "outputs": {
                "sent": "$steps.send.outputs.sent",
                "again": {"context": "$steps.send.outputs.sent", "selector": "/order/id", "type": "xpath"},
            }
        },
    )
    return Plan.from_json(json.loads(made.text()))


def replayed(plan: Plan, records: list[Record]) -> list[tuple[str, str]]:
    """The snapshots and records of a history, computed again by a chart that has nobody to ask."""
    chart = Chart(plan)
    snapshot = chart.begin()
    made = []
    for record in records:
        stored = Record.from_json(json.loads(json.dumps(record.to_json())))
        snapshot, _, again = chart.advance(
            Snapshot.from_json(json.loads(snapshot.text())), event_from_json(stored.event)
        )
        made.append((snapshot.text(), json.dumps(again.to_json())))
    return made


def test_a_run_with_patterns_and_xpaths_replays_to_the_same_bytes_and_asks_nobody(
    drive: Any, plan: Plan, evaluator: Evaluator
) -> None:
    run = drive(plan, {"state": "open"}, evaluate=evaluator)
    run.reply(200, XML, form="text")
    body = run.pending.request.body
    run.reply(200, {"ok": True})
    snapshots = replayed(plan, run.records)

    assert body == "<order><id>7</id></order>"
    assert run.reason == "completed"
    assert run.chart.outputs(run.snapshot)[0] == {"sent": body, "again": "7"}
    assert snapshots[-1] == (run.snapshot.text(), json.dumps(run.records[-1].to_json()))
    assert [len(record.event.get("answers", {})) for record in run.records] == [0, 4, 1]


def test_each_question_of_an_event_is_asked_once(drive: Any, plan: Plan, evaluator: Evaluator) -> None:
    seen: list[str] = []

    def ask(question: Question) -> Answer:
        seen.append(question.key)
        return evaluator(question)

    run = drive(plan, {"state": "closed"}, evaluate=ask)
    run.reply(200, XML, form="text")

    assert run.reason == "broke"
    assert "was false of" in run.message
    assert len(seen) == len(set(seen)) == 3


def test_an_answer_that_was_not_to_be_had_is_recorded_as_that(drive: Any, plan: Plan) -> None:
    run = drive(plan, {"state": "open"}, evaluate=lambda _: Answer(problem="it took more than 2 s of computing"))
    run.reply(200, XML, form="text")

    assert run.reason == "broke"
    assert "cannot be decided: it took more than 2 s of computing" in run.message
    assert replayed(plan, run.records)[-1][0] == run.snapshot.text()


def test_a_chart_with_nobody_to_ask_says_so_before_it_moves(drive: Any, plan: Plan) -> None:
    run = drive(plan, {"state": "open"})
    before = run.snapshot
    with pytest.raises(UsageError) as refused:
        run.reply(200, XML, form="text")

    assert refused.value.code == "AZM-C003"
    assert run.snapshot == before


def test_a_run_without_such_conditions_records_no_answers(drive: Any, user_plan: Plan, user_inputs: Any) -> None:
    run = drive(user_plan, user_inputs).endpoint("pending", 201)

    assert all("answers" not in record.event for record in run.records)


def test_what_a_document_says_of_itself_can_be_read(drive: Any, built: Callable[..., Plan]) -> None:
    outputs = {
        "url": "$sourceDescriptions.things.url",
        "type": "$sourceDescriptions.things.type",
        "method": "$method",
        "own": "$self",
    }
    run = drive(built([{"stepId": "a", "operationId": "getThing", "outputs": outputs}], version="1.1.0"))
    run.reply(200, {})

    assert run.records[-1].outputs == {"url": "things.json", "type": "openapi", "method": "GET", "own": None}
