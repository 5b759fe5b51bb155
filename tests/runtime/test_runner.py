from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.errors import BusyError, CredentialError, HostError, IdentityError, InputError, UsageError
from machine.plan.model import Plan
from machine.runtime.prepare import prepare
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.stores import MemoryStore
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
NAME = {"endpointName": "my-endpoint"}


def polled(state: str) -> Any:
    return 200, {"status": {"state": state, "url": "https://x.example"}}


# -- every way the service can behave ----------------------------------------------------------------------------------

SCENARIOS = [
    # scenario, document, exit code, phase, state, reason, creates, next action, calls
    ("happy", "both", 0, "ready", "ready", "ended", 1, "none", 7),
    ("slow-start", "both", 0, "ready", "ready", "ended", 1, "none", 41),
    ("failed-image", "shipped", 10, "failed", "failed", "broke", 1, "resume", 7),
    ("failed-image", "user", 11, "failed", "failed", "unmatched", 1, "resume", 7),
    ("stuck-initializing", "both", 12, "polling", "polling", "deadline", 1, "resume", None),
    ("scaled-to-zero-mid-wait", "both", 11, "failed", "failed", "unmatched", 1, "resume", 7),
    ("paused-by-colleague", "both", 11, "failed", "failed", "unmatched", 1, "resume", 7),
    ("update-failed", "shipped", 10, "failed", "failed", "broke", 1, "resume", 6),
    ("update-failed", "user", 11, "failed", "failed", "unmatched", 1, "resume", 4),
    ("deleted-mid-wait", "both", 10, "failed", "failed", "broke", 1, "resume", 7),
    ("flap", "both", 0, "ready", "ready", "ended", 1, "none", 7),
    ("url-late", "both", 0, "ready", "ready", "ended", 1, "none", 7),
    ("created-200", "shipped", 0, "ready", "ready", "ended", 1, "none", 7),
    ("created-200", "user", 10, "failed", "failed", "broke", 1, "resolve", 1),
    ("created-202", "shipped", 0, "ready", "ready", "ended", 1, "none", 7),
    ("duplicate-409", "both", 10, "failed", "failed", "broke", 0, "fix", 1),
    ("quota-409", "both", 10, "failed", "failed", "broke", 0, "fix", 1),
    ("ambiguous-create", "both", 13, "created", "in_doubt", "in_doubt", 1, "resolve", 1),
    ("create-500-but-created", "both", 10, "failed", "failed", "broke", 1, "resolve", 1),
    ("created-but-unreadable", "both", 13, "created", "in_doubt", "in_doubt", 1, "resolve", 1),
    ("get-404-grace", "both", 10, "failed", "failed", "broke", 1, "resume", 2),
    ("poll-502-burst", "both", 0, "ready", "ready", "ended", 1, "none", 10),
    ("poll-429-retry-after", "both", 0, "ready", "ready", "ended", 1, "none", 8),
    ("token-expired-401-mid-poll", "both", 14, "polling", "polling", "credential", 1, "resume", 5),
    ("unknown-state", "both", 11, "failed", "failed", "unmatched", 1, "resume", 4),
    ("missing-status-field", "both", 11, "failed", "failed", "unmatched", 1, "resume", 4),
    ("503-html-body", "both", 0, "ready", "ready", "ended", 1, "none", 9),
    ("updating-then-running", "shipped", 0, "ready", "ready", "ended", 1, "none", 6),
    ("updating-then-running", "user", 11, "failed", "failed", "unmatched", 1, "resume", 4),
]
TABLE = [
    pytest.param(f"{name}_plan", scenario, *rest, id=f"{name}-{scenario}")
    for scenario, document, *rest in SCENARIOS
    for name in (("shipped", "user") if document == "both" else (document,))
]


