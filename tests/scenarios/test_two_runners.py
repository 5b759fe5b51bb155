"""Two processes want one run: the second leaves it alone and says who has it."""

from __future__ import annotations

import signal
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("simulated", [False, True], ids=["a-server", "simulated"])
def test_the_second_runner_is_turned_away_and_told_who_has_the_run(
    shell: Any, simulate: Any, deploy: Any, simulated: bool
) -> None:
    side = ["--simulate", "stuck-initializing"] if simulated else ["--server", simulate("stuck-initializing").url]
    command = ["run", *deploy, *side, "--id", "one", "--poll-interval", "300ms"]
    first = shell.start(*command)
    first.wait_for("polling")

    same = shell(*command, "--json")
    resumed = shell("resume", "--json")
    settled = shell("resolve", "one", "--not-sent", "--json")
    listed = shell("runs", "--json").json["runs"]
    first.send(signal.SIGTERM)

    assert (same.code, resumed.code, settled.code) == (75, 75, 75)
    for done in (same, resumed, settled):
        assert f"process {first.pid} " in done.json["error"]["message"]
    assert [(one["run"], one["reason"]) for one in listed] == [("one", "running")]
    assert first.end().code == 143
