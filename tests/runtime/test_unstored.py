"""An answer that cannot be stored goes with the error, without secrets, and with the command that uses it."""

from __future__ import annotations

from typing import Any

import pytest

from machine.chart.events import Reply
from machine.errors import StoreError, UnstoredError
from machine.plan.model import Plan
from machine.runtime.runner import Runner
from machine.stores import MemoryStore
from machine.values import SecretRef, SecretText

FULL = StoreError("the disk is full", code="AZM-T003", next="free some space")
BODY = {"name": "my-endpoint", "status": {"state": "pending"}, "by": SecretText(("me ", SecretRef("hfToken")))}
CREATED = Reply(status=201, body=BODY, form="json", headers={"location": SecretText(("/?t=", SecretRef("hfToken")))})


class FullStore(MemoryStore):
    """A store in which nothing can be written once it was said to be full."""

    full = False

    def append(self, *values: Any) -> None:
        if self.full:
            raise FULL
        super().append(*values)

    def keep(self, *values: Any) -> None:
        if self.full:
            raise FULL
        super().keep(*values)


@pytest.fixture
def filling(make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any) -> Any:
    """``filling(outcome, ...)`` -> (what a run raised whose store was full when the last outcome arrived, store)."""

    def drive(*outcomes: Any) -> tuple[StoreError, FullStore]:
        store = FullStore()

        def fill() -> Any:
            store.full = True
            return outcomes[-1]

        runner: Runner = make_runner(store, transport=scripted(*outcomes[:-1], fill), store_flag=" --store s.db")
        with pytest.raises(StoreError) as caught:
            runner.start(shipped_plan, deploy_inputs, run_id="r").result()
        return caught.value, store

    return drive


def test_the_answer_of_a_create_goes_with_the_error(filling: Any) -> None:
    error, store = filling(CREATED)

    assert isinstance(error, UnstoredError)
    assert (error.exit_code, error.code) == (74, "AZM-T003")
    assert error.answer == {
        "run": "r",
        "step": "createEndpoint",
        "status": 201,
        "headers": {"location": "/?t=[secret hfToken]"},
        "body": {"name": "my-endpoint", "status": {"state": "pending"}, "by": "me [secret hfToken]"},
        "command": "arazzo-machine resolve r --store s.db --reply FILE",
    }
    assert error.to_json()["answer"] == error.answer
    assert "arazzo-machine resolve r --store s.db --reply FILE" in error.next
    assert store.held("r") is None


def test_a_refusal_needs_no_file(filling: Any) -> None:
    error, _ = filling(Reply(status=422))

    assert error.answer["command"] == "arazzo-machine resolve r --store s.db --not-sent"


@pytest.mark.parametrize(
    "outcomes",
    [
        pytest.param([Reply(status=502)], id="an-answer-that-leaves-it-open"),
        pytest.param([("unknown", "reset")], id="no-answer"),
        pytest.param([CREATED, Reply(status=200, body={}, form="json")], id="an-answer-that-can-be-had-again"),
    ],
)
def test_what_is_no_loss_is_an_error_like_any_other(filling: Any, outcomes: Any) -> None:
    error, _ = filling(*outcomes)

    assert error is FULL


def test_the_run_is_in_doubt_and_the_answer_settles_it(filling: Any, make_runner: Any, scripted: Any) -> None:
    error, store = filling(CREATED)
    store.full = False
    running = 200, {"status": {"state": "running", "url": "https://x.example"}}
    runner = make_runner(store, transport=scripted(running))
    reply = Reply(status=error.answer["status"], body=error.answer["body"], form="json")
    settled = runner.resolve("r", "accept", reply=reply)
    result = runner.resume("r").result()

    assert settled.effects[0].outcome == "applied"
    assert (result.exit_code, result.outputs["endpointName"]) == (0, "my-endpoint")
