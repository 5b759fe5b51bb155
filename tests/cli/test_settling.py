"""``resolve`` and ``cancel``: what a person may say about a call nobody knows about, what is refused, what is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.stores.sqlite import SqliteStore

CHOICES = ["--not-sent", "--accept", "--reissue"]
MADE = {"name": "demo", "status": {"state": "pending", "url": None}}


@pytest.fixture
def doubtful(machine: Any, deploy: Any) -> str:
    """The id of a run whose create was applied and answered by nothing; nobody has looked since."""
    done = machine(*deploy, "ambiguous-create", "--on-doubt", "hold", "--id", "one", "--json")

    assert (done.code, done.json["reason"]) == (13, "in_doubt")
    assert done.json["next"] == {"action": "resolve", "command": "arazzo-machine resolve one"}
    return "one"


@pytest.fixture
def created(tmp_path: Path) -> Callable[[], int]:
    """How many creates the run's own simulator was asked for."""

    def count() -> int:
        state = json.loads((tmp_path / "runs.db.simulator" / "one.json").read_text())
        return int(state["counts"]["create"])

    return count


def kinds(path: Path) -> list[str]:
    with SqliteStore(path, read_only=True) as store:
        return [record.kind for record in store.history("one")]


# -- looking -----------------------------------------------------------------------------------------------------------


def test_without_a_choice_the_evidence_is_shown_with_a_command_for_each(
    machine: Any, doubtful: str, tmp_path: Path
) -> None:
    before = kinds(tmp_path / "runs.db")
    done = machine("resolve", doubtful)
    lines = done.out.splitlines()

    assert done.code == 13
    assert lines[0].endswith("s ago: POST /endpoint/acme")
    assert lines[1] == "  GET /endpoint/acme/demo says: found"
    assert "  /model/repository: sent 'gpt2', there 'gpt2'  same" in lines
    assert "it is mine: arazzo-machine resolve one --adopt" in lines
    assert "it was never applied: arazzo-machine resolve one --not-sent" in lines
    assert "I have its answer: arazzo-machine resolve one --reply FILE" in lines
    assert "send it again in any case: arazzo-machine resolve one --reissue --yes" in lines
    assert kinds(tmp_path / "runs.db") == before


def test_the_evidence_is_one_object_with_its_choices_by_name(machine: Any, doubtful: str) -> None:
    done = machine("resolve", doubtful, "--json")
    evidence = done.json["evidence"]

    assert done.code == 13
    assert list(done.json) == ["run", "evidence", "commands"]
    assert list(done.json["commands"]) == ["adopt", "not_sent", "reply", "reissue"]
    assert (evidence["step"], evidence["verdict"], evidence["settled"]) == ("createEndpoint", "found", False)
    assert [one["pointer"] for one in evidence["fields"]] == ["/model/repository", "/provider/region"]
    assert all(one["equal"] for one in evidence["fields"])


def test_commands_name_the_store_they_need(machine: Any, deploy: Any) -> None:
    machine(*deploy, "ambiguous-create", "--on-doubt", "hold", "--id", "one", "--store", "other.db")
    done = machine("resolve", "one", "--store", "other.db")

    assert "it is mine: arazzo-machine resolve one --store other.db --adopt" in done.out.splitlines()


def test_where_no_probe_is_declared_a_person_is_told_what_is_known_and_what_to_say(
    machine: Any, users_arguments: Any, deploy: Any
) -> None:
    sizes = ["-i", "instanceType=intel-spr", "-i", "instanceSize=x2"]
    begun = machine("run", *users_arguments, *deploy[2:], "ambiguous-create", *sizes, "--id", "one", "--json")
    done = machine("resolve", "one", "--json")
    said = machine("resolve", "one").out.splitlines()
    bare = machine("resolve", "one", "--adopt", "--json")

    assert begun.code == 13
    assert "--not-sent" in begun.json["next"]["command"]
    assert (done.code, done.json["evidence"]["verdict"], done.json["evidence"]["request"]) == (13, "none", "")
    assert done.json["commands"]["adopt"] == "arazzo-machine resolve one --adopt endpointName=VALUE"
    assert "  the document declares no probe, so there is nothing safe to look with" in said
    assert "it is there all the same: arazzo-machine resolve one --adopt endpointName=VALUE" in said
    assert (bare.code, bare.json["error"]["code"]) == (64, "AZM-U079")


