"""Workflows that run workflows: one event, all the moves it causes, and where the run then is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.chart.snapshot import Snapshot
from machine.plan.model import Plan
from machine.values import SecretRef

Begin = Callable[..., Any]
Composed = Callable[..., Plan]


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def runs(name: str, workflow: str, **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "workflowId": workflow, **fields}


def action(name: str, kind: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    criteria = {"criteria": [{"condition": one} for one in conditions]} if conditions else {}
    return {"name": name, "type": kind, **criteria, **fields}


def given(**values: Any) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def flow(name: str, *steps: Any, inputs: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "workflowId": name,
        "parameters": [{"name": "id", "in": "path", "value": "one"}],
        **({"inputs": {"type": "object", "properties": inputs}} if inputs is not None else {}),
        **fields,
        "steps": list(steps),
    }


NAME = {"name": "$response.body#/name"}
CHILD = flow(
    "child",
    step("make", "makeThing", outputs=NAME),
    step("look", outputs={"state": "$response.body#/state"}),
    outputs={"name": "$steps.make.outputs.name", "state": "$steps.look.outputs.state"},
)
"""A create, then a look."""


@pytest.fixture
def nested(composed: Composed) -> Plan:
    """A look, a workflow with a create in it, and a look."""
    return composed(
        flow(
            "root",
            step("first"),
            runs("deploy", "child"),
            step("last"),
            outputs={"made": "$steps.deploy.outputs.name", "state": "$steps.deploy.outputs.state"},
        ),
        CHILD,
    )


def reloaded(run: Any) -> Any:
    """The same run, from what a store would give back."""
    run.snapshot = Snapshot.from_json(json.loads(json.dumps(run.snapshot.to_json())))
    return run


# -- begin and end -----------------------------------------------------------------------------------------------------


def test_a_step_that_runs_a_workflow_pushes_it_and_goes_on_with_its_outputs(drive: Begin, nested: Plan) -> None:
    run = drive(nested)

    assert (run.path, run.phase) == (["first"], "starting")
    run.reply()

    assert (run.path, run.moves, run.pending.step) == (["deploy", "make"], ["next", "start"], "make")
    assert (run.pending.kind, run.pending.intended, run.phase) == ("create", True, "created")
    reloaded(run).reply(201, {"name": "it"})

    assert (run.path, run.phase, run.pending.step) == (["deploy", "look"], "created", "look")
    reloaded(run).reply(200, {"state": "up"})

    assert (run.path, run.moves) == (["last"], ["completed", "next"])
    assert run.snapshot.frame.steps == {"deploy": {"name": "it", "state": "up"}}
    reloaded(run).reply()

    assert (run.path, run.reason, run.phase) == (["completed"], "completed", "ready")
    assert run.chart.outputs(run.snapshot) == ({"made": "it", "state": "up"}, ())
    assert (run.snapshot.seq, run.snapshot.moves, run.snapshot.calls) == (5, 7, 4)


def test_every_move_says_whose_it_is_and_what_it_answers(drive: Begin, nested: Plan) -> None:
    run = drive(nested).reply().reply(201, {"name": "it"}).reply(200, {"state": "up"})
    begun, ended = run.records[1], run.records[3]

    assert [(one.frame, one.on) for one in begun.moves] == [(0, "replied"), (1, "started")]
    assert [(one.frame, one.on) for one in ended.moves] == [(1, "replied"), (0, "returned")]
    assert ended.moves[1].outputs == {"name": "it", "state": "up"}
    assert (ended.source, ended.target) == (ended.moves[0].source, ended.moves[1].target)


def test_a_workflow_gets_its_parameters_by_name_and_its_defaults(drive: Begin, composed: Composed) -> None:
    inputs = {"a": {"type": "string"}, "b": {"type": "integer", "default": 7}, "c": {}}
    plan = composed(
        flow("root", runs("go", "child", parameters=given(a="$inputs.x", c="$inputs.absent")), inputs={"x": {}}),
        flow("child", step("s", parameters=[{"name": "q", "in": "query", "value": "{$inputs.a}-{$inputs.b}"}]))
        | {"inputs": {"type": "object", "properties": inputs}},
    )
    run = drive(plan, {"x": "one"})

    assert run.snapshot.frame.inputs == {"a": "one", "b": 7}
    assert run.pending.request.target == "/things/one?q=one-7"


def test_inputs_that_do_not_fit_fail_the_step_before_anything_is_sent(drive: Begin, composed: Composed) -> None:
    child = flow("child", step("s")) | {
        "inputs": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    }
    late = [action("instead", "goto", stepId="other")]
    plan = composed(
        flow("root", runs("go", "child", parameters=given(n="$inputs.x"), onFailure=late), step("other")), child
    )
    run = drive(plan, {"x": "no number"})

    assert (run.path, run.moves, run.snapshot.recovered) == (["other"], ["start", "instead"], True)
    assert "child cannot begin: input 'n' must be integer" in run.records[0].moves[1].guards[-1].why
    missing = drive(composed(flow("root", runs("go", "child")), child))

    assert (missing.reason, missing.snapshot.calls) == ("broke", 0)
    assert missing.message == "go failed: child cannot begin: missing input: n"


def test_a_workflow_that_fails_fails_its_step_before_any_criterion(drive: Begin, composed: Composed) -> None:
    hopeful = runs("go", "child", successCriteria=[{"condition": "$statusCode == 404"}])
    run = drive(composed(flow("root", hopeful), flow("child", step("s")))).reply(404)

    assert (run.reason, run.path) == ("broke", ["failed"])
    assert run.message == "go failed: s failed: answered 404 ($statusCode was 404)"


def test_criteria_of_a_step_see_the_last_status_and_the_outputs_of_its_workflow(
    drive: Begin, composed: Composed
) -> None:
    judged = runs(
        "go",
        "child",
        successCriteria=[{"condition": "$statusCode == 202"}, {"condition": "$outputs.name == 'it'"}],
        outputs={"kept": "$outputs.name", "none": "$outputs.nothing"},
        onSuccess=[action("good", "end", "$steps.go.outputs.kept == 'it'")],
    )
    child = flow("child", step("s", outputs=NAME), outputs={"name": "$steps.s.outputs.name"})
    plan = composed(flow("root", judged), child)

    assert drive(plan).reply(202, {"name": "it"}).path == ["good"]
    run = drive(plan).reply(202, {"name": "other"})

    assert (run.reason, run.snapshot.frame.steps) == ("broke", {"go": {"kept": "other", "none": None}})
    assert drive(plan).reply(200, {"name": "it"}).reason == "broke"


def test_an_end_in_a_workflow_gives_its_outputs_to_the_caller(drive: Begin, composed: Composed) -> None:
    early = step("s", outputs=NAME, onSuccess=[action("enough", "end", "$statusCode == 203")])
    child = flow("child", early, step("t"), outputs={"name": "$steps.s.outputs.name"})
    run = drive(composed(flow("root", runs("go", "child"), step("z")), child)).reply(203, {"name": "it"})

    assert (run.path, run.moves) == (["z"], ["enough", "next"])
    assert run.snapshot.frame.steps == {"go": {"name": "it"}}


def test_of_workflows_that_run_each_other_round_and_round_each_is_named_once(drive: Begin, composed: Composed) -> None:
    run = drive(composed(flow("root", runs("down", "other")), flow("other", runs("back", "root"))))

    assert run.reason == "broke"
    assert run.message == "down failed: back failed: workflows run each other more than 32 deep"


def test_workflows_may_run_each_other_and_themselves_up_to_a_depth(drive: Begin, composed: Composed) -> None:
    again = [action("deeper", "goto", "$statusCode == 202", stepId="down"), action("out", "end")]
    plan = composed(flow("root", step("s", onSuccess=again), runs("down", "root")))
    run = drive(plan)
    for depth in range(1, 32):
        run.reply(202)
        assert len(run.snapshot.frames) == depth + 1
    run.reply(202)

    assert (run.reason, len(run.snapshot.frames), len(run.moves)) == ("broke", 1, 33)
    assert run.message == "down failed: workflows run each other more than 32 deep"
    assert drive(plan).reply(202).reply().path == ["completed"], "one level down, and both end"


# -- loops, retries, time ----------------------------------------------------------------------------------------------

STATE = "$outputs.state"


def polling(composed: Composed, **fields: Any) -> Plan:
    wait = action("wait", "goto", f"{STATE} == 'busy'", stepId="poll")
    child = flow(
        "child", step("s", outputs={"state": "$response.body#/s"}), outputs={"state": "$steps.s.outputs.state"}
    )
    return composed(flow("root", runs("poll", "child", onSuccess=[wait, action("up", "end")], **fields)), child)


def test_a_loop_over_a_safe_workflow_is_paced_like_any_other(drive: Begin, composed: Composed) -> None:
    run = drive(polling(composed))
    run.reply(200, {"s": "busy"})

    assert (run.path, run.phase, run.pending.delay) == (["polling", "s"], "starting", 5.0)
    reloaded(run).reply(200, {"s": "busy"})

    assert (run.path, run.pending.delay) == (["polling", "s"], 7.5)
    run.reply(200, {"s": "busy"}, headers={"retry-after": "40"})

    assert run.pending.delay == 40.0
    assert run.reply(200, {"s": "up"}).path == ["up"]


def test_an_unusable_answer_inside_a_loop_is_waited_out(drive: Begin, composed: Composed) -> None:
    run = drive(polling(composed, **{"x-machine": {"poll": {"tolerate": 1}}}))
    run.reply(503)

    assert (run.moves, run.pending.delay, run.reason) == (["broke", "tolerated", "start"], 5.0, "")
    run.reply(503)

    assert (run.reason, run.path) == ("tolerance", ["poll"])
    assert run.reopen().pending.step == "s"
    assert drive(polling(composed)).reply(404).reason == "broke", "404 is an answer"


def test_the_visits_of_a_loop_are_counted_where_it_stands(drive: Begin, composed: Composed) -> None:
    run = drive(polling(composed, **{"x-machine": {"poll": {"visits": 2}}}))
    for _ in range(3):
        run.reply(200, {"s": "busy"})

    assert (run.reason, run.path) == ("visits", ["polling"])


def test_a_step_that_runs_a_workflow_is_retried_within_its_budget(drive: Begin, composed: Composed) -> None:
    again = [action("again", "retry", "$statusCode == 503", retryLimit=2, retryAfter=4)]
    run = drive(composed(flow("root", runs("go", "child", onFailure=again)), flow("child", step("s"))))
    run.reply(503)

    assert (run.moves, run.pending.delay, run.snapshot.frame.number) == (["broke", "again", "start"], 4.0, 2)
    reloaded(run).reply(503, headers={"retry-after": "9"})

    assert (run.pending.delay, run.snapshot.frames[0].retries) == (9.0, {run.records[-1].moves[1].transition: 2})
    reloaded(run).reply(503)

    assert (run.reason, run.path) == ("broke", ["failed"])


def test_a_workflow_in_which_something_was_applied_is_not_retried(drive: Begin, composed: Composed) -> None:
    again = [action("again", "retry", retryLimit=5)]
    run = drive(composed(flow("root", runs("go", "child", onFailure=again)), CHILD))
    run.reply(503, headers={"retry-after": "1"})

    assert run.moves == ["broke", "again", "start"], "it was refused for now, so nothing was made"
    run.reply(201, {"name": "it"}).reply(404)

    assert (run.reason, run.outcomes) == ("broke", ["not_applied", "applied"])
    assert "make was or may have been applied" in run.records[-1].moves[1].guards[1].why


def test_the_limits_of_a_run_are_those_of_all_its_workflows(drive: Begin, nested: Plan) -> None:
    assert drive(nested, settings=Settings(transitions=3)).reply().reason == "transitions"
    calls = drive(nested, settings=Settings(calls=2)).reply().reply(201, {"name": "it"})

    assert (calls.reason, calls.path) == ("calls", ["deploy", "look"])
    late = drive(nested, settings=Settings(deadline=2.0)).reply().reply(201, {"name": "it"})

    assert (late.reason, late.path) == ("deadline", ["deploy", "look"])
    assert late.reopen().pending.step == "look"


def test_an_event_cannot_cause_moves_without_end(drive: Begin, composed: Composed) -> None:
    round_and_round = [action("again", "goto", stepId="go")]
    child = flow("child", step("s")) | {"inputs": {"type": "object", "required": ["n"]}}
    run = drive(composed(flow("root", runs("go", "child", onFailure=round_and_round)), child))

    assert run.reason == "transitions"
    assert len(run.moves) == 500


def test_a_step_gives_its_workflow_only_so_much_time(drive: Begin, composed: Composed) -> None:
    slow = runs("go", "child", timeout=10_000, onFailure=[action("instead", "goto", stepId="other")])
    loop = step("p", onSuccess=[action("more", "goto", "$statusCode == 202", stepId="p"), action("out", "end")])
    plan = composed(flow("root", slow, step("other")), flow("child", loop), version="1.1.0")
    run = drive(plan)

    assert run.pending.timeout == 10.0
    run.reply(202)

    assert (run.path, run.pending.timeout) == (["go", "polling"], 4.0)
    run.reply(202)

    assert (run.path, run.moves) == (["other"], ["more", "instead"])
    assert "child took longer than the 10 s its step allows" in run.records[-1].moves[1].guards[0].why
    assert drive(plan).reply(202).reply(200, took=0.5).path == ["other"], "in time, and the next step follows"


def test_taking_a_run_up_gives_its_workflow_its_time_again(drive: Begin, composed: Composed) -> None:
    loop = step("p", onSuccess=[action("more", "goto", "$statusCode == 202", stepId="p"), action("out", "end")])
    plan = composed(flow("root", runs("go", "child", timeout=10_000)), flow("child", loop), version="1.1.0")
    run = drive(plan).reply(202).reply(202)

    assert (run.reason, run.message) == ("broke", "go failed: child took longer than the 10 s its step allows")
    run.at += 100.0
    run.reopen()

    assert (run.path, run.pending.step) == (["go", "polling"], "p")
    assert run.reply(200).reason == "completed"


# -- what is on the other side -----------------------------------------------------------------------------------------


def test_doubt_in_a_workflow_keeps_the_whole_stack(drive: Begin, nested: Plan) -> None:
    run = drive(nested).reply().fail()

    assert (run.reason, run.path, run.phase) == ("in_doubt", ["deploy", "in_doubt"], "created")
    assert reloaded(run).reopen().reason == "in_doubt"
    reloaded(run).resolve("adopt", name="it")

    assert (run.path, run.pending.step, run.outcomes) == (["deploy", "look"], "look", ["applied"])
    assert run.reply(200, {"state": "up"}).reply().reason == "completed"


def test_a_failure_that_ends_everything_is_taken_up_where_it_happened(drive: Begin, nested: Plan) -> None:
    run = drive(nested).reply().reply(201, {"name": "it"}).reply(404)

    assert (run.path, run.reason, run.phase) == (["failed"], "broke", "failed")
    reloaded(run).reopen()

    assert (run.path, run.pending.step) == (["deploy", "look"], "look")
    assert run.snapshot.frame.steps["make"] == {"name": "it"}, "nothing of it is done again"
    run.reply(200, {"state": "up"}).reply()

    assert (run.reason, run.outcomes) == ("completed", ["applied"])


def test_a_create_that_ended_its_workflow_is_open_when_the_caller_fails_at_once(
    drive: Begin, composed: Composed
) -> None:
    strict = runs("go", "child", successCriteria=[{"condition": "$statusCode == 202"}])
    plan = composed(flow("root", strict), flow("child", step("make", "makeThing", outputs=NAME)))
    run = drive(plan).reply(201, {"name": "it"})

    assert (run.reason, run.snapshot.ledger[0].open) == ("broke", True)
    reloaded(run).reopen()

    assert (run.reason, run.path) == ("in_doubt", ["go", "in_doubt"])
    assert run.reopen().reason == "in_doubt", "and it is never sent again on a guess"
    assert len(run.snapshot.ledger) == 1


def test_a_workflow_that_could_not_begin_is_entered_again(drive: Begin, composed: Composed) -> None:
    child = flow("child", step("s")) | {"inputs": {"type": "object", "required": ["n"]}}
    plan = composed(
        flow("root", step("make", "makeThing", outputs=NAME), runs("go", "child", parameters=given(n="$inputs.x"))),
        child,
    )
    run = drive(plan).reply(201, {"name": "it"})

    assert (run.reason, run.snapshot.ledger[0].open) == ("broke", False)
    run.reopen()

    assert (run.reason, len(run.snapshot.ledger)) == ("broke", 1), "asked again, refused again, and nothing was sent"


def test_a_refused_credential_and_a_cancellation_keep_the_stack(drive: Begin, composed: Composed) -> None:
    secret = [{"name": "Authorization", "in": "header", "value": "Bearer {$inputs.key}"}]
    child = flow("child", step("s", parameters=secret), inputs={"key": {"type": "string"}})
    plan = composed(flow("root", runs("go", "child", parameters=given(key="$inputs.mine"))), child)
    run = drive(plan, {"mine": SecretRef("mine")}).reply(401)

    assert (run.reason, run.path) == ("credential", ["go", "s"])
    assert run.reopen().cancel().reason == "cancelled"
    assert (run.path, run.reopen().reply().reason) == (["go", "s"], "completed")


def test_a_secret_that_is_handed_on_stays_a_reference(drive: Begin, composed: Composed) -> None:
    sent = [{"name": "q", "in": "query", "value": "$inputs.word"}]
    child = flow("child", step("s", parameters=sent), inputs={"word": {"type": "string", "maxLength": 3}})
    plan = composed(
        flow(
            "root", runs("go", "child", parameters=given(word="x{$inputs.token}")), inputs={"token": {"type": "string"}}
        ),
        child,
    )
    run = drive(plan, {"token": SecretRef("token")})

    assert str(run.pending.request.target) == "/things/one?q=x[secret token]"
    assert "[secret" not in run.snapshot.text()


# -- dependencies ------------------------------------------------------------------------------------------------------

LOGIN = flow(
    "login", step("log", outputs={"t": "$response.body#/t"}), outputs={"t": "$steps.log.outputs.t"}, inputs={"u": {}}
)


def test_a_dependency_is_completed_first_and_its_sides_can_be_read(drive: Begin, composed: Composed) -> None:
    seen = [{"name": "q", "in": "query", "value": "{$workflows.login.outputs.t}-{$workflows.login.inputs.u}"}]
    plan = composed(flow("root", step("s", parameters=seen), dependsOn=["login"], inputs={"u": {}, "v": {}}), LOGIN)
    run = drive(plan, {"u": "me", "v": "no"})

    assert (run.path, run.snapshot.frame.kind, run.snapshot.frame.inputs) == (
        ["login", "log"],
        "dependency",
        {"u": "me"},
    )
    reloaded(run).reply(200, {"t": 7})

    assert (run.path, run.moves) == (["s"], ["completed", "completed before"])
    assert run.pending.request.target == "/things/one?q=7-me"


def test_a_dependency_is_completed_once_in_a_run(drive: Begin, composed: Composed) -> None:
    child = flow("child", step("c"), dependsOn=["login"])
    plan = composed(flow("root", runs("one", "child"), runs("two", "child"), dependsOn=["login"]), child, LOGIN)
    run = drive(plan).reply(200, {"t": 7})

    assert (run.path, run.moves) == (["one", "c"], ["completed", "completed before", "start", "completed before"])
    assert run.reply().path == ["two", "c"]
    assert run.reply().reason == "completed"


def test_a_dependency_that_fails_leaves_the_steps_undone(drive: Begin, composed: Composed) -> None:
    run = drive(composed(flow("root", step("s"), dependsOn=["login"]), LOGIN)).reply(500)

    assert (run.reason, run.path, run.snapshot.calls) == ("broke", ["failed"], 1)
    assert run.message == "login failed: log failed: answered 500 ($statusCode was 500)"


def test_a_dependency_that_lacks_an_input_says_how_it_is_given(drive: Begin, composed: Composed) -> None:
    needy = {**LOGIN, "inputs": {"type": "object", "properties": {"u": {}}, "required": ["u"]}}
    run = drive(composed(flow("root", step("s"), dependsOn=["login"]), needy))

    assert run.reason == "broke"
    assert "missing input: u; --dep-input login.NAME=VALUE gives it one" in run.message


def test_what_waits_for_its_own_caller_fails_and_says_so(drive: Begin, composed: Composed) -> None:
    plan = composed(flow("root", runs("go", "child")), flow("child", step("c"), dependsOn=["root"]))
    run = drive(plan)

    assert (run.reason, run.snapshot.calls) == ("broke", 0)
    assert "root is under way" in run.message


def test_a_step_waits_for_what_it_depends_on_and_never_starts_it(drive: Begin, composed: Composed) -> None:
    skip = step("a", onSuccess=[action("skip", "goto", "$statusCode == 202", stepId="c")])
    plan = composed(flow("root", skip, step("b"), step("c", dependsOn=["b"])), version="1.1.0")

    run = drive(plan).reply(202)

    assert (run.reason, run.moves, run.snapshot.calls) == ("broke", ["skip", "broke"], 1)
    assert run.message == "c failed: c depends on b, which has not succeeded"
    ordered = drive(composed(flow("root", step("c", dependsOn=["b"]), step("b")), version="1.1.0"))

    assert (ordered.path, ordered.reply().path, ordered.reply().reason) == (["b"], ["c"], "completed")


def test_a_step_may_depend_on_a_step_of_another_workflow(drive: Begin, composed: Composed) -> None:
    waits = step("z", dependsOn=["$workflows.child.steps.c"])
    child = flow("child", step("c"), step("d"))

    assert drive(composed(flow("root", waits), child, version="1.1.0")).reason == "broke"
    run = drive(
        composed(
            flow("root", runs("go", "child", onFailure=[action("on", "goto", stepId="z")]), waits),
            child,
            version="1.1.0",
        )
    )

    assert run.reply().reply(500).pending.step == "z", "c had succeeded, whatever became of the rest"


# -- transfers and repairs ---------------------------------------------------------------------------------------------


def test_a_goto_to_a_workflow_replaces_the_frame_and_its_result(drive: Begin, composed: Composed) -> None:
    over = step("a", onSuccess=[action("over", "goto", workflowId="other")])
    other = flow("other", step("o", outputs=NAME), outputs={"name": "$steps.o.outputs.name"}, inputs={"x": {}, "y": {}})
    middle = flow("middle", over, outputs={"never": "$steps.a.outputs.z"}, inputs={"x": {}, "z": {}})
    run = drive(composed(middle, other), {"x": "mine", "z": 1}).reply()

    assert (run.path, run.moves, run.snapshot.frame.kind) == (["o"], ["over", "start"], "transfer")
    assert run.snapshot.frame.inputs == {"x": "mine"}, "what has the same name, in 1.0"
    reloaded(run).reply(200, {"name": "it"})

    assert (run.reason, run.chart.outputs(run.snapshot)) == ("completed", ({"name": "it"}, ()))
    outer = flow("outer", runs("go", "middle", outputs={"got": "$outputs.name"}), step("z"))
    inner = drive(composed(outer, middle, other)).reply().reply(200, {"name": "it"})

    assert (inner.path, inner.snapshot.frame.steps) == (["z"], {"go": {"got": "it"}})
    assert (inner.snapshot.workflows["middle"].ok, inner.snapshot.workflows["other"].ok) == (True, True)


def test_a_transfer_of_1_1_gives_its_parameters_and_nothing_else(drive: Begin, composed: Composed) -> None:
    over = step("a", onSuccess=[action("over", "goto", workflowId="other", parameters=given(y="$inputs.x"))])
    plain = step("a", onSuccess=[action("over", "goto", workflowId="other")])
    other = flow("other", step("o"), inputs={"x": {}, "y": {}})
    told = drive(composed(flow("root", over, inputs={"x": {}}), other, version="1.1.0"), {"x": 1}).reply()
    silent = drive(composed(flow("root", plain, inputs={"x": {}}), other, version="1.1.0"), {"x": 1}).reply()

    assert (told.snapshot.frame.inputs, silent.snapshot.frame.inputs) == ({"y": 1}, {})


def test_a_transfer_that_cannot_begin_fails(drive: Begin, composed: Composed) -> None:
    over = step("a", onSuccess=[action("over", "goto", workflowId="other")])
    run = drive(composed(flow("root", over), flow("other", step("o")) | {"inputs": {"required": ["n"]}})).reply()

    assert (run.reason, run.moves) == ("broke", ["over", "broke"])
    assert "missing input: n" in run.message


def test_a_ring_of_transfers_is_paced_and_stays_shallow(drive: Begin, composed: Composed) -> None:
    ring = [
        flow(name, step("s", onSuccess=[action("over", "goto", workflowId=other)]))
        for name, other in (("a", "b"), ("b", "a"))
    ]
    run = drive(composed(*ring))
    delays = [run.reply().pending.delay for _ in range(4)]

    assert delays == [5.0, 7.5, 11.25, 16.875]
    assert (len(run.snapshot.frames), run.snapshot.frame.replaced) == (1, ("b",))


def repairing(composed: Composed, **fields: Any) -> Plan:
    again = action("fix", "retry", "$statusCode == 401", retryAfter=3, retryLimit=2, **fields)
    return composed(
        flow(
            "root",
            step("s", onFailure=[again], parameters=[{"name": "q", "in": "query", "value": "$steps.r.outputs.t"}]),
            step("end", onSuccess=[action("done", "end")]),
            step("r", outputs={"t": "$response.body#/t"}, onFailure=[action("never", "end")]),
        ),
        LOGIN,
    )


def test_a_retry_through_a_step_runs_it_first_and_keeps_its_outputs(drive: Begin, composed: Composed) -> None:
    run = drive(repairing(composed, stepId="r")).reply(401)

    assert (run.state, run.pending.step, run.pending.delay) == ("fix for s", "r", 0.0)
    reloaded(run).reply(200, {"t": 5}, took=1.0)

    assert (run.state, run.pending.step, run.pending.delay) == ("s", "s", 2.0)
    assert run.pending.request.target == "/things/one?q=5"
    reloaded(run).reply(401).reply(404)

    assert (run.state, run.last, run.reason) == ("s", "not repaired", "")
    run.reply(401)

    assert (run.reason, run.path) == ("broke", ["failed"])


def test_a_retry_through_a_workflow_runs_it_first_whatever_comes_of_it(drive: Begin, composed: Composed) -> None:
    run = drive(repairing(composed, workflowId="login")).reply(401)

    assert (run.path, run.snapshot.frame.kind) == (["fix for s", "log"], "repair")
    reloaded(run).reply(200, {"t": 5})

    assert (run.path, run.moves, run.pending.delay) == (["s"], ["completed", "repaired"], 2.0)
    run.reply(401).reply(500)

    assert (run.path, run.moves) == (["s"], ["broke", "not repaired"])
    assert run.reply().state == "end"


@pytest.mark.parametrize("through", ["stepId", "workflowId"])
def test_nothing_is_repaired_for_a_retry_that_is_held(drive: Begin, composed: Composed, through: str) -> None:
    """After a 5xx nobody knows whether it was made; after a 4xx it is known that it was not."""
    again = action("fix", "retry", **{through: "r" if through == "stepId" else "login"}, retryAfter=0)
    made = step("s", "makeThing", outputs=NAME, onFailure=[again])
    plan = composed(flow("root", made, step("end", onSuccess=[action("done", "end")]), step("r")), LOGIN)
    run = drive(plan).reply(500)

    assert (run.reason, run.state, run.outcomes, run.last) == ("in_doubt", "s", ["unknown"], "fix held")
    run.resolve("not_sent").reply(422)

    assert (run.reason, run.path[0], run.pending.kind) == ("", "fix for s", "safe")


def test_doubt_about_a_repair_is_settled_before_the_retry(drive: Begin, composed: Composed) -> None:
    again = action("fix", "retry", stepId="r", retryAfter=0)
    run = drive(composed(flow("root", step("s", onFailure=[again]), step("r", "makeThing", outputs=NAME)))).reply(400)
    run.fail()

    assert (run.reason, run.state) == ("in_doubt", "in_doubt fix for s")
    run.resolve("adopt", name="it")

    assert (run.state, run.snapshot.frame.steps) == ("s", {"r": {"name": "it"}})


def test_a_retry_on_success_of_1_0_is_a_loop_with_a_limit(drive: Begin, composed: Composed) -> None:
    wait = action("wait", "retry", "$response.body#/s == 'busy'", retryAfter=6, retryLimit=2)
    plan = composed(
        flow("root", step("s", onSuccess=[wait, action("up", "end", "$response.body#/s == 'up'")]), step("z"))
    )
    run = drive(plan)

    assert [run.reply(200, {"s": "busy"}).pending.delay for _ in range(2)] == [6.0, 6.0]
    assert run.reply(200, {"s": "busy"}).pending.step == "z", "its limit is used up, so it goes on behind it"
    assert drive(plan).reply(200, {"s": "busy"}).reply(200, {"s": "up"}).state == "up"
    assert not run.snapshot.recovered


# -- other documents ---------------------------------------------------------------------------------------------------


def test_a_workflow_of_another_document_has_its_own_sources_and_neighbours(drive: Begin, composed: Composed) -> None:
    theirs = [
        flow("child", step("c", outputs=NAME), dependsOn=["login"], outputs={"t": "$workflows.login.outputs.t"}),
        LOGIN,
    ]
    plan = composed(
        flow("root", runs("go", "$sourceDescriptions.far.child"), step("z")),
        flow("child", step("mine")),
        others={"far": theirs},
    )
    run = drive(plan)

    assert (run.path, run.pending.request.source) == (["go", "far.login", "log"], "far.things")
    assert run.reply(200, {"t": 9}).path == ["go", "c"]
    run.reply(200, {"name": "it"})

    assert (run.path, run.snapshot.frame.steps) == (["z"], {"go": {"t": 9}})
    assert sorted(run.snapshot.workflows) == ["far.child", "far.login"]
    assert plan.servers == {"things": ("https://things.example/v1",), "far.things": ("https://things.example/v1",)}


def test_a_secret_a_trusted_workflow_fetches_itself_has_a_name_of_its_own(drive: Begin, composed: Composed) -> None:
    word = {"word": {"type": "string", "x-machine": {"secret": True, "from": "@env:WORD"}}}
    sent = [{"name": "q", "in": "query", "value": "$inputs.word"}]
    child = flow("child", step("s", parameters=sent), inputs=word)
    run = drive(composed(flow("root", runs("go", "child")), child, trusted=True))

    assert run.snapshot.frame.inputs == {"word": SecretRef("child.word")}
    given_one = drive(composed(flow("root", runs("go", "child", parameters=given(word="plain"))), child, trusted=True))

    assert given_one.snapshot.frame.inputs == {"word": "plain"}
