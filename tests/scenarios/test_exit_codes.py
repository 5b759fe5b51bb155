"""Every way a command can end, as a process: its exit code, one object on standard output, and no traceback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

RESULT = [
    *("run", "workflow", "document", "phase", "state", "reason", "message", "outputs", "unresolved", "calls"),
    *("started", "ended", "resumable", "recovered", "effects", "next"),
]
"""The keys of a result, which scripts rely on."""

ENDS = [
    pytest.param(0, ["happy"], "ended", "none", id="ready"),
    pytest.param(10, ["failed-image"], "broke", "resume", id="failed"),
    pytest.param(11, ["scaled-to-zero-mid-wait"], "unmatched", "resume", id="unmatched"),
    pytest.param(12, ["stuck-initializing", "--visits", "5"], "visits", "resume", id="out-of-budget"),
    pytest.param(13, ["ambiguous-create", "--on-doubt", "hold"], "in_doubt", "resolve", id="in-doubt"),
    pytest.param(14, ["token-expired-401-mid-poll"], "credential", "resume", id="token-refused"),
]


@pytest.mark.parametrize(("code", "side", "reason", "action"), ENDS)
def test_a_run_ends_with_its_code_and_its_result(
    shell: Any, deploy: Any, code: int, side: list[str], reason: str, action: str
) -> None:
    done = shell("run", *deploy, "--poll-interval", "0s", "--simulate", *side, "--json")

    assert done.code == code
    assert list(done.json) == RESULT
    assert (done.json["reason"], done.json["next"]["action"]) == (reason, action)
    assert done.json["resumable"] == (code != 0)
    assert list(done.json["next"]) == ["action", "command"]
    assert [list(one) for one in done.json["effects"]] == [["step", "kind", "outcome", "identity", "request"]]
    assert shell.show(done.json["run"]) == done.json


def test_a_deadline_is_kept_by_a_run_that_would_never_end(shell: Any, deploy: Any) -> None:
    pace = ["--poll-interval", "50ms", "--deadline", "400ms"]
    done = shell("run", *deploy, *pace, "--simulate", "stuck-initializing", "--json")

    assert done.code == 12
    assert (done.json["state"], done.json["phase"], done.json["reason"]) == ("polling", "polling", "deadline")
    assert done.json["resumable"]
    assert "initializing" in done.json["message"]
    assert "--deadline" in done.json["message"]


BEFORE_A_RUN = [
    pytest.param(64, ["nothing-like-it"], "AZM-U001", id="no-such-verb"),
    pytest.param(64, ["run"], "AZM-U001", id="no-document"),
    pytest.param(64, ["run", "DEPLOY", "--deadline", "soon"], "AZM-U001", id="no-duration"),
    pytest.param(64, ["resume"], "AZM-U068", id="an-empty-store"),
    pytest.param(65, ["plan", "./bad.arazzo.yaml"], "AZM-D", id="a-bad-document"),
    pytest.param(65, ["run", "DEPLOY", "-i", "name=Not_A_Name", "--simulate"], "AZM-I", id="a-bad-input"),
    pytest.param(65, ["runs", "--store", "./bad.arazzo.yaml"], "AZM-T006", id="a-file-that-is-no-store"),
    pytest.param(74, ["run", "DEPLOY", "--simulate", "--store", "./missing/runs.db"], "AZM-T001", id="no-folder"),
    pytest.param(78, ["run", "./missing.arazzo.yaml"], "AZM-S020", id="no-such-document"),
    pytest.param(78, ["run", "DEPLOY", "-i", "hfToken=@env:UNSET_HERE"], "AZM-C020", id="no-credential"),
    pytest.param(78, ["run", "DEPLOY", "--server", "nowhere"], "AZM-C030", id="no-server"),
]


@pytest.mark.parametrize(("code", "arguments", "error"), BEFORE_A_RUN)
def test_before_a_run_exists_the_one_object_is_an_error(
    shell: Any, deploy: Any, tmp_path: Path, code: int, arguments: list[str], error: str
) -> None:
    (tmp_path / "bad.arazzo.yaml").write_text("arazzo: 1.0.1\ninfo: {title: 1}\nworkflows: []\n" * 20)
    words = [word for one in arguments for word in (deploy if one == "DEPLOY" else [one])]
    done = shell(*words, "--json")

    assert done.code == code
    assert list(done.json) == ["error"]
    assert {"code", "message", "place", "next"} <= set(done.json["error"])
    assert done.json["error"]["code"].startswith(error)
    assert done.json["error"]["message"]
    assert done.json["error"]["next"]


def test_a_reader_that_has_gone_does_not_change_how_a_run_ended(shell: Any, deploy: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = ["run", *deploy, "--poll-interval", "0s", "--simulate"]
    nobody_reads = shell.start(*command, "failed-image", stdout=writing)
    nobody_watches = shell.start(*command, "happy", "--json", stderr=writing)
    os.close(writing)
    ready, _ = nobody_watches.process.communicate()

    assert nobody_reads.end().code == 10
    assert nobody_watches.process.returncode == 0
    assert ready.count("\n") == 1


@pytest.mark.parametrize("closed", ["1", "2"], ids=["standard-output", "standard-error"])
def test_a_stream_that_was_never_opened_is_no_bug(shell: Any, deploy: Any, closed: str) -> None:
    under = ["/bin/sh", "-c", f'exec "$@" {closed}>&-', "sh"]
    started = shell.start("run", *deploy, "--poll-interval", "0s", "--simulate", under=under)

    assert started.end().code == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_full_disk_costs_the_log_and_not_the_run(shell: Any, deploy: Any) -> None:
    command = ["run", *deploy, "--poll-interval", "0s", "--simulate"]
    logged = shell(*command, "--log", "/dev/full", "--json")
    with open("/dev/full", "w") as full:
        printed = shell.start("plan", "deploy-inference-endpoint", stdout=full).end()

    assert (logged.code, logged.json["phase"]) == (0, "ready")
    assert "warning: a log or progress line could not be written" in logged.err
    assert printed.code == 74
    assert "No space left" in printed.err


def test_an_encoding_without_the_characters_of_a_reply_is_no_bug(shell: Any, told: Any, deploy: Any) -> None:
    told.address = "https://d\u00e9mo.example.com/\U0001f600"
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = ["run", *deploy, "--poll-interval", "0s", "--server", told.url]
    said = shell(*command, environment=ascii_only, new=True)
    as_json = shell(*command, "--json", environment=ascii_only, new=True)

    assert (said.code, as_json.code) == (0, 0)
    assert "mo.example.com" in said.out
    assert "d\\xe9mo" in said.err
    assert as_json.json["outputs"]["inferenceUrl"] == told.address
