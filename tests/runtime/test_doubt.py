"""Settling a doubt by hand: what a look says, what it costs, and what each choice does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from machine.chart.events import CallFailed, Replied, Reply
from machine.chart.settings import Settings
from machine.errors import CredentialError, UsageError
from machine.plan.model import Plan
from machine.runtime.doubt import doubtful_call, evidence, probe_call
from machine.runtime.run import Run
from machine.runtime.runner import Runner
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
THERE = (
    200,
    {
        "name": "my-endpoint",
        "model": {"repository": "gpt2"},
        "provider": {"region": "us-east-1"},
        "status": {"state": "pending"},
    },
)
THEIRS = 200, {**THERE[1], "model": {"repository": "bert"}}
RUNNING = 200, {"status": {"state": "running", "url": "https://x.example"}}
LOST = "unknown", "reset"
HOLD = Settings(on_doubt="hold")


@pytest.fixture
def lost(store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any) -> Any:
    """``lost(outcome, ...)`` -> (runner, transport) with run ``r`` in doubt and these outcomes still to come."""

    def make(*later: Any, first: Any = LOST, **options: Any) -> tuple[Runner, Any]:
        transport = scripted(404, first, *later)
        runner = make_runner(store, transport=transport, **options)
        result = runner.start(probing_plan, deploy_inputs, run_id="r", settings=HOLD).result()
        assert result.exit_code == 13
        return runner, transport

    return make


# -- the look ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict", "why", "fields", "carries"),
    [
        pytest.param(THERE, "found", "every field", [True, True], True, id="ours"),
        pytest.param(THEIRS, "found", "'bert' where 'gpt2'", [False, True], True, id="somebody-elses"),
        pytest.param(404, "absent", "404", [], False, id="not-there"),
        pytest.param(503, "unclear", "503", [], False, id="not-now"),
        pytest.param(("unknown", "timeout"), "unclear", "no answer", [], False, id="no-answer"),
        pytest.param(("not_sent", "refused"), "unclear", "no answer", [], False, id="not-sent"),
    ],
)
def test_a_look_says_what_it_saw_and_changes_nothing(
    store: Any, lost: Any, answer: Any, verdict: str, why: str, fields: list[bool], carries: bool
) -> None:
    runner, transport = lost(answer)
    before = store.load("r")

    seen = runner.look("r")

    assert (seen.step, seen.verdict) == ("createEndpoint", verdict)
    assert seen.request == "GET /endpoint/acme/my-endpoint"
    assert why in seen.why
    assert [one["equal"] for one in seen.fields] == fields
    assert (seen.reply is not None) == carries
    assert [call.request.method for call in transport.calls] == ["GET", "POST", "GET"]
    assert (store.load("r"), store.held("r")) == (before, None)


def test_an_absence_counts_once_late_application_can_be_ruled_out(lost: Any) -> None:
    clock = ManualClock()
    runner, _ = lost(404, 404, clock=clock)

    early = runner.look("r")
    clock.advance(early.age + 3600.0)
    late = runner.look("r")

    assert [(one.verdict, one.settled) for one in (early, late)] == [("absent", False), ("absent", True)]
    assert (early.age, late.age) == (0.0, 3600.0)


def test_evidence_as_json_has_everything_a_person_decides_by(lost: Any, secret: str) -> None:
    runner, _ = lost(THEIRS)

    data = runner.look("r").to_json()

    assert set(data) == {"step", "sent", "request", "verdict", "why", "age", "settled", "fields", "outputs"}
    assert data["fields"][0] == {"pointer": "/model/repository", "sent": "gpt2", "seen": "bert", "equal": False}
    assert secret not in str(data)


def test_a_look_closes_its_transport_and_gives_the_run_back_when_it_dies(store: Any, lost: Any) -> None:
    runner, transport = lost(RuntimeError("no such luck"))
    closed = transport.closed

    with pytest.raises(RuntimeError):
        runner.look("r")

    assert (transport.closed, store.held("r")) == (closed + 1, None)


def test_a_look_needs_the_secret(store: Any, make_runner: Any, lost: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    lost()

    with pytest.raises(CredentialError):
        make_runner(store, secret_texts={}).look("r")

    assert store.held("r") is None


def test_where_no_look_is_declared_what_is_known_is_said(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    transport = scripted(LOST)
    runner = make_runner(store, transport=transport)
    runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    known = runner.look("r")

    assert (known.verdict, known.request, known.sent) == ("none", "", "POST /endpoint/acme")
    assert known.outputs == ("endpointName",)
    assert known.choices == ("adopt", "not_sent", "reissue")
    assert len(transport.calls) == 1


def test_a_stored_success_may_be_accepted_and_is_not_taken_for_not_sent(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    runner = make_runner(store, transport=scripted((204, {})))
    runner.start(shipped_plan, deploy_inputs, run_id="r").result()
    runner.resume("r").result()

    assert runner.look("r").choices == ("adopt", "accept", "reissue")


@pytest.mark.parametrize(
    "outcomes",
    [
        pytest.param([404, CREATED, RUNNING], id="ready"),
        pytest.param([404, 400], id="refused"),
        pytest.param([404, CREATED, 404], id="a-poll-failed"),
    ],
)
def test_there_is_nothing_to_look_at_where_nothing_is_in_doubt(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any, outcomes: Any
) -> None:
    runner = make_runner(store, transport=scripted(*outcomes))
    runner.start(probing_plan, deploy_inputs, run_id="r").result()

    with pytest.raises(UsageError) as caught:
        runner.look("r")

    assert caught.value.code == "AZM-U050"


def test_evidence_is_read_from_values_alone(store: Any, lost: Any) -> None:
    runner, _ = lost()
    run = Run(store, "r")
    stored = store.load("r")
    run.take(stored, runner.plan_of(stored))
    call, entry = doubtful_call(run)
    probe = probe_call(run.chart, run.snapshot, call, entry.at)
    reply = Replied(at=entry.at + 5.0, reply=Reply(status=404))
    silence = CallFailed(at=entry.at - 5.0, fate="unknown", cause="timeout", message="it took too long")
    history = store.history("r")

    absent = evidence(run, history, reply.at, probe, reply)
    nothing = evidence(run, history, silence.at, probe, silence)
    run.snapshot = replace(run.snapshot, settings=replace(HOLD, settle=3.0))
    hasty = evidence(run, history, reply.at, probe, reply)

    assert (probe.kind, probe.purpose, absent.age, absent.settled) == ("safe", "probe", 5.0, False)
    assert (nothing.verdict, nothing.age) == ("unclear", 0.0)
    assert "it took too long" in nothing.why
    assert hasty.settled
    assert absent.choices == ("adopt", "not_sent", "reissue")


# -- the choices -------------------------------------------------------------------------------------------------------


def test_what_a_look_found_is_adopted_and_never_made_again(store: Any, lost: Any) -> None:
    runner, transport = lost(THERE, RUNNING)
    seen = runner.look("r")

    settled = runner.resolve("r", "adopt", reply=seen.reply)
    result = runner.resume("r").result()

    assert settled.effects[0].identity["endpointName"] == "my-endpoint"
    assert (result.exit_code, result.outputs["endpointName"]) == (0, "my-endpoint")
    assert [call.request.method for call in transport.calls].count("POST") == 1
    assert [one.outcome for one in result.effects] == ["applied"]


def test_an_answer_somebody_got_hold_of_is_judged_as_the_services_own(lost: Any) -> None:
    runner, transport = lost(RUNNING)
    reply = Reply(status=201, body=CREATED[1], form="json")

    runner.resolve("r", "accept", reply=reply)
    result = runner.resume("r").result()

    assert (result.exit_code, result.outputs["endpointName"]) == (0, "my-endpoint")
    assert len(transport.calls) == 3


@pytest.mark.parametrize("choice", ["not_sent", "reissue"])
def test_what_is_sent_again_is_sent_once_and_by_resume(lost: Any, choice: Any) -> None:
    runner, transport = lost(CREATED, RUNNING)

    runner.resolve("r", choice)
    held_back = [call.request.method for call in transport.calls]
    result = runner.resume("r").result()

    assert held_back == ["GET", "POST"]
    assert (result.exit_code, [call.request.method for call in transport.calls]) == (0, ["GET", "POST", "POST", "GET"])


def test_sent_again_without_a_key_the_first_one_stays_in_the_ledger(lost: Any) -> None:
    runner, _ = lost(CREATED, RUNNING)

    runner.resolve("r", "reissue")

    assert "unknown" in [one.outcome for one in runner.resume("r").result().effects]


def test_a_success_nobody_could_read_can_be_accepted_only_with_its_answer(lost: Any) -> None:
    runner, _ = lost(first=Reply(status=201, form="undecodable"))

    with pytest.raises(UsageError) as caught:
        runner.resolve("r", "accept")

    assert caught.value.code == "AZM-U052"


def test_the_answer_of_a_look_is_not_taken_for_the_creates(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    # The look before the first send is answered with 200; that is no answer to the create.
    runner = make_runner(store, transport=scripted(THERE, LOST))
    runner.start(probing_plan, deploy_inputs, run_id="r", settings=HOLD).result()

    with pytest.raises(UsageError) as caught:
        runner.resolve("r", "accept")

    assert caught.value.code == "AZM-U052"


def test_a_run_that_was_stopped_while_it_probes_can_be_settled_by_hand(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    runner = make_runner(store, transport=scripted(404, LOST, 404, RUNNING), patience="wait")
    left = runner.start(probing_plan, deploy_inputs, run_id="r").result()

    settled = runner.resolve("r", "adopt", outputs={"endpointName": "my-endpoint"})

    assert (left.state, left.reason) == ("in_doubt", "waiting")
    assert [one.outcome for one in settled.effects] == ["applied"]
    assert make_runner(store, transport=scripted(RUNNING)).resume("r").result().exit_code == 0


def test_the_other_side_is_looked_at_when_a_process_died_in_the_middle_of_the_create(
    store: Any, make_runner: Any, probing_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    with Simulator("ambiguous-create", token=secret) as simulator:
        run = make_runner(store, simulator.url).start(probing_plan, deploy_inputs, run_id="r", settings=HOLD)
        records = iter(run)
        assert [next(records).seq, next(records).seq] == [1, 2]
        run.close()

        seen = make_runner(store, simulator.url).look("r")

        assert (seen.verdict, simulator.create_requests) == ("absent", 0)
        assert store.load("r").snapshot.stopped.reason == "in_doubt"