def test_a_stored_answer_may_be_accepted(machine: Any, users_arguments: Any, deploy: Any, tmp_path: Path) -> None:
    sizes = ["-i", "instanceType=intel-spr", "-i", "instanceSize=x2", "--poll-interval", "0s"]
    machine("run", *users_arguments, *deploy[2:], "created-202", *sizes, "--id", "one")
    machine("resume", "one")
    known = machine("resolve", "one", "--json").json
    accepted = machine("resolve", "one", "--accept", "--json")

    assert known["commands"]["accept"] == "arazzo-machine resolve one --accept"
    assert "not_sent" not in known["commands"]
    assert (accepted.code, accepted.json["next"]["command"]) == (0, "arazzo-machine resume one")


@pytest.mark.parametrize("choice", ["--not-sent", "--adopt", "--reissue --yes"])
def test_every_choice_is_journalled_with_who_and_when(machine: Any, doubtful: str, choice: str) -> None:
    settled = machine("resolve", doubtful, *choice.split())
    record = machine("show", doubtful, "--why", "--json").json["history"][-1]

    assert settled.code == 0
    assert "resume: arazzo-machine resume one" in settled.err
    assert record["kind"] == "doubt.resolved"
    assert "@" in record["event"]["by"]
    assert record["at"] > 0


# -- choosing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", [*CHOICES, "--adopt"])
def test_two_choices_are_none(machine: Any, doubtful: str, choice: str) -> None:
    other = "--accept" if choice != "--accept" else "--not-sent"
    done = machine("resolve", doubtful, other, choice, "--json")

    assert (done.code, done.json["error"]["code"]) == (64, "AZM-U063")
    assert done.json["error"]["next"].endswith("arazzo-machine show one")


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        pytest.param(["--adopt", "size=1"], "AZM-U051", id="no-such-output"),
        pytest.param(["--accept"], "AZM-U052", id="no-answer-to-accept"),
        pytest.param(["--adopt", "endpointName"], "AZM-U060", id="no-value"),
        pytest.param(["--reissue"], "AZM-U078", id="reissue-without-yes"),
        pytest.param(["--reply", "missing.json"], "AZM-U066", id="no-such-reply"),
    ],
)
def test_a_doubt_is_not_settled_by_what_makes_no_sense(
    machine: Any, doubtful: str, created: Any, choice: list[str], code: str
) -> None:
    done = machine("resolve", doubtful, *choice, "--json")

    assert done.code == 64
    assert done.json["error"]["code"] == code
    assert done.json["error"]["next"]
    assert machine("show", "one", "--json").json["reason"] == "in_doubt"
    assert created() == 1


def test_a_run_without_a_doubt_has_nothing_to_settle(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "one")
    for choice in ([], ["--not-sent"], ["--adopt"]):
        done = machine("resolve", "one", *choice, "--json")

        assert done.code == 64
        assert done.json["error"]["code"] == "AZM-U050"


def test_adopt_alone_reads_the_outputs_from_a_look(machine: Any, doubtful: str, created: Any) -> None:
    settled = machine("resolve", doubtful, "--adopt", "--json")
    resumed = machine("resume", "one", "--poll-interval", "0s", "--json")

    assert settled.code == 0
    assert settled.json["effects"][0]["outcome"] == "applied"
    assert settled.json["effects"][0]["identity"]["endpointName"] == "demo"
    assert settled.json["next"] == {"action": "resume", "command": "arazzo-machine resume one"}
    assert (resumed.code, resumed.json["phase"]) == (0, "ready")
    assert created() == 1


def test_an_adopted_value_is_json_where_it_is_json(machine: Any, doubtful: str) -> None:
    adopted = ["--adopt", "endpointName=demo", "--adopt", 'initialState={"a": 1}']
    done = machine("resolve", doubtful, *adopted)
    shown = machine("show", "one", "--json").json

    assert done.code == 0
    assert "resume: arazzo-machine resume one" in done.err
    assert shown["effects"][0]["identity"] == {"endpointName": "demo", "initialState": {"a": 1}}


