from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.calling import probe_request
from machine.chart.settings import Settings
from machine.errors import RequestError
from machine.expressions.question import nobody
from machine.plan.model import Plan

Begin = Callable[..., Any]
Composed = Callable[..., Plan]
NAME = {"name": "$response.body#/name"}


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def action(name: str, kind: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "criteria": [{"condition": one} for one in conditions], **fields}


def flow(name: str, *steps: Any, **fields: Any) -> dict[str, Any]:
    return {
        "workflowId": name,
        "parameters": [{"name": "id", "in": "path", "value": "one"}],
        **fields,
        "steps": list(steps),
    }


def runs(name: str, workflow: str) -> dict[str, Any]:
    return {"stepId": name, "workflowId": workflow}


def test_a_step_without_a_probe_has_nothing_to_look_with(user_plan: Plan, drive: Begin, user_inputs: Any) -> None:
    run = drive(user_plan, user_inputs)
    with pytest.raises(RequestError):
        probe_request(user_plan, run.snapshot, user_plan.calls["createEndpoint"], ask=nobody)


# -- idempotency keys --------------------------------------------------------------------------------------------------


def keyed(name: str) -> dict[str, Any]:
    return step(name, "makeThing", outputs=NAME, **{"x-machine": {"effect": {"idempotencyKey": {}}}})


def key_of(run: Any) -> str:
    return str(dict(run.pending.request.headers)["Idempotency-Key"])


def test_the_same_step_in_two_visits_is_two_effects(drive: Begin, composed: Composed) -> None:
    child = flow("child", keyed("make"), outputs={"name": "$steps.make.outputs.name"})
    run = drive(composed(flow("root", runs("one", "child"), runs("two", "child")), child))
    first = key_of(run)
    run.fail().resolve("not_sent")
    retried = key_of(run)
    run.fail()
    doubtful = run.resolve("reissue")

    assert len({first, retried}) == 2, "it is known that nothing came of the first"
    assert key_of(doubtful) == retried, "nobody knows, so it must be the same"
    run.reply(201, {"name": "a"})
    second = key_of(run)
    run.fail()

    assert (run.path, run.reason) == (["two", "in_doubt"], "in_doubt")
    assert second not in {first, retried}
    assert [(one.frame, one.outcome, one.open) for one in run.snapshot.ledger] == [
        (1, "not_applied", False),
        (1, "unknown", True),
        (1, "applied", False),
        (2, "unknown", True),
    ]
    run.resolve("not_sent")

    assert [one.outcome for one in run.snapshot.ledger[:4]] == ["not_applied", "unknown", "applied", "not_applied"]


def test_a_goto_back_to_a_create_is_another_effect(drive: Begin, composed: Composed) -> None:
    more = keyed("make") | {"onSuccess": [action("more", "goto", "$statusCode == 202", stepId="make")]}
    run = drive(composed(flow("root", more)))
    first = key_of(run)
    run.reply(202, {"name": "a"})

    assert key_of(run) != first


def test_what_is_sent_again_under_its_key_has_the_same_key_whatever_was_heard(drive: Begin, composed: Composed) -> None:
    run = drive(composed(flow("root", keyed("make"))), settings=Settings(on_doubt="reissue"))
    first = key_of(run)
    lost = run.fail()
    after_silence = key_of(lost)
    unreadable = run.reply(201, form="undecodable")

    assert (run.last, len(run.snapshot.ledger)) == ("send again", 1)
    assert {after_silence, key_of(unreadable)} == {first}


def back_into(name: str, *steps: Any, **fields: Any) -> list[dict[str, Any]]:
    """A workflow that makes something, run by one that runs it again whatever became of it."""
    again = [action("again", "goto", stepId="go", **fields)]
    return [
        flow("root", {**runs("go", "child"), "onFailure": again}),
        flow("child", *steps, keyed(name), outputs={"name": f"$steps.{name}.outputs.name"}),
    ]


@pytest.mark.parametrize("answer", [None, 408, 500], ids=["silence", "408", "500"])
@pytest.mark.parametrize("away", [False, True], ids=["at-once", "after-another-call"])
def test_a_way_back_into_a_workflow_does_not_make_again_what_it_may_have_made(
    drive: Begin, composed: Composed, answer: int | None, away: bool
) -> None:
    """Each visit has a frame of its own; what the last one left open belongs to the way that leads there."""
    root, child = back_into("make", *([step("see")] if away else []))
    run = drive(composed(root, child), settings=Settings(on_doubt="fail"))
    run = run.reply(200) if away else run
    first = key_of(run)
    run = run.fail() if answer is None else run.reply(answer)
    run = run.reply(200) if away else run

    assert (run.reason, run.path) == ("in_doubt", ["go", "make"])
    assert [(one.frame, one.outcome) for one in run.snapshot.ledger] == [(1, "unknown")]
    run.reopen()

    assert (run.reason, run.path, len(run.snapshot.ledger)) == ("in_doubt", ["go", "in_doubt"], 1)
    run.resolve("reissue")

    assert key_of(run) == first, "what is sent again is the effect of the visit that sent it"
    run.reply(201, {"name": "it"})

    assert (run.reason, run.outcomes) == ("completed", ["unknown", "applied"])


def test_what_was_known_to_be_refused_is_made_by_the_way_back(drive: Begin, composed: Composed) -> None:
    run = drive(composed(*back_into("make")), settings=Settings(on_doubt="fail"))
    run.reply(422)

    assert (run.reason, run.path, run.outcomes) == ("", ["go", "make"], ["not_applied", "unknown"])


def test_a_ring_of_transfers_does_not_make_again_what_it_may_have_made(drive: Begin, composed: Composed) -> None:
    over = {"onFailure": [action("over", "goto", workflowId="other")]}
    back = {"onSuccess": [action("back", "goto", workflowId="root")]}
    plan = composed(flow("root", keyed("make") | over), flow("other", step("see", **back)))
    run = drive(plan, settings=Settings(on_doubt="fail")).fail().reply(200)

    assert (run.reason, run.path, run.outcomes) == ("in_doubt", ["make"], ["unknown"])


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_step_says_how_long_its_answer_may_take(drive: Begin, composed: Composed) -> None:
    plan = composed(flow("root", step("a", timeout=1500), step("b")), version="1.1.0")
    run = drive(plan)

    assert run.pending.timeout == 1.5
    assert run.reply().pending.timeout is None


@pytest.mark.parametrize(
    ("operation", "reason"), [("getThing", "failure_action"), ("makeThing", "in_doubt")], ids=["safe", "create"]
)
def test_a_step_that_takes_too_long_fails_and_a_create_is_in_doubt(
    drive: Begin, composed: Composed, operation: str, reason: str
) -> None:
    slow = step("a", operation, timeout=1500, onFailure=[action("late", "end")])
    run = drive(composed(flow("root", slow), version="1.1.0")).fail("unknown", "timeout")

    assert run.reason == reason
