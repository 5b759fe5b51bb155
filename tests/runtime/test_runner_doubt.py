"""The whole shipped workflow, which looks before it creates and finds out by itself what became of a create."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.plan.model import Plan
from machine.runtime.http import Transport
from machine.stores import MemoryStore
from machine.testing.clock import ManualClock
from machine.testing.scenarios import Fault, find_scenario
from machine.testing.server import Simulator

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running", "url": "https://x.example"}}
ADOPT = Settings(adopt_existing=True)
THEIRS = {"model": {"repository": "bert"}, "provider": {"region": "us-east-1"}, "name": "my-endpoint"}
OURS = {**THEIRS, "model": {"repository": "gpt2"}, "status": {"state": "running"}}
WRITES = ("create", "append", "mark_intent", "keep")


def methods(transport: Any) -> list[str]:
    return [call.request.method for call in transport.calls]


# -- every way the service can behave ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "settings", "code", "reason", "creates", "posts", "calls", "action"),
    [
        pytest.param("happy", None, 0, "ended", 1, 1, 8, "none", id="happy"),
        pytest.param("ambiguous-create", None, 0, "ended", 1, 1, 8, "none", id="reset-after-the-effect"),
        pytest.param("create-500-but-created", None, 0, "ended", 1, 1, 8, "none", id="500-but-created"),
        pytest.param("created-but-unreadable", None, 0, "ended", 1, 1, 8, "none", id="created-but-unreadable"),
        pytest.param("created-200", None, 0, "ended", 1, 1, 8, "none", id="created-200"),
        pytest.param("duplicate-409", None, 10, "broke", 0, 1, 2, "fix", id="taken"),
        pytest.param("duplicate-409", ADOPT, 10, "broke", 0, 1, 3, "fix", id="taken-by-something-else"),
        pytest.param("quota-409", None, 10, "broke", 0, 1, 2, "fix", id="no-quota"),
        pytest.param("quota-409", ADOPT, 10, "broke", 0, 1, 3, "fix", id="no-quota-and-nothing-to-adopt"),
        pytest.param("failed-image", None, 10, "broke", 1, 1, 8, "resume", id="failed"),
        pytest.param("paused-by-colleague", None, 11, "unmatched", 1, 1, 8, "resume", id="paused"),
        pytest.param("get-404-grace", None, 10, "broke", 1, 1, 3, "resume", id="not-there-yet"),
        pytest.param("token-expired-401-mid-poll", None, 14, "credential", 1, 1, 6, "resume", id="refused-token"),
    ],
)
def test_the_whole_workflow_ends_as_the_service_behaves(
    store: Any,
    make_runner: Any,
    probing_plan: Plan,
    deploy_inputs: Any,
    secret: str,
    scenario: str,
    settings: Settings | None,
    code: int,
    reason: str,
    creates: int,
    posts: int,
    calls: int,
    action: str,
) -> None:
    inputs = {**deploy_inputs, "repository": "acme/other"} if settings else deploy_inputs
    with Simulator(scenario, token=secret) as simulator:
        result = make_runner(store, simulator.url).start(probing_plan, inputs, run_id="r", settings=settings).result()

        assert (result.exit_code, result.reason) == (code, reason)
        assert (simulator.creates, simulator.create_requests) == (creates, posts)
        assert result.calls == len(simulator.requests) == calls
        assert result.next.action == action


def test_what_was_there_before_is_adopted_where_that_was_asked_for(
    store: Any, make_runner: Any, probing_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    with Simulator("duplicate-409", token=secret) as simulator:
        result = make_runner(store, simulator.url).start(probing_plan, deploy_inputs, settings=ADOPT).result()

        assert (result.exit_code, result.outputs["endpointName"]) == (0, "my-endpoint")
        assert (simulator.creates, [one.outcome for one in result.effects]) == (0, ["applied"])


# -- never two ---------------------------------------------------------------------------------------------------------


def test_a_create_that_never_arrived_is_sent_again_once_nothing_can_come_late(
    store: Any, make_runner: Any, probing_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    clock = ManualClock()
    before = replace(find_scenario("happy"), faults=(Fault(route="create", last=1, cut="reset"),))
    with Simulator(before, token=secret) as simulator:
        run = make_runner(store, simulator.url, clock=clock).start(probing_plan, deploy_inputs, run_id="r")
        records = list(run)
        result = run.result()

        assert result.exit_code == 0
        assert (simulator.creates, simulator.create_requests) == (1, 2)
        assert [one.outcome for one in result.effects] == ["not_applied", "applied"]

    first, second = (one.at for one in store.load("r").snapshot.ledger)
    settle = probing_plan.calls["createEndpoint"].effect.settle
    probing = [one for one in records if one.source == one.target == records[3].source]
    assert second - first == settle
    assert sum(clock.waits[: len(probing)]) == settle


@pytest.mark.parametrize("settle", [0.0, 30.0, 600.0])
def test_how_long_an_absence_does_not_count_can_be_chosen(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any, settle: float
) -> None:
    clock = ManualClock()
    transport = scripted(404, ("unknown", "reset"), *[404] * 40)

    def posted() -> bool:
        return methods(transport).count("POST") == 2

    run = make_runner(store, transport=transport, clock=clock).start(
        probing_plan, deploy_inputs, settings=Settings(settle=settle)
    )
    began = clock.now()
    for _ in run:
        if posted():
            break
    run.close()

    assert clock.now() - began == settle


def test_a_create_that_comes_late_is_found_and_adopted(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    transport = scripted(404, ("unknown", "timeout"), 404, 404, (200, OURS), RUNNING)

    result = make_runner(store, transport=transport).start(probing_plan, deploy_inputs).result()

    assert (result.exit_code, methods(transport).count("POST")) == (0, 1)


@pytest.mark.parametrize(
    ("outcomes", "code", "reason"),
    [
        pytest.param([404, ("unknown", "reset"), (200, THEIRS)], 13, "in_doubt", id="another-one-is-there"),
        pytest.param([(200, OURS), ("unknown", "reset"), (200, OURS)], 13, "in_doubt", id="it-was-there-before"),
        pytest.param([503, ("unknown", "reset"), (200, OURS)], 13, "in_doubt", id="nobody-knows-what-was-there"),
        pytest.param([404, ("unknown", "reset"), 401], 14, "credential", id="the-look-is-refused"),
        pytest.param([404, ("unknown", "reset"), 400], 13, "in_doubt", id="the-look-makes-no-sense"),
        pytest.param([404, ("unknown", "reset"), *[503] * 6], 13, "in_doubt", id="the-look-never-works"),
    ],
)
def test_what_a_look_cannot_settle_is_left_to_somebody(
    store: Any,
    make_runner: Any,
    scripted: Any,
    probing_plan: Plan,
    deploy_inputs: Any,
    outcomes: list[Any],
    code: int,
    reason: str,
) -> None:
    transport = scripted(*outcomes)

    result = make_runner(store, transport=transport).start(probing_plan, deploy_inputs, run_id="r").result()

    assert (result.exit_code, result.reason) == (code, reason)
    assert (methods(transport).count("POST"), transport.outcomes) == (1, [])
    assert result.resumable


@pytest.mark.parametrize(
    ("looks", "code", "reason"),
    [
        pytest.param([(200, OURS), RUNNING], 0, "ended", id="ours-came-late"),
        pytest.param([(200, THEIRS)], 13, "in_doubt", id="something-else-is-there"),
        pytest.param([404], 13, "in_doubt", id="nothing-is-there"),
    ],
)
def test_a_conflict_after_an_absence_that_counted_is_looked_into(
    store: Any,
    make_runner: Any,
    scripted: Any,
    probing_plan: Plan,
    deploy_inputs: Any,
    looks: list[Any],
    code: int,
    reason: str,
) -> None:
    # The settle time is what rules out that the first create comes late; here it was chosen too short.
    transport = scripted(404, ("unknown", "reset"), 404, 409, *looks)
    short = Settings(settle=0.0)

    result = make_runner(store, transport=transport).start(probing_plan, deploy_inputs, settings=short).result()

    assert (result.exit_code, result.reason, transport.outcomes) == (code, reason, [])
    assert methods(transport)[:4] == ["GET", "POST", "GET", "POST"]
    assert methods(transport).count("POST") == 2


# -- death at every boundary -------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process died here: nothing may catch it."""