def test_a_call_that_was_not_sent_is_sent_by_the_next_resume_only(
    machine: Any, doubtful: str, created: Any, tmp_path: Path
) -> None:
    # The simulator did apply it; a person who says otherwise is believed, and the service's own answer stands.
    settled = machine("resolve", doubtful, "--not-sent", "--json")
    after = (kinds(tmp_path / "runs.db")[-1], created())
    resumed = machine("resume", "one", "--json")

    assert settled.code == 0
    assert after == ("doubt.resolved", 1)
    assert resumed.json["calls"] > settled.json["calls"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("r.json", json.dumps({"status": 201, "headers": {"X-A": "1"}, "body": MADE}), id="json"),
        pytest.param("r.yaml", "status: 202\nbody: {name: demo, status: {state: pending}}\n", id="yaml"),
    ],
)
def test_an_answer_somebody_got_hold_of_is_judged_as_if_it_had_arrived(
    machine: Any, doubtful: str, created: Any, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    settled = machine("resolve", doubtful, "--reply", name, "--json")
    resumed = machine("resume", "one", "--poll-interval", "0s", "--json")

    assert settled.code == 0
    assert settled.json["effects"][0]["identity"] == {"endpointName": "demo", "initialState": "pending"}
    assert resumed.code == 0
    assert created() == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("[]", "AZM-U087", id="a-list"),
        pytest.param('{"body": {}}', "AZM-U087", id="no-status"),
        pytest.param('{"status": "201"}', "AZM-U087", id="a-status-as-text"),
        pytest.param('{"status": 409}', "AZM-U087", id="no-success"),
        pytest.param('{"status": true}', "AZM-U087", id="a-truth"),
        pytest.param("{", "AZM-D", id="no-json"),
    ],
)
def test_what_is_no_answer_is_refused(machine: Any, doubtful: str, tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "r.json").write_text(text)
    done = machine("resolve", doubtful, "--reply", "r.json", "--json")

    assert done.code in (64, 65)
    assert done.json["error"]["code"].startswith(code)
    assert machine("show", "one", "--json").json["reason"] == "in_doubt"


def test_an_answer_that_lacks_what_comes_next_ends_as_a_run_that_cannot_go_on(
    machine: Any, doubtful: str, tmp_path: Path
) -> None:
    (tmp_path / "r.json").write_text('{"status": 204}')
    done = machine("resolve", doubtful, "--reply", "r.json", "--json")

    assert (done.code, done.json["reason"]) == (10, "request")
    assert [one["outcome"] for one in done.json["effects"]] == ["applied"]


def test_sending_it_again_is_paid_for_by_somebody_who_said_yes(machine: Any, doubtful: str, created: Any) -> None:
    settled = machine("resolve", doubtful, "--reissue", "--yes", "--json")
    before = created()
    machine("resume", "one", "--poll-interval", "0s")

    assert settled.code == 0
    assert settled.json["next"]["command"] == "arazzo-machine resume one"
    assert (before, created()) == (1, 2)


# -- cancelling --------------------------------------------------------------------------------------------------------


def test_a_run_nobody_holds_is_cancelled_where_it_is_and_can_be_resumed(machine: Any, deploy: Any) -> None:
    left = machine(*deploy, "happy", "--once", "--id", "one", "--json")
    cancelled = machine("cancel", "one", "--json")
    shown = machine("show", "one", "--json").json
    resumed = machine("resume", "--poll-interval", "0s", "--json")

    assert (left.code, left.json["reason"]) == (16, "waiting")
    assert (cancelled.code, cancelled.json["reason"], cancelled.json["resumable"]) == (0, "cancelled", True)
    assert cancelled.json["next"] == {"action": "resume", "command": "arazzo-machine resume one"}
    assert shown == cancelled.json
    assert (resumed.code, resumed.json["phase"]) == (0, "ready")


def test_cancelling_tells_a_person_how_to_go_on(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--once", "--id", "one")
    done = machine("cancel", "one")

    assert done.code == 0
    assert "resume: arazzo-machine resume one" in done.err


@pytest.mark.parametrize(("run", "why"), [("one", "run one has ended"), ("two", "two")], ids=["ended", "not-there"])
def test_what_has_ended_or_never_was_is_not_cancelled(machine: Any, deploy: Any, run: str, why: str) -> None:
    machine(*deploy, "happy", "--id", "one")
    before = machine("show", "one", "--json").json
    done = machine("cancel", run, "--json")

    assert done.code == 64
    assert why in done.json["error"]["message"]
    assert machine("show", "one", "--json").json == before