@pytest.mark.parametrize(
    ("document", "scenario", "code", "phase", "state", "reason", "creates", "action", "calls"), TABLE
)
def test_a_run_ends_as_the_service_behaves(
    request: pytest.FixtureRequest,
    store: Any,
    make_runner: Any,
    deploy_inputs: Any,
    secret: str,
    document: str,
    scenario: str,
    code: int,
    phase: str,
    state: str,
    reason: str,
    creates: int,
    action: str,
    calls: int | None,
) -> None:
    plan = request.getfixturevalue(document)
    with Simulator(scenario, token=secret) as simulator:
        result = make_runner(store, simulator.url).start(plan, deploy_inputs, run_id="r").result()

        assert (result.exit_code, result.phase, result.state, result.reason) == (code, phase, state, reason)
        assert (simulator.creates, simulator.create_requests) == (creates, 1)
        assert result.next.action == action
        assert result.calls == len(simulator.requests) == (calls or result.calls)
        assert secret not in str(result.to_json())


def test_the_server_says_how_long_to_wait(
    store: Any, make_runner: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    clock = ManualClock()
    with Simulator("poll-429-retry-after", token=secret) as simulator:
        make_runner(store, simulator.url, clock=clock).start(shipped_plan, deploy_inputs).result()

    assert clock.waits == [5.0, 1.0, 11.25, 16.875, 25.312, 30.0]


def test_a_run_that_is_stuck_looks_a_last_time_at_its_deadline(
    store: Any, make_runner: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    clock = ManualClock(0.0)
    with Simulator("stuck-initializing", token=secret) as simulator:
        run = make_runner(store, simulator.url, clock=clock).start(
            shipped_plan, deploy_inputs, settings=Settings(deadline=60.0)
        )
        result = run.result()

    assert (result.exit_code, clock.now()) == (12, 60.0)


def test_a_server_that_is_down_gets_nothing_and_is_not_ready(
    store: Any, make_runner: Any, shipped_plan: Plan, deploy_inputs: Any, closed_port: int
) -> None:
    runner = make_runner(store, f"http://127.0.0.1:{closed_port}/v2")

    result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    assert (result.exit_code, result.reason, result.calls) == (10, "broke", 0)
    assert [one.outcome for one in result.effects] == ["not_applied"]
    assert "refused" in result.message


# -- what is settled by somebody ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "scenario", "first", "choice", "outputs"),
    [
        pytest.param("user_plan", "created-200", 10, "accept", {}, id="unexpected-success-accepted"),
        pytest.param("shipped_plan", "ambiguous-create", 13, "adopt", NAME, id="reset-adopted"),
        pytest.param("user_plan", "ambiguous-create", 13, "adopt", NAME, id="reset-adopted-user"),
        pytest.param("shipped_plan", "created-but-unreadable", 13, "adopt", NAME, id="unreadable-adopted"),
        pytest.param("shipped_plan", "create-500-but-created", 10, "adopt", NAME, id="500-adopted"),
    ],
)
def test_what_was_applied_is_adopted_and_never_made_twice(
    request: pytest.FixtureRequest,
    store: Any,
    make_runner: Any,
    deploy_inputs: Any,
    secret: str,
    document: str,
    scenario: str,
    first: int,
    choice: Any,
    outputs: Any,
) -> None:
    plan = request.getfixturevalue(document)
    with Simulator(scenario, token=secret) as simulator:
        begun = make_runner(store, simulator.url).start(plan, deploy_inputs, run_id="r").result()
        settled = make_runner(store, simulator.url).resolve("r", choice, outputs=outputs)
        sent = len(simulator.requests)
        result = make_runner(store, simulator.url).resume("r").result()

        assert begun.exit_code == first
        assert (settled.reason, settled.next.action, sent) == ("interrupted", "resume", 1)
        assert (result.exit_code, result.outputs["endpointName"]) == (0, "my-endpoint")
        assert (simulator.creates, simulator.create_requests) == (1, 1)
        assert [one.outcome for one in result.effects] == ["applied"]


def test_a_500_is_a_doubt_once_the_run_is_taken_up(
    store: Any, make_runner: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    with Simulator("create-500-but-created", token=secret) as simulator:
        runner = make_runner(store, simulator.url)
        first = runner.start(shipped_plan, deploy_inputs, run_id="r").result()
        again = runner.resume("r").result()
        once_more = runner.start(shipped_plan, deploy_inputs, run_id="r").result()
        runner.resolve("r", "adopt", outputs=NAME)

        assert [one.exit_code for one in (first, again, once_more)] == [10, 13, 13]
        assert (runner.resume("r").result().exit_code, simulator.create_requests) == (0, 1)


def test_what_was_not_sent_is_sent_once(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    transport = scripted(("unknown", "reset"), CREATED, polled("running"))
    runner = make_runner(store, transport=transport)
    runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    settled = runner.resolve("r", "not_sent")
    held_back = len(transport.calls)
    result = runner.resume("r").result()

    assert (settled.exit_code, held_back) == (16, 1)
    assert (result.exit_code, len(transport.calls)) == (0, 3)
    assert [one.outcome for one in result.effects] == ["not_applied", "applied"]


@pytest.mark.parametrize(
    ("outcomes", "choice", "outputs", "code"),
    [
        pytest.param([409], "not_sent", {}, "AZM-U050", id="definitely-refused"),
        pytest.param([("not_sent", "dns")], "adopt", NAME, "AZM-U050", id="definitely-not-sent"),
        pytest.param([CREATED, polled("running")], "accept", {}, "AZM-U050", id="ready"),
        pytest.param([CREATED, 404], "not_sent", {}, "AZM-U050", id="a-poll-failed"),
        pytest.param([("unknown", "reset")], "adopt", {"other": 1}, "AZM-U051", id="no-such-output"),
        pytest.param([("unknown", "reset")], "accept", {}, "AZM-U052", id="no-answer"),
        pytest.param([500], "accept", {}, "AZM-U052", id="no-success"),
    ],
)
def test_what_is_not_in_doubt_cannot_be_settled(
    store: Any,
    make_runner: Any,
    scripted: Any,
    shipped_plan: Plan,
    deploy_inputs: Any,
    outcomes: list[Any],
    choice: Any,
    outputs: Any,
    code: str,
) -> None:
    runner = make_runner(store, transport=scripted(*outcomes))
    before = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    with pytest.raises(UsageError) as caught:
        runner.resolve("r", choice, outputs=outputs)

    assert caught.value.code == code
    assert runner.result("r") == before
    assert store.held("r") is None


def test_a_refused_token_stops_a_run_until_it_is_renewed(
    store: Any, make_runner: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    with Simulator("token-expired-401-mid-poll", token=secret) as simulator:
        runner = make_runner(store, simulator.url)
        stopped = runner.start(shipped_plan, deploy_inputs, run_id="r").result()
        still = runner.resume("r").result()
        simulator.renew_token()
        result = runner.resume("r").result()

        assert [one.exit_code for one in (stopped, still, result)] == [14, 14, 0]
        assert simulator.create_requests == 1


# -- the same id -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "codes", "attempt", "kinds"),
    [
        pytest.param([CREATED, polled("running")], [], (0, 0), 1, [], id="ready-gives-its-result"),
        pytest.param(
            [CREATED, polled("failed")], [polled("running")], (10, 0), 1, ["run.reopened"], id="applied-is-observed"
        ),
        pytest.param(
            [CREATED, polled("paused")], [polled("paused")], (11, 11), 1, ["run.reopened"], id="unmatched-is-observed"
        ),
        pytest.param([409], [CREATED, polled("running")], (10, 0), 2, ["run.started"], id="not-applied-starts-over"),
        pytest.param(
            [("not_sent", "refused")], [CREATED, polled("running")], (10, 0), 2, ["run.started"], id="down-starts-over"
        ),
        pytest.param([500], [], (10, 13), 1, ["run.reopened"], id="perhaps-applied-is-in-doubt"),
        pytest.param([("unknown", "reset")], [], (13, 13), 1, [], id="in-doubt-stays"),
        pytest.param([401], [CREATED, polled("running")], (14, 0), 1, ["run.reopened"], id="refused-token-sends-anew"),
    ],
)
def test_starting_the_same_run_again_goes_on_with_it(
    store: Any,
    make_runner: Any,
    scripted: Any,
    shipped_plan: Plan,
    deploy_inputs: Any,
    first: list[Any],
    second: list[Any],
    codes: tuple[int, int],
    attempt: int,
    kinds: list[str],
) -> None:
    one = make_runner(store, transport=scripted(*first)).start(shipped_plan, deploy_inputs, run_id="r").result()
    before = len(store.history("r"))
    transport = scripted(*second)
    two = make_runner(store, transport=transport).start(shipped_plan, deploy_inputs, run_id="r").result()

    history = store.history("r")
    assert (one.exit_code, two.exit_code) == codes
    assert (store.load("r").head.attempt, len(transport.calls)) == (attempt, len(second))
    assert [record.kind for record in (history[:1] if attempt == 2 else history[before : before + 1])] == kinds


def test_starting_an_unfinished_run_again_resumes_it(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    run = make_runner(store, transport=scripted(CREATED)).start(shipped_plan, deploy_inputs, run_id="r")
    records = iter(run)
    assert [next(records).kind, next(records).kind] == ["run.started", "call.replied"]
    run.close()
    transport = scripted(polled("running"))

    result = make_runner(store, transport=transport).start(shipped_plan, deploy_inputs, run_id="r").result()

    assert (result.exit_code, [call.kind for call in transport.calls]) == (0, ["safe"])
    assert [one.kind for one in store.history("r")] == ["run.started", "call.replied", "call.replied"]


def test_a_ready_run_needs_neither_its_secret_nor_its_server(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    make_runner(store, transport=scripted(CREATED, polled("running"))).start(
        shipped_plan, deploy_inputs, run_id="r"
    ).result()
    runner = make_runner(store, secret_texts={}, servers={"inferenceEndpointsApi": "not a url"})

    assert runner.start(shipped_plan, deploy_inputs, run_id="r").result().exit_code == 0
    assert runner.resume("r").result().exit_code == 0


@pytest.mark.parametrize("what", ["inputs", "document"])
def test_another_run_under_the_same_id_is_refused(
    store: Any,
    make_runner: Any,
    scripted: Any,
    shipped_plan: Plan,
    retry_plan: Plan,
    deploy_inputs: Any,
    what: str,
) -> None:
    make_runner(store, transport=scripted(409)).start(shipped_plan, deploy_inputs, run_id="r").result()
    before = store.load("r")
    other = (retry_plan, {}) if what == "document" else (shipped_plan, {**deploy_inputs, "region": "eu-west-1"})

    with pytest.raises(IdentityError) as caught:
        make_runner(store).start(*other, run_id="r")

    assert caught.value.exit_code == 65
    assert what in caught.value.message
    assert store.load("r") == before


def test_another_reference_and_other_settings_are_not_another_run_and_apply_from_now_on(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    clock = ManualClock()
    first = make_runner(store, transport=scripted(CREATED, 404), clock=clock)
    first.start(shipped_plan, deploy_inputs, run_id="r", settings=Settings(call_timeout=9.0)).result()
    inputs = {**deploy_inputs, "hfToken": Reference("@file:/other")}
    transport = scripted(polled("pending"), polled("running"))
    again = make_runner(store, transport=transport, clock=clock)

    settings = Settings(poll_interval=3.0, call_timeout=9.0)
    result = again.start(shipped_plan, inputs, run_id="r", settings=settings).result()

    reopened = store.history("r")[-3]
    assert (result.exit_code, clock.waits) == (0, [3.0])
    assert (reopened.kind, reopened.event["changes"]) == ("run.reopened", {"poll_interval": 3.0})
    assert store.load("r").head.options["secrets"] == {"hfToken": "@file:/other"}
    assert store.load("r").snapshot.settings == settings


def test_a_run_that_is_held_is_busy(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    run = make_runner(store, transport=scripted()).start(shipped_plan, deploy_inputs, run_id="r")
    runner: Runner = make_runner(store)

    with run:
        with pytest.raises(BusyError) as started:
            runner.start(shipped_plan, deploy_inputs, run_id="r")
        with pytest.raises(BusyError) as resumed:
            runner.resume("r")
        with pytest.raises(BusyError) as resolved:
            runner.resolve("r", "not_sent")

    assert [caught.value.exit_code for caught in (started, resumed, resolved)] == [75, 75, 75]


def test_without_an_id_a_run_gets_one_that_sorts_by_time(
    make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    store, clock = MemoryStore(), ManualClock()
    ids = []
    for _ in range(3):
        clock.advance(1.0)
        run = make_runner(store, transport=scripted(409), clock=clock).start(shipped_plan, deploy_inputs)
        ids.append(run.result().run)

    assert sorted(ids) == ids
    assert len(set(ids)) == 3


# -- resuming ----------------------------------------------------------------------------------------------------------


def test_more_time_is_counted_from_the_moment_it_is_given(
    store: Any, make_runner: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    clock = ManualClock(0.0)
    with Simulator("slow-start", token=secret) as simulator:
        runner = make_runner(store, simulator.url, clock=clock)
        runner.start(shipped_plan, deploy_inputs, run_id="r", settings=Settings(deadline=60.0)).result()
        clock.advance(1000.0)
        still = runner.resume("r").result()
        given = clock.now()
        result = runner.resume("r", changes={"deadline": 500.0, "poll_interval": 1.0}).result()

        assert (still.exit_code, result.exit_code, simulator.create_requests) == (12, 0, 1)

    reopened = [one for one in store.history("r") if one.kind == "run.reopened"]
    assert [one.event["changes"] for one in reopened] == [{}, {"deadline": 500.0, "poll_interval": 1.0}]
    assert all("@" in one.event["by"] for one in reopened)
    assert store.load("r").snapshot.deadline == given + 500.0
    assert clock.now() < given + 500.0


def test_a_change_to_a_run_that_only_waits_is_journalled_too(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    run = make_runner(store, transport=scripted(CREATED)).start(shipped_plan, deploy_inputs, run_id="r")
    records = iter(run)
    assert [next(records).seq, next(records).seq] == [1, 2]
    run.close()

    make_runner(store, transport=scripted(polled("running"))).resume("r", changes={"call_timeout": 5.0}).result()

    assert [one.kind for one in store.history("r")][2:] == ["run.reopened", "call.replied"]
    assert store.load("r").snapshot.settings.call_timeout == 5.0


@pytest.mark.parametrize("changes", [{"speed": 1}, {"deadline": 1.0, "spede": 2}])
def test_a_change_of_what_is_no_setting_is_refused(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any, changes: Any
) -> None:
    runner = make_runner(store, transport=scripted(CREATED, 404))
    before = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    with pytest.raises(UsageError):
        runner.resume("r", changes=changes).result()

    assert runner.result("r") == before


def test_a_run_nobody_knows_cannot_be_resumed(store: Any, make_runner: Any) -> None:
    with pytest.raises(UsageError) as caught:
        make_runner(store).resume("r")

    assert caught.value.exit_code == 64
    assert store.held("r") is None


@pytest.mark.parametrize("verb", ["resume", "start"])
def test_a_secret_that_cannot_be_had_any_more_leaves_the_run_resumable(
    store: Any,
    make_runner: Any,
    scripted: Any,
    shipped_plan: Plan,
    deploy_inputs: Any,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    make_runner(store, transport=scripted(CREATED, 404)).start(shipped_plan, deploy_inputs, run_id="r").result()
    before = store.load("r").snapshot
    runner = make_runner(store, secret_texts={}, transport=scripted(polled("running")))

    with pytest.raises(CredentialError) as caught:
        runner.resume("r") if verb == "resume" else runner.start(shipped_plan, deploy_inputs, run_id="r")
    monkeypatch.setenv("HF_TOKEN", "hf_another-token")

    assert caught.value.exit_code == 14
    assert (store.load("r").snapshot, store.held("r")) == (before, None)
    assert runner.resume("r").result().exit_code == 0


def test_a_secret_may_come_from_elsewhere_from_now_on(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_TOKEN", "hf_another-token")
    make_runner(store, transport=scripted(CREATED, 401)).start(shipped_plan, deploy_inputs, run_id="r").result()
    transport = scripted(polled("running"))
    runner = make_runner(store, secret_texts={}, transport=transport)

    runner.resume("r", references={"hfToken": Reference("@env:OTHER_TOKEN")}).result()

    (_, header), *_ = transport.calls[0].request.headers
    assert transport.book.join(header) == "Bearer hf_another-token"
    assert store.load("r").head.options["secrets"] == {"hfToken": "@env:OTHER_TOKEN"}


def test_servers_are_stored_and_apply_on_resume(
    store: Any, make_runner: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    with Simulator("deleted-mid-wait", token=secret) as simulator:
        options: dict[str, Any] = {"servers": {"inferenceEndpointsApi": simulator.url}, "simulate": None}
        runner = make_runner(store)
        runner.start(shipped_plan, deploy_inputs, run_id="r", options=options).result()
        sent = len(simulator.requests)
        make_runner(store).resume("r").result()

        assert len(simulator.requests) == sent + 1

    stored = store.load("r").head.options
    make_runner(store).resume("r", options={"servers": {"other": "http://127.0.0.1:1"}, "allow_hosts": []})
    assert store.load("r").head.options["servers"] == {**stored["servers"], "other": "http://127.0.0.1:1"}


# -- before a run exists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "inputs", "error", "code"),
    [
        pytest.param({"secret_texts": {}}, {}, CredentialError, 78, id="no-secret"),
        pytest.param({}, {"name": 5}, InputError, 65, id="bad-input"),
        pytest.param({"servers": {"inferenceEndpointsApi": "ftp://x.example"}}, {}, HostError, 78, id="bad-server"),
        pytest.param(
            {"servers": {"inferenceEndpointsApi": "http://x.example"}}, {}, HostError, 78, id="secret-over-plain-http"
        ),
        pytest.param({"secret_texts": {"hfToken": "a\nb"}}, {}, InputError, 65, id="secret-with-a-line-end"),
    ],
)
def test_what_is_wrong_before_a_run_exists_leaves_nothing_behind(
    store: Any,
    make_runner: Any,
    shipped_plan: Plan,
    deploy_inputs: Any,
    monkeypatch: pytest.MonkeyPatch,
    options: Any,
    inputs: Any,
    error: type[Exception],
    code: int,
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)

    with pytest.raises(error) as caught:
        make_runner(store, **options).start(shipped_plan, {**deploy_inputs, **inputs}, run_id="r")

    assert caught.value.exit_code == code  # type: ignore[attr-defined]
    assert (store.runs(), store.held("r")) == ([], None)


def test_plain_http_is_good_enough_where_no_secret_is_sent(
    store: Any, make_runner: Any, scripted: Any, retry_plan: Plan
) -> None:
    transport = scripted((201, {"id": 1}))
    runner = make_runner(store, servers={"api": "http://things.example.com"}, transport=transport)

    assert runner.start(retry_plan, {}).result().exit_code == 0


def test_a_call_that_is_refused_before_it_is_sent_is_no_doubt(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    refusal = HostError("create would go nowhere", code="AZM-C032")

    result = make_runner(store, transport=scripted(refusal)).start(shipped_plan, deploy_inputs, run_id="r").result()

    assert (result.exit_code, result.reason, result.calls) == (10, "broke", 0)
    assert [one.outcome for one in result.effects] == ["not_applied"]
    assert "create would go nowhere" in result.message


def test_inputs_may_be_prepared_beforehand(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    runner: Runner = make_runner(store, transport=scripted(CREATED, polled("running")))

    run = runner.start(shipped_plan, prepare(shipped_plan, deploy_inputs), texts={"a.yaml": b"a: 1"})

    assert run.result().exit_code == 0
    assert store.blob(store.load(run.id).head.documents["a.yaml"]) == b"a: 1"


def test_a_resumed_run_follows_the_plan_it_began_with(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any, tmp_path: Any
) -> None:
    make_runner(store, transport=scripted(CREATED, 404)).start(shipped_plan, deploy_inputs, run_id="r").result()
    runner = make_runner(store, transport=scripted(polled("running")))

    assert runner.plan_of(store.load("r")).text() == shipped_plan.text()
    assert runner.resume("r").result().exit_code == 0


# -- what a run is told apart by ---------------------------------------------------------------------------------------


def test_chance_is_the_same_after_it_was_written_down() -> None:
    assert Runner(MemoryStore(), chance=lambda: 0.123456789).chance() == 0.123457


def test_the_head_of_an_id_is_the_second_in_32_signs(make_runner: Any) -> None:
    signs = "0123456789abcdefghjkmnpqrstvwxyz"
    ids = []
    for second in (0, 1, 31, 32, 1_700_000_000, 2**35 - 1):
        ids.append(make_runner(MemoryStore(), clock=ManualClock(float(second))).new_id())
        head, _, tail = ids[-1].partition("-")

        assert sum(signs.index(one) * 32**place for place, one in enumerate(reversed(head))) == second
        assert (len(head), len(tail), set(tail) <= set(signs)) == (7, 6, True)

    assert sorted(ids) == ids


def test_every_run_begins_with_a_nonce_of_its_own(
    make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    store = MemoryStore()
    runner = make_runner(store, transport=scripted(409, 409))
    for run_id in ("one", "two"):
        runner.start(shipped_plan, deploy_inputs, run_id=run_id).result()
    nonces = [store.history(run_id)[0].event["nonce"] for run_id in ("one", "two")]

    assert [len(bytes.fromhex(one)) for one in nonces] == [16, 16]
    assert nonces[0] != nonces[1]


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        pytest.param({"document_sha256": "0" * 64}, True, id="edited"),
        pytest.param({"document_sha256": "0" * 64, "document": "other.yaml"}, False, id="another-document"),
        pytest.param({"workflow": "other"}, False, id="another-workflow"),
    ],
)
def test_only_an_edited_document_is_offered_to_go_on_with(
    make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any, changes: Any, offered: bool
) -> None:
    runner = make_runner(MemoryStore(), transport=scripted(409))
    runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    with pytest.raises(IdentityError) as caught:
        runner.start(replace(shipped_plan, **changes), prepare(shipped_plan, deploy_inputs), run_id="r")

    assert caught.value.code == "AZM-C010"
    assert caught.value.next.endswith(" --use-edited") == offered


def test_a_process_that_died_while_it_called_is_said_to_have(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    with make_runner(store, transport=scripted()).start(shipped_plan, deploy_inputs, run_id="r") as run:
        next(iter(run))
    make_runner(store).cancel("r")
    failed = store.history("r")[-2].event

    assert (failed["event"], failed["fate"], failed["cause"]) == ("call_failed", "unknown", "interrupted")
    assert failed["message"] == "the runner stopped between sending it and reading the answer"


def test_an_input_that_holds_the_text_of_a_secret_begins_no_run(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    runner = make_runner(store, transport=(transport := scripted()))

    with pytest.raises(InputError) as caught:
        runner.start(shipped_plan, {**deploy_inputs, "region": f"was {secret}"}, run_id="r")

    assert caught.value.code == "AZM-I014"
    assert (store.runs(), transport.calls) == ([], [])