class Fuse:
    """Dies at the chosen boundary: before or after a write or a call."""

    def __init__(self, at: int = 0) -> None:
        self.left, self.count = at, 0

    def boundary(self) -> None:
        self.count += 1
        self.left -= 1
        if self.left == 0:
            raise Killed

    def around(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.boundary()
            result = operation(*args, **kwargs)
            self.boundary()
            return result

        return guarded


class Fused:
    """Anything whose chosen operations can be the last thing a process does."""

    def __init__(self, inner: Any, fuse: Fuse, names: tuple[str, ...]) -> None:
        self._inner, self._fuse, self._names = inner, fuse, names

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._inner, name)
        return self._fuse.around(operation) if name in self._names else operation


def driven(make_runner: Any, store: Any, simulator: Simulator, clock: ManualClock, fuse: Fuse, verb: Any) -> Any:
    """What the verb came to; None where the process died."""
    runner = make_runner(
        Fused(store, fuse, WRITES),
        simulator.url,
        clock=clock,
        transport=lambda *parts: Fused(Transport(*parts), fuse, ("perform",)),
    )
    try:
        return verb(runner).result()
    except Killed:
        return None


FAULTS = [
    pytest.param((), 1, id="answered"),
    pytest.param((Fault(route="create", last=1, effect=True, cut="reset"),), 1, id="lost"),
    pytest.param((Fault(route="create", last=1, cut="reset"),), 2, id="never-arrived"),
]


