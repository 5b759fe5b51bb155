"""Log lines: what happened, in the words of the history, and no secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from machine.plan.model import Plan
from machine.runtime.concealing import Concealer
from machine.runtime.observers import LogObserver, fields_of
from machine.runtime.runner import Runner
from machine.stores.memory import MemoryStore
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

SECRET = "hf_a-token-for-tests-only"


@pytest.fixture
def logged(shipped_plan: Plan, deploy_inputs: dict[str, Any]) -> Callable[..., list[dict[str, Any]]]:
    """``logged("happy")`` -> the lines of a run against the simulator."""

    def run(scenario: str) -> list[dict[str, Any]]:
        stream = io.StringIO()
        with Simulator(scenario) as simulator:
            runner = Runner(
                MemoryStore(),
                clock=ManualClock(),
                observers=[LogObserver(stream)],
                servers={"inferenceEndpointsApi": simulator.url},
                secret_texts={"hfToken": SECRET},
            )
            done = runner.start(shipped_plan, deploy_inputs, run_id="one")
            done.result()

        assert done.troubles == []
        assert SECRET not in stream.getvalue()
        assert stream.getvalue().isascii()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return run


def test_a_line_is_the_kind_of_a_record_and_what_it_came_to(logged: Any) -> None:
    lines = logged("happy")
    first, created, *_, last = lines

    assert [line["event"] for line in lines] == ["run.started", *["call.replied"] * 7]
    assert [line["seq"] for line in lines] == list(range(1, 9))
    assert {line["run"] for line in lines} == {"one"}
    assert first["call"] == "POST /endpoint/acme"
    assert "status" not in first
    assert (created["source"], created["target"], created["phase"]) == ("createEndpoint", "created", "created")
    assert (created["transition"], created["status"]) == ("created", 201)
    assert "$statusCode was 201" in created["why"]
    assert created["outputs"] == {"endpointName": "my-endpoint", "initialState": "pending"}
    assert created["call"] == "GET /endpoint/acme/my-endpoint"
    assert (last["target"], last["stop"]) == ("ready", "ended")
    assert "call" not in last
    assert last["at"].endswith("Z")


def test_a_wait_is_logged_with_its_length(logged: Any) -> None:
    delays = [line["delay"] for line in logged("happy") if "delay" in line]

    assert delays[:2] == [0, 0]
    assert all(delay > 3 for delay in delays[2:])


def test_a_call_without_an_answer_is_logged_by_its_cause(logged: Any) -> None:
    last = logged("ambiguous-create")[-1]

    assert (last["event"], last["cause"], last["target"], last["stop"]) == (
        "call.failed",
        "reset",
        "in_doubt",
        "in_doubt",
    )
    assert "status" not in last
    assert "outputs" not in last


def test_a_programs_own_logging_is_left_alone(logged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = (structlog.get_config(), list(logging.getLogger().handlers), logging.getLogger().level)
    logged("happy")

    assert (structlog.get_config(), list(logging.getLogger().handlers), logging.getLogger().level) == before
    assert capsys.readouterr() == ("", "")


def test_two_observers_write_to_two_streams(user_plan: Plan, user_inputs: Any, drive: Any) -> None:
    streams = io.StringIO(), io.StringIO()
    observers = [LogObserver(stream) for stream in streams]
    driven = drive(user_plan, user_inputs)
    run = type("Run", (), {"id": "one", "plan": user_plan})()
    for observer in observers:
        observer(run, driven.records[0])

    assert streams[0].getvalue() == streams[1].getvalue() != ""
    assert set(fields_of(run, driven.records[0])) < set(json.loads(streams[0].getvalue()))


def test_a_secret_in_an_answer_is_logged_by_its_name(built: Any, drive: Any) -> None:
    from machine.values import SecretRef, SecretText

    outputs = {"echo": "$response.body#/echo"}
    plan = built([{"stepId": "look", "operationId": "getThing", "outputs": outputs}])
    driven = drive(plan).reply(200, {"echo": SecretText(("it was ", SecretRef("token")))})
    run = type("Run", (), {"id": "one", "plan": plan})()

    assert fields_of(run, driven.records[-1])["outputs"] == {"echo": "it was [secret token]"}


def test_a_secret_nobody_took_out_is_taken_out_of_the_line(built: Any, drive: Any) -> None:
    outputs = {"echo": "$response.body#/echo"}
    plan = built([{"stepId": "look", "operationId": "getThing", "outputs": outputs}])
    driven = drive(plan).reply(200, {"echo": f"it was {SECRET}"})
    run = type("Run", (), {"id": "one", "plan": plan})()
    stream = io.StringIO()
    LogObserver(stream, conceal=Concealer({"token": SECRET}).conceal)(run, driven.records[-1])

    assert json.loads(stream.getvalue())["outputs"] == {"echo": "it was [secret token]"}
