"""What an answer would do is what it does: the chart is asked, and nothing of the run changes."""

from __future__ import annotations

from typing import Any

import pytest

from machine.chart.events import Replied, Reply
from machine.errors import UsageError
from machine.reports.predicting import imagined, predict


@pytest.fixture
def polling(user_plan: Any, user_inputs: Any, drive: Any) -> Any:
    return drive(user_plan, user_inputs).endpoint("pending", 201).endpoint("pending")


def foretold(driven: Any, *, status: int | None = None, value: str | None = None) -> Any:
    at = driven.at + 60.0
    reply, values = imagined(driven.chart, driven.snapshot, driven.records, at=at, status=status, value=value)
    return predict(driven.chart, driven.snapshot, reply, at=at), values


@pytest.mark.parametrize(
    ("asked", "state", "reason"),
    [
        ({"value": "initializing"}, "polling", None),
        ({"value": "running"}, "ready", "ended"),
        ({"value": "/status/state=running"}, "ready", "ended"),
        ({"value": "paused"}, "failed", "unmatched"),
        ({"status": 404}, "failed", "broke"),
        ({"status": 503}, "polling", None),
        ({"status": 401}, "polling", "credential"),
    ],
    ids=str,
)
def test_an_imagined_answer_leads_where_a_real_one_would(
    polling: Any, asked: dict[str, Any], state: str, reason: str | None
) -> None:
    before = polling.snapshot
    prediction, values = foretold(polling, **asked)
    told = prediction.to_json(values)
    real = polling.happen(Replied(at=polling.at + 60.0, reply=prediction.reply))

    assert (told["state"], told["reason"]) == (state, reason)
    assert prediction.before is before
    assert real.snapshot == prediction.advanced.snapshot


def test_a_prediction_is_told_with_what_was_put_where_and_what_comes_next(polling: Any) -> None:
    stays = list(foretold(polling, value="initializing")[0].lines({"/status/state": "initializing"}))
    ends = list(foretold(polling, value="running")[0].lines({}))

    assert stays[0] == "if GET /endpoint/acme/my-endpoint is answered 200 with /status/state initializing:"
    assert stays[1].startswith("  stayed in polling, by stillStarting: ")
    assert stays[-2] == "  then it sends GET /endpoint/acme/my-endpoint in 7.5s"
    assert ends[-2] == "  then it stops, ended (exit 0): reached ready"
    assert stays[-1] == ends[-1] == "nothing was sent, and nothing was written"


def test_the_success_imagined_is_one_of_the_call_that_waits(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    prediction, _ = foretold(drive(user_plan, user_inputs).endpoint("pending", 201), value="running")

    assert (prediction.reply.status, prediction.to_json({})["state"]) == (200, "ready")


def test_a_run_that_stopped_is_taken_up_first(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = drive(user_plan, user_inputs).endpoint("pending", 201).endpoint("failed")
    prediction, _ = foretold(driven, value="running")

    assert prediction.reopened
    assert prediction.to_json({})["state"] == "ready"
    assert next(prediction.lines({})).startswith("taken up again, if GET ")


def test_where_no_answer_is_awaited_that_is_said(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    ready = drive(user_plan, user_inputs).endpoint("pending", 201).endpoint("running")
    doubtful = drive(user_plan, user_inputs).fail("unknown", "reset")
    codes = []
    for driven in (ready, doubtful):
        with pytest.raises(UsageError) as refused:
            foretold(driven, status=200)
        codes.append(refused.value.code)

    assert codes == ["AZM-U121", "AZM-U122"]


def test_where_no_guard_looks_at_a_text_its_place_has_to_be_said(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = drive(user_plan, user_inputs)
    with pytest.raises(UsageError) as refused:
        foretold(driven, value="running")
    prediction, values = foretold(driven, value="/name=mine", status=201)

    assert refused.value.code == "AZM-U123"
    assert values == {"/name": "mine"}
    assert prediction.reply == Reply(status=201, body={"name": "mine"}, form="json")
