"""``show --follow``: a run of another process is told as it goes, and the watching changes nothing of it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from machine.cli import following
from machine.runtime.clock import Interrupted, SystemClock
from machine.runtime.runner import Runner
from machine.stores.sqlite import open_store
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

SEEN = ["pending,", "initializing,", "running,"]


def one_call() -> None:
    """Go on with the run for one call, as another process would."""
    with open_store() as store, Simulator("happy", state_file=Path("runs.db.simulator/one.json")) as simulator:
        runner = Runner(
            store,
            clock=ManualClock(store.load("one").snapshot.started or 0.0),
            servers={"inferenceEndpointsApi": simulator.url},
            secret_texts={"hfToken": "simulated"},
            patience="call",
        )
        runner.resume("one").result()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_GLANCE", 0.01)


@pytest.mark.parametrize(("scenario", "code"), [("happy", 0), ("failed-image", 10)])
def test_a_run_that_has_ended_gives_its_result_and_its_code(
    machine: Any, deploy: Any, scenario: str, code: int
) -> None:
    before = machine(*deploy, scenario, "--id", "one", "--json").json
    done = machine("show", "one", "--follow", "--json")

    assert done.code == code
    assert done.json == before


def test_a_run_is_watched_until_it_ends(machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(*deploy, "happy", "--once", "--id", "one")

    def wait(self: Any, seconds: float, interrupts: Any) -> None:
        """Between two glances another process goes on with the run for one call."""
        other = threading.Thread(target=one_call)
        other.start()
        other.join()

    monkeypatch.setattr(SystemClock, "wait", wait)
    done = machine("show", "one", "--follow")
    lines = done.err.splitlines()

    assert done.code == 0
    assert lines[0] == "run one, deploy-inference-endpoint, is in created"
    assert "nobody runs it now; to go on with it: arazzo-machine resume one" in lines
    assert [line.split()[3] for line in lines if line.startswith(("polling", "ready"))] == SEEN
    assert "state: running" in done.out


def test_a_signal_ends_the_watching_and_not_the_run(machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(*deploy, "happy", "--once", "--id", "one")
    before = machine("show", "one", "--json").json

    def wait(self: Any, seconds: float, interrupts: Any) -> None:
        raise Interrupted(2)

    monkeypatch.setattr(SystemClock, "wait", wait)
    done = machine("show", "one", "--follow")

    assert done.code == 130
    assert done.err.splitlines()[-1].startswith("no longer watched; it goes on by itself: ")
    assert machine("show", "one", "--json").json == before