@pytest.mark.parametrize(("faults", "most"), FAULTS)
def test_wherever_a_process_dies_the_next_one_gets_ready_with_one_create(
    make_runner: Any, probing_plan: Plan, deploy_inputs: Any, secret: str, faults: Any, most: int
) -> None:
    scenario = replace(find_scenario("updating-then-running"), faults=faults)

    def start(runner: Any) -> Any:
        return runner.start(probing_plan, deploy_inputs, run_id="r")

    tried = 0
    while True:
        tried += 1
        clock = ManualClock()
        with Simulator(scenario, token=secret) as simulator, MemoryStore() as store:
            first = driven(make_runner, store, simulator, clock, Fuse(tried), start)
            known = bool(store.runs())
            verb = (lambda runner: runner.resume("r")) if known else start
            second = driven(make_runner, store, simulator, clock, Fuse(), verb)

            where = f"boundary {tried}"
            assert second.exit_code == 0, where
            assert simulator.creates == 1, where
            assert simulator.create_requests <= most, where
            assert second.effects[-1].outcome == "applied", where
            assert second.outputs["endpointName"] == "my-endpoint", where
        if first is not None:
            break
    assert tried > 20


@pytest.mark.parametrize("second", range(1, 30, 3))
@pytest.mark.parametrize("first", [4, 5, 6, 7, 8, 9])
def test_a_process_that_dies_twice_changes_nothing(
    make_runner: Any, probing_plan: Plan, deploy_inputs: Any, secret: str, first: int, second: int
) -> None:
    clock = ManualClock()

    def start(runner: Any) -> Any:
        return runner.start(probing_plan, deploy_inputs, run_id="r")

    with Simulator("ambiguous-create", token=secret) as simulator, MemoryStore() as store:
        driven(make_runner, store, simulator, clock, Fuse(first), start)
        driven(make_runner, store, simulator, clock, Fuse(second), start)
        result = driven(make_runner, store, simulator, clock, Fuse(), start)

        assert (result.exit_code, simulator.creates) == (0, 1)


# -- policies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "code", "posts"),
    [("hold", 13, 1), ("probe", 0, 1), ("fail", 10, 1), ("reissue", 13, 1)],
)
def test_what_is_done_about_doubt_can_be_chosen_and_without_a_key_nothing_is_reissued(
    store: Any,
    make_runner: Any,
    probing_plan: Plan,
    deploy_inputs: Any,
    secret: str,
    policy: Any,
    code: int,
    posts: int,
) -> None:
    with Simulator("ambiguous-create", token=secret) as simulator:
        result = (
            make_runner(store, simulator.url)
            .start(probing_plan, deploy_inputs, settings=Settings(on_doubt=policy))
            .result()
        )

        assert (result.exit_code, simulator.create_requests, simulator.creates) == (code, posts, 1)


def test_a_run_that_holds_looks_once_it_is_told_to(
    store: Any, make_runner: Any, probing_plan: Plan, deploy_inputs: Any, secret: str
) -> None:
    with Simulator("ambiguous-create", token=secret) as simulator:
        runner = make_runner(store, simulator.url)
        runner.start(probing_plan, deploy_inputs, run_id="r", settings=Settings(on_doubt="hold")).result()
        still = runner.resume("r").result()

        result = runner.resume("r", changes={"on_doubt": "probe"}).result()

        assert (still.exit_code, result.exit_code, simulator.create_requests) == (13, 0, 1)
