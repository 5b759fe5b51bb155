"""Somebody presses Ctrl-C, or the system shuts down: the run stops at once or after the request in flight."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SIGNALS = [
    pytest.param(signal.SIGINT, 130, id="SIGINT"),
    pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
]


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
def test_a_signal_while_waiting_ends_the_process_at_once(
    shell: Any, simulate: Any, deploy: Any, signum: signal.Signals, code: int
) -> None:
    service = simulate()
    runner = shell.start(
        "run", *deploy, "--server", service.url, "--poll-interval", "600s", "--id", "one", "--json", new=True
    )
    runner.wait_for("next look in")
    before = time.monotonic()
    runner.send(signum)
    ended = runner.end()
    took = time.monotonic() - before

    shown = shell.show("one")
    resumed = shell("resume", "--poll-interval", "0s")

    assert ended.code == code
    # Of ten minutes it would have waited; a second would do, were it not for machines with more to do than this.
    assert took < 2
    assert (ended.json["reason"], ended.json["resumable"]) == ("interrupted", True)
    assert ended.json["next"] == {"action": "resume", "command": "arazzo-machine resume one"}
    # "interrupted", where a run that is still held would be "running".
    assert shown == ended.json
    assert resumed.code == 0
    assert service.summary()["create_requests"] == 1


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
def test_a_request_in_flight_is_finished_and_its_answer_kept(
    shell: Any, told: Any, deploy: Any, signum: signal.Signals, code: int
) -> None:
    told.hold = "POST"
    runner = shell.start("run", *deploy, "--server", told.url, "--id", "one")
    assert told.arrived.wait(30)
    runner.send(signum)
    told.release.set()
    ended = runner.end()

    shown = shell.show("one")

    assert ended.code == code
    assert (shown["phase"], shown["calls"], shown["reason"]) == ("created", 2, "interrupted")
    assert shown["effects"][0]["outcome"] == "applied"
    assert "arazzo-machine resume one" in ended.err


def test_a_second_signal_does_not_wait_for_the_answer(shell: Any, told: Any, deploy: Any) -> None:
    told.hold = "POST"
    runner = shell.start("run", *deploy, "--server", told.url, "--id", "one")
    assert told.arrived.wait(30)
    while runner.process.poll() is None:
        # Two that arrive together count as one, so they are sent until they have been counted.
        runner.send(signal.SIGINT)
        time.sleep(0.01)
    ended = runner.end()
    told.release.set()

    resumed = shell("resume", "one", "--on-doubt", "hold", "--json")

    assert ended.code == 130
    assert resumed.code == 13
    assert told.posts == 1


def test_a_signal_before_anything_was_sent_ends_the_command_with_one_object(shell: Any, deploy: Any) -> None:
    waiting = shell.start("run", *deploy, "--json", "-i", "region=@cmd:echo waiting >&2; exec sleep 60")
    waiting.wait_for("waiting")
    waiting.send(signal.SIGTERM)
    ended = waiting.end()

    assert ended.code == 143
    assert ended.json["error"]["code"] == "AZM-U002"


EARLY = """
import os, sys
import machine.__main__ as command
command._listen()
os.kill(os.getpid(), int(sys.argv.pop(1)))
command.main()
"""


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
def test_a_signal_before_the_command_was_loaded_is_answered_like_any_other(signum: signal.Signals, code: int) -> None:
    words = [sys.executable, "-c", EARLY, str(int(signum)), "plan", "deploy-inference-endpoint", "--json"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == code
    assert json.loads(ended.stdout)["error"]["code"] == "AZM-U002"
    assert "Traceback" not in ended.stderr


def test_the_simulator_ends_by_a_signal_too(shell: Any) -> None:
    simulator = shell.start("simulate", "hugging-face")
    assert simulator.process.stdout is not None
    url = simulator.process.stdout.readline()
    simulator.send(signal.SIGTERM)

    assert url.startswith("http://127.0.0.1:")
    assert simulator.end().code == 143
