from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from machine.chart.events import Reply
from machine.chart.settings import Settings
from machine.runtime.clock import Interrupts
from machine.runtime.result import Result, timestamp
from machine.stores import MemoryStore
from machine.testing.clock import ManualClock
from machine.values import SecretRef, SecretText

KEYS = [
    "run",
    "workflow",
    "document",
    "phase",
    "state",
    "reason",
    "message",
    "outputs",
    "unresolved",
    "calls",
    "started",
    "ended",
    "resumable",
    "recovered",
    "effects",
    "next",
]
CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
UNREADABLE = Reply(status=201, form="undecodable")


def polled(state: str) -> Any:
    return 200, {"status": {"state": state, "url": "https://x.example"}}


@pytest.mark.parametrize(
    ("outcomes", "code", "phase", "reason", "outcome", "action", "command"),
    [
        pytest.param([CREATED, polled("running")], 0, "ready", "ended", "applied", "none", "", id="ready"),
        pytest.param([409], 10, "failed", "broke", "not_applied", "fix", "show r --why", id="definite-no"),
        pytest.param([("not_sent", "refused")], 10, "failed", "broke", "not_applied", "fix", "show r --why", id="down"),
        pytest.param(
            [204],
            13,
            "created",
            "in_doubt",
            "applied",
            "resolve",
            "resolve r --adopt endpointName=VALUE",
            id="unexpected-success",
        ),
        pytest.param(
            [500],
            10,
            "failed",
            "broke",
            "unknown",
            "resolve",
            "resolve r --adopt endpointName=VALUE  # or, where you know it was never applied: --not-sent",
            id="perhaps",
        ),
        pytest.param(
            [("unknown", "reset")],
            13,
            "created",
            "in_doubt",
            "unknown",
            "resolve",
            "resolve r --adopt endpointName=VALUE  # or, where you know it was never applied: --not-sent",
            id="in-doubt",
        ),
        pytest.param(
            [UNREADABLE],
            13,
            "created",
            "in_doubt",
            "applied",
            "resolve",
            "resolve r --adopt endpointName=VALUE",
            id="name-unknown",
        ),
        pytest.param([401], 14, "starting", "credential", "not_applied", "resume", "resume r", id="refused-at-once"),
        pytest.param([CREATED, 403], 14, "created", "credential", "applied", "resume", "resume r", id="refused-later"),
        pytest.param([CREATED, 404], 10, "failed", "broke", "applied", "resume", "resume r", id="gone"),
        pytest.param(
            [CREATED, polled("paused")], 11, "failed", "unmatched", "applied", "resume", "resume r", id="unmatched"
        ),
        pytest.param(
            [CREATED, polled("pending"), *[502] * 6],
            12,
            "polling",
            "tolerance",
            "applied",
            "resume",
            "resume r",
            id="no-answers",
        ),
        pytest.param(
            [CREATED, *[polled("pending")] * 4],
            12,
            "polling",
            "deadline",
            "applied",
            "resume",
            "resume r --deadline 30m",
            id="out-of-time",
        ),
    ],
)
def test_a_result_says_what_came_of_a_run_and_the_one_thing_to_do(
    scripted: Any,
    make_runner: Any,
    shipped_plan: Any,
    deploy_inputs: Any,
    outcomes: list[Any],
    code: int,
    phase: str,
    reason: str,
    outcome: str,
    action: str,
    command: str,
) -> None:
    runner = make_runner(MemoryStore(), transport=scripted(*outcomes))
    settings = Settings(deadline=20.0) if reason == "deadline" else None

    result = runner.start(shipped_plan, deploy_inputs, run_id="r", settings=settings).result()

    assert (result.exit_code, result.phase, result.reason) == (code, phase, reason)
    assert [one.outcome for one in result.effects] == [outcome]
    assert (result.next.action, result.next.command) == (action, command and f"arazzo-machine {command}")
    assert result.resumable == (action in ("resume", "resolve"))
    assert result.ready == (code == 0)
    assert (result.ended is not None) == (phase in ("ready", "failed"))


