from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from statemachine import StateChart

from machine.chart import chart as module
from machine.chart.chart import Chart, compile_class
from machine.chart.effects import Call, Finish
from machine.chart.events import Cancelled, Reopened, Replied, Reply, Started
from machine.chart.settings import Settings
from machine.errors import BugError, IdentityError, UsageError
from machine.plan.model import Guard, Plan
from machine.values import SecretRef, SecretText, redact

Begin = Callable[..., Any]


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def action(name: str, kind: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    criteria = {"criteria": [{"condition": one} for one in conditions]} if conditions else {}
    return {"name": name, "type": kind, **criteria, **fields}


BUSY = action("more", "goto", "$response.body#/s == 'busy'", stepId="p")
POLL = step("p", onSuccess=[BUSY, action("done", "end", "$response.body#/s == 'ok'")])
"""A polling step that waits while busy and ends when ok."""


def created(run: Any) -> Any:
    return run.endpoint("pending", 201)


def stored(status: int = 200) -> Reply:
    return Reply(status=status, form="json", body={"name": "my-endpoint", "status": {"state": "pending"}})


# -- the happy path ----------------------------------------------------------------------------------------------------


def test_a_run_goes_from_its_create_over_polling_to_ready(deploy: Begin) -> None:
    run = deploy()

    assert (run.state, run.phase, run.outcomes) == ("createEndpoint", "created", ["unknown"])
    assert (run.pending.step, run.pending.kind, run.pending.intended, run.pending.delay) == (
        "createEndpoint",
        "create",
        True,
        0.0,
    )
    created(run)

    assert (run.state, run.outcomes, run.pending.kind, run.pending.delay) == ("created", ["applied"], "safe", 0.0)
    assert run.snapshot.ledger[0].identity == {"endpointName": "my-endpoint", "initialState": "pending"}
    run.endpoint("initializing")

    assert (run.state, run.phase, run.pending.delay) == ("polling", "polling", 5.0)
    run.endpoint("pending")

    assert (run.state, run.pending.delay) == ("polling", 7.5)
    run.reply(200, {"name": "my-endpoint", "status": {"state": "running", "url": "https://e.example"}})

    assert (run.state, run.phase, run.reason, run.message) == ("ready", "ready", "ended", "reached ready")
    assert run.snapshot.pending is None
    assert run.snapshot.calls == 4
    assert run.chart.outputs(run.snapshot) == (
        {"endpointName": "my-endpoint", "state": "running", "inferenceUrl": "https://e.example"},
        (),
    )
    assert [one.kind for one in run.records] == ["run.started", *["call.replied"] * 4]
    assert [one.seq for one in run.records] == [1, 2, 3, 4, 5]


def test_the_requests_are_built_from_inputs_and_outputs_with_secrets_left_out(deploy: Begin) -> None:
    run = deploy()
    request = run.pending.request

    assert (request.method, request.target) == ("POST", "/endpoint/acme")
    assert dict(request.headers)["Authorization"] == SecretText(("Bearer ", SecretRef("hfToken")))
    assert request.body["compute"] == {"accelerator": "cpu", "scaling": {"minReplica": 1, "maxReplica": 1}}
    assert run.snapshot.ledger[0].request == "POST /endpoint/acme"
    created(run)

    assert run.pending.request.target == "/endpoint/acme/my-endpoint"


def test_outputs_that_are_not_known_yet_are_null_and_listed(deploy: Begin) -> None:
    run = deploy()

    assert run.chart.outputs(run.snapshot) == (
        {"endpointName": None, "state": None, "inferenceUrl": None},
        ("endpointName", "state", "inferenceUrl"),
    )


def test_a_snapshot_before_the_start_is_in_the_first_state(user_plan: Plan) -> None:
    chart = Chart(user_plan)
    snapshot = chart.begin()

    assert (snapshot.seq, snapshot.pending, snapshot.stopped, snapshot.started) == (0, None, None, None)
    assert (chart.state(snapshot).name, chart.phase(snapshot)) == ("createEndpoint", "starting")


# -- cancelled and taken up again --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["createEndpoint", "created", "polling", "in_doubt"])
def test_cancelling_keeps_the_state_and_what_is_known(deploy: Begin, state: str) -> None:
    run = deploy()
    if state == "in_doubt":
        run.fail()
    elif state != "createEndpoint":
        created(run)
    if state == "polling":
        run.endpoint("pending")
    phase, outcomes = run.phase, run.outcomes
    run.cancel()

    assert (run.state, run.phase, run.outcomes) == (state, phase, outcomes)
    assert (run.reason, run.message, run.snapshot.stopped.exit_code) == ("cancelled", f"cancelled in {state}", 15)
    run.reopen()

    assert run.state == {"createEndpoint": "in_doubt"}.get(state, state)
    assert run.reason == ("in_doubt" if state in ("createEndpoint", "in_doubt") else "")


def test_a_call_that_is_known_not_to_have_left_is_not_in_doubt(drive: Begin, built: Callable[..., Plan]) -> None:
    again = action("again", "retry", retryAfter=60)
    plan = built([step("m", "makeThing", onFailure=[again])])
    run = drive(plan).reply(409)
    assert not run.pending.intended
    run.happen(Reopened(at=1002.0, changes={"deadline": 900.0}))

    assert (run.state, run.reason, run.outcomes) == ("m", "", ["not_applied", "not_applied", "unknown"])
    run = drive(plan, settings=Settings(deadline=100.0)).reply(409)
    run.happen(Reopened(at=5000.0))

    assert (run.state, run.reason, run.outcomes) == ("m", "deadline", ["not_applied", "not_applied"])


@pytest.mark.parametrize(
    "happening",
    [
        lambda run: run.reply(200, {"s": "busy"}),
        lambda run: run.fail(),
        lambda run: run.cancel(),
        lambda run: run.happen(Started(at=9.0)),
    ],
    ids=["replied", "call_failed", "cancelled", "started"],
)
def test_nothing_but_taking_it_up_moves_a_run_that_ended(
    drive: Begin, built: Callable[..., Plan], happening: Callable[[Any], Any]
) -> None:
    run = drive(built([POLL])).reply(200, {"s": "ok"})
    before = run.snapshot
    with pytest.raises(UsageError) as refused:
        happening(run)

    assert refused.value.code == "AZM-C002"
    assert run.snapshot == before
    assert run.reopen().state == "p", "the machine still works"


@pytest.mark.parametrize(
    ("prepare", "event"),
    [
        pytest.param(lambda run: run.fail(), Replied(at=2.0, reply=Reply(status=201)), id="an-answer-in-doubt"),
        pytest.param(lambda run: created(run), Started(at=2.0), id="starting-twice"),
    ],
)
def test_what_cannot_happen_in_a_state_is_refused_and_the_machine_goes_on(
    deploy: Begin, prepare: Callable[[Any], Any], event: Any
) -> None:
    run = deploy()
    prepare(run)
    before = run.snapshot
    with pytest.raises(UsageError) as refused:
        run.happen(event)

    assert refused.value.code == "AZM-C002"
    assert repr(run.state) in refused.value.message
    assert run.snapshot == before
    run.happen(Cancelled(at=3.0))
    assert run.reason == "cancelled"


def test_a_setting_nobody_knows_is_refused_and_nothing_moved(deploy: Begin) -> None:
    run = created(deploy()).cancel()
    with pytest.raises(UsageError) as refused:
        run.reopen(speed=5)

    assert refused.value.code == "AZM-U010"
    assert run.reason == "cancelled"


def test_a_snapshot_of_another_plan_is_refused(deploy: Begin, shipped_plan: Plan) -> None:
    with pytest.raises(IdentityError) as refused:
        Chart(shipped_plan).advance(deploy().snapshot, Cancelled(at=1.0))

    assert refused.value.code == "AZM-C001"


def test_advancing_changes_nothing_it_was_given(deploy: Begin) -> None:
    run = created(deploy())
    before, text = run.snapshot, run.snapshot.text()
    event = Replied(at=1010.0, reply=Reply(status=200, form="json", body={"status": {"state": "pending"}}))
    one, other = run.chart.advance(before, event), run.chart.advance(before, event)

    assert before.text() == text
    assert one.snapshot.text() == other.snapshot.text()
    assert one.record == other.record


def test_one_chart_serves_many_runs_in_turn(deploy: Begin, drive: Begin, user_inputs: dict[str, Any]) -> None:
    first = deploy()
    second = drive(first.plan, user_inputs, chart=first.chart)
    created(first)
    second.fail()
    first.endpoint("pending")
    third = created(drive(first.plan, user_inputs, chart=first.chart)).endpoint("running")
    first.endpoint("running")

    assert (first.state, second.state, third.state) == ("ready", "in_doubt", "ready")


# -- the record --------------------------------------------------------------------------------------------------------


def test_a_record_says_what_happened_and_why_guard_by_guard(deploy: Begin) -> None:
    run = created(deploy()).endpoint("running")
    record = run.records[-1]
    names = {one.id: one.name for one in run.plan.states}

    assert (names[record.source], names[record.target], record.kind) == ("created", "ready", "call.replied")
    assert [(one.label, one.truth) for one in record.guards] == [("stillStarting", False), ("ready", True)]
    assert "'running'" in record.guards[0].why
    assert record.outputs == {"state": "running", "inferenceUrl": None}
    assert record.effects == (Finish(reason="ended"),)
    assert isinstance(run.records[0].effects[0], Call)
    assert record.guards[-1].transition == record.transition


def test_a_record_of_no_answer_has_no_outputs(deploy: Begin) -> None:
    run = created(deploy()).fail()

    assert run.records[-1].outputs == {}
    assert run.cancel().records[-1].outputs == {}


# -- the library moves it ----------------------------------------------------------------------------------------------


class Heard:
    """A listener that writes down every transition the library makes."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, str, str]] = []

    def after_transition(self, event: Any, source: Any, target: Any) -> None:
        self.moves.append((str(event), source.id, target.id))


def test_every_recorded_move_was_made_by_the_library(
    drive: Begin, user_plan: Plan, user_inputs: dict[str, Any]
) -> None:
    heard = Heard()
    run = created(drive(user_plan, user_inputs, listeners=[heard]))
    run.reply(503).endpoint("pending").cancel().reopen().endpoint("paused").reopen().endpoint("running")
    again = drive(user_plan, user_inputs, chart=run.chart)
    again.fail().reopen().resolve("not_sent").reply(401).reopen().reply(200).resolve("accept", reply=stored())
    records = [*run.records, *again.records]

    assert heard.moves == [(f"e_{move.on}", move.source, move.target) for one in records for move in one.moves]
    assert {one.kind for one in records} == {
        "run.started",
        "call.replied",
        "call.failed",
        "doubt.resolved",
        "run.reopened",
        "run.cancelled",
    }


def test_every_move_of_every_workflow_was_made_by_its_own_machine(drive: Begin, composed: Callable[..., Plan]) -> None:
    heard = Heard()
    login = {"workflowId": "login", "steps": [step("log", "listThings")]}
    child = {"workflowId": "child", "dependsOn": ["login"], "steps": [step("c", "listThings")]}
    over = [action("over", "goto", "$statusCode == 202", workflowId="login"), action("on", "end")]
    runs = {"stepId": "r", "workflowId": "child", "onSuccess": over, "onFailure": [action("fix", "retry", stepId="s")]}
    plan = composed({"workflowId": "root", "steps": [step("s", "listThings"), runs]}, child, login)
    run = drive(plan, listeners=[heard]).reply().reply().reply(404).reply().reply(202).reply()
    moves = [move for one in run.records for move in one.moves]
    classes = {run.chart.machine_class_of(key) for key in ("root", "child", "login")}

    assert run.reason == "completed"
    assert heard.moves == [(f"e_{move.on}", move.source, move.target) for move in moves]
    assert Counter(move.on for move in moves) == {"started": 5, "replied": 6, "returned": 4}
    assert len(classes) == 3


def test_charts_of_one_plan_share_their_classes_and_no_machine(user_plan: Plan) -> None:
    one, other = Chart(user_plan), Chart(Plan.from_json(user_plan.to_json()))

    assert one.machine_class is other.machine_class
    assert one._mover(user_plan.workflow).machine is not other._mover(user_plan.workflow).machine
    assert Chart(replace(user_plan, title="Another")).machine_class is not one.machine_class


def test_a_machine_whose_guards_are_gone_goes_elsewhere(
    drive: Begin, user_plan: Plan, user_inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(one: Any) -> type[StateChart[Any]]:
        bare = tuple(replace(transition, guard=Guard()) for transition in one.table.transitions)
        return compile_class(replace(one.table, transitions=bare), one.digest)

    assert created(drive(user_plan, user_inputs)).state == "created"
    monkeypatch.setattr(module, "_compiled", unguarded)

    assert created(drive(user_plan, user_inputs)).state == "in_doubt", "the first transition is taken"


def test_a_machine_that_does_not_move_is_a_bug_and_not_a_guess(
    drive: Begin, user_plan: Plan, user_inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = drive(user_plan, user_inputs)
    monkeypatch.setattr(run.chart.machine_class, "send", lambda *_, **__: None)
    with pytest.raises(BugError) as refused:
        created(run)

    assert refused.value.code == "AZM-B003"


def test_a_guard_that_raises_is_not_taken_for_one_that_does_not_hold(
    drive: Begin, user_plan: Plan, user_inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = drive(user_plan, user_inputs)
    before = run.snapshot
    with monkeypatch.context() as patched:
        patched.setattr(module.Judgement, "holds", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            created(run)

    assert run.snapshot == before
    assert created(run).state == "created", "and the machine still works"


def test_the_class_shows_the_documents_names_and_uses_none(user_plan: Plan) -> None:
    chart = Chart(user_plan)
    machine = chart.machine_class()

    assert [state.name for state in machine.states] == [one.name for one in user_plan.states]
    assert [state.id for state in machine.states] == [one.id for one in user_plan.states]
    assert machine.configuration_values == {"s_0"}


AWKWARD = ["send", "states", "model", "__init__", "current_state", "e_replied", "s_0", "on_transition", "é", "a b"]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_step_with_any_name_runs(drive: Begin, built: Callable[..., Plan], name: str) -> None:
    back = action(name, "goto", "$statusCode == 202", stepId=name)
    run = drive(built([step(name, onSuccess=[back, action(name, "end")]), step("unreached")]))

    assert (run.state, run.pending.step) == (name, name)
    assert run.reply(202).reply(200).reason == "ended"


# -- what an expression can see ----------------------------------------------------------------------------------------


def test_a_guard_may_look_at_what_was_sent_and_at_its_own_outputs(drive: Begin, built: Callable[..., Plan]) -> None:
    seen = [
        action("query", "end", "$request.query.q == 'x'", "$request.header.X-Tag == 'y'", "$request.path.id == 'one'"),
        action("other", "end"),
    ]
    parameters = [{"name": "q", "in": "query", "value": "$inputs.q"}, {"name": "X-Tag", "in": "header", "value": "y"}]
    plan = built([step("a", parameters=parameters, onSuccess=seen)], inputs={"q": {"type": "string"}})

    assert drive(plan, {"q": "x"}).reply().state == "query"
    assert drive(plan, {"q": "z"}).reply().state == "other"
    body = built(
        [
            step(
                "a",
                "makeThing",
                requestBody={"contentType": "application/json", "payload": {"n": 5}},
                outputs={
                    "sent": "$request.body#/n",
                    "at": "$url",
                    "by": "$method",
                    "from": "$sourceDescriptions.things.url",
                },
                onSuccess=[action("mine", "end", "$steps.a.outputs.sent == 5")],
            )
        ]
    )
    run = drive(body).reply(201)

    assert run.state == "mine"
    assert run.snapshot.frame.steps["a"] == {
        "sent": 5,
        "at": "https://things.example/v1",
        "by": "POST",
        "from": "things.json",
    }


def test_headers_are_seen_without_regard_to_case(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built([step("a", outputs={"where": "$response.header.LOCATION"})])

    assert drive(plan).reply(200, headers={"location": "/x"}).snapshot.frame.steps["a"] == {"where": "/x"}


def test_a_secret_in_a_path_is_shown_by_name_in_the_ledger(drive: Begin, built: Callable[..., Plan]) -> None:
    parameters = [{"name": "id", "in": "path", "value": "$inputs.token"}]
    run = drive(
        built([step("a", "patchThing", parameters=parameters)], inputs={"token": {}}), {"token": SecretRef("t")}
    )

    assert run.snapshot.ledger[0].request == "PATCH /things/[secret t]"
    assert redact(run.pending.request.target) == "/things/[secret t]"
