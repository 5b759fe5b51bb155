"""Nothing of ours stays running: a timer types one command again and again, and each does a little."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("patience", ["--once", "--no-wait"])
@pytest.mark.parametrize("verb", ["run", "resume"])
def test_the_same_command_leads_to_ready(shell: Any, simulate: Any, deploy: Any, patience: str, verb: str) -> None:
    service = simulate("happy")
    # Between two calls of --no-wait there has to be a wait, and it is over when the next process has started.
    begin = ["run", *deploy, "--server", service.url, "--poll-interval", "20ms", "--id", "nightly", patience, "--json"]
    again = begin if verb == "run" else ["resume", "nightly", patience, "--json"]
    done = [shell(*begin)]
    while done[-1].code == 16 and len(done) < 20:
        done.append(shell(*again))
    summary = service.summary()

    assert done[-1].code == 0
    assert done[-1].json["phase"] == "ready"
    assert {one.code for one in done[:-1]} == {16}
    for one in done[:-1]:
        assert (one.json["reason"], one.json["resumable"]) == ("waiting", True)
        assert one.json["next"] == {"action": "resume", "command": "arazzo-machine resume nightly"}
    if patience == "--once":
        # A create with the look before it, then six polls.
        assert [one.json["calls"] for one in done] == list(range(2, 9))
    assert (summary["creates"], summary["create_requests"]) == (1, 1)


def test_a_command_that_comes_before_the_next_call_is_due_makes_none(shell: Any, simulate: Any, deploy: Any) -> None:
    service = simulate("happy")
    command = ["run", *deploy, "--server", service.url, "--poll-interval", "600s", "--id", "nightly", "--no-wait"]
    first = shell(*command, "--json")
    second = shell(*command, "--json")

    assert (first.code, second.code) == (16, 16)
    assert second.json["calls"] == first.json["calls"]
    assert "the next call is due at" in second.json["message"]