def test_the_same_result_is_read_from_the_store(
    scripted: Any, make_runner: Any, shipped_plan: Any, deploy_inputs: Any, store: Any
) -> None:
    runner = make_runner(store, transport=scripted(CREATED, polled("running")))

    result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    assert runner.result("r") == result


def test_its_json_has_every_key_and_nothing_that_is_not_json(
    scripted: Any, make_runner: Any, shipped_plan: Any, deploy_inputs: Any
) -> None:
    clock = ManualClock(1_800_000_000.25)
    runner = make_runner(MemoryStore(), transport=scripted(CREATED, polled("running")), clock=clock)

    shown = runner.start(shipped_plan, deploy_inputs, run_id="r").result().to_json()

    assert list(shown) == KEYS
    assert json.loads(json.dumps(shown)) == shown
    assert (shown["started"], shown["ended"]) == ("2027-01-15T08:00:00.250Z", "2027-01-15T08:00:00.250Z")
    assert shown["effects"] == [
        {
            "step": "createEndpoint",
            "kind": "create",
            "outcome": "applied",
            "identity": {"endpointName": "my-endpoint", "initialState": "pending"},
            "request": "POST /endpoint/acme",
        }
    ]


def test_outputs_that_are_not_known_are_null_and_listed(
    scripted: Any, make_runner: Any, shipped_plan: Any, deploy_inputs: Any
) -> None:
    runner = make_runner(MemoryStore(), transport=scripted((201, {"name": "my-endpoint"}), 404))

    result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    assert result.outputs == {"endpointName": "my-endpoint", "state": None, "inferenceUrl": None}
    assert result.unresolved == ("state", "inferenceUrl")


def test_a_secret_in_an_output_shows_as_its_name(
    scripted: Any, make_runner: Any, shipped_plan: Any, deploy_inputs: Any
) -> None:
    name = SecretText(("ep-", SecretRef("hfToken")))
    runner = make_runner(MemoryStore(), transport=scripted((201, {"name": name}), polled("running")))

    result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    assert result.outputs["endpointName"] == "ep-[secret hfToken]"
    assert result.effects[0].identity == {"endpointName": "ep-[secret hfToken]"}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_the_code_of_the_signal(
    scripted: Any, make_runner: Any, shipped_plan: Any, deploy_inputs: Any, signum: int
) -> None:
    interrupts = Interrupts()
    store = MemoryStore()
    transport = scripted(CREATED, polled("pending"), polled("running"))

    def signal_at_third(run: Any, record: Any) -> None:
        interrupts.signum = signum if record.seq == 3 else 0

    runner = make_runner(store, transport=transport, interrupts=interrupts, observers=[signal_at_third])
    result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()
    later = runner.result("r")
    with store.lock("r"):
        meanwhile = runner.result("r")

    assert (result.exit_code, result.reason, result.resumable) == (128 + signum, "interrupted", True)
    assert (later.exit_code, later.reason, later.next.command) == (16, "interrupted", "arazzo-machine resume r")
    assert (meanwhile.exit_code, meanwhile.reason) == (0, "running")
    assert later.ended is None


def test_commands_name_the_store_where_it_is_not_the_usual_one(
    scripted: Any, make_runner: Any, shipped_plan: Any, deploy_inputs: Any
) -> None:
    runner = make_runner(MemoryStore(), transport=scripted(CREATED, 404), store_flag=" --store /x")

    result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    assert isinstance(result, Result)
    assert result.next.command == "arazzo-machine resume r --store /x"


def test_a_run_that_recovered_says_so(scripted: Any, make_runner: Any, retry_plan: Any) -> None:
    runner = make_runner(MemoryStore(), transport=scripted(409, (201, {"id": 7})))

    result = runner.start(retry_plan, {}, run_id="r").result()

    assert (result.exit_code, result.recovered, result.outputs) == (0, True, {"id": 7})
    assert [one.outcome for one in result.effects] == ["not_applied", "applied"]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, None),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000.1239, "2027-01-15T08:00:00.123Z"),
    ],
)
def test_a_time_is_written_in_utc_to_the_millisecond(at: float | None, text: str | None) -> None:
    assert timestamp(at) == text
