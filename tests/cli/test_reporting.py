"""``--report``: written beside the result, never in its way, and without a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from machine.cli.reporting import read_reports, report_text
from machine.errors import UsageError
from machine.runtime.runner import Runner
from machine.stores.sqlite import open_store
from machine.testing.server import Simulator


def test_a_run_writes_the_reports_it_was_asked_for(machine: Any, deploy: Any, tmp_path: Path) -> None:
    (tmp_path / "summary.md").write_text("before\n")
    flags = ["--report", "junit=run.xml", "--report", "markdown=summary.md"]
    done = machine(*deploy, "failed-image", "--id", "one", *flags)
    summary = (tmp_path / "summary.md").read_text()

    assert done.code == 10
    assert ElementTree.parse(tmp_path / "run.xml").getroot().get("failures") == "1"
    assert summary.startswith("before\n## deploy-inference-endpoint: failed\n")
    assert machine("show", "one", "--report", "markdown").out == summary.partition("before\n")[2]
    assert machine("show", "one", "--report", "junit").out == (tmp_path / "run.xml").read_text()
    assert machine("resume", "one", *flags[:2]).code == 10


def test_a_report_that_cannot_be_written_changes_nothing_of_the_run(machine: Any, deploy: Any) -> None:
    done = machine(*deploy, "happy", "--report", "junit=missing/run.xml", "--json")

    assert done.code == 0
    assert done.json["phase"] == "ready"
    assert "warning: the report missing/run.xml cannot be written" in done.err


@pytest.mark.parametrize("text", ["junit", "junit=", "html=x", "=x"])
def test_a_report_that_is_none_is_refused_before_anything_is_sent(machine: Any, deploy: Any, text: str) -> None:
    with pytest.raises(UsageError):
        read_reports([text])

    assert machine(*deploy, "happy", "--report", text, "--json").json["error"]["code"] == "AZM-U128"
    assert machine("runs", "--json").json["runs"] == []


def test_a_bug_in_a_report_is_no_end_of_the_run(machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("machine.reports.junit.junit", broken)
    monkeypatch.setattr("machine.reports.stopping.ways_to_stop", broken)
    done = machine(*deploy, "failed-image", "--report", "junit=run.xml")

    assert done.code == 10
    assert "the report run.xml cannot be written: ZeroDivisionError; the run is not affected" in done.err
    assert "resume: arazzo-machine resume" in done.err


def test_a_report_holds_no_secret_of_the_command(
    machine: Any, deploy: Any, learnt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(*deploy, "happy", "--id", "one")
    monkeypatch.setattr("machine.reports.junit.junit", lambda *given: f"<quoted>{learnt}</quoted>")
    with open_store(read_only=True) as store:
        runner = Runner(store)
        text = report_text("junit", store, "one", runner.plan_of(store.load("one")), runner.result("one"))

    assert text == "<quoted>[secret token]</quoted>"


def test_what_is_left_and_how_to_end_it_is_told_wherever_a_run_is_told(
    machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "a token nobody sees")
    with Simulator("failed-image") as simulator:
        command = [*deploy[:-1], "--id", "one", "--server", simulator.url, "-i", "hfToken=@env:MINE"]
        left = machine(*command, "--once")
        cancelled = machine("cancel", "one")
        failed = machine("resume", "one", "--report", "junit=run.xml")
    side = f"--server inferenceEndpointsApi={simulator.url}"
    way = f"to stop it: arazzo-machine run delete-inference-endpoint {GIVEN} {side}"
    told = (left.err, cancelled.err, failed.err, machine("show", "one").out, Path("run.xml").read_text())

    assert (left.code, failed.code) == (16, 10)
    assert [way in text for text in told] == [True] * 5
    assert [f"{way} -i hfToken=@env:MINE  (DELETE /endpoint/acme/demo)" in text for text in told] == [True] * 5
    assert "a token nobody sees" not in "".join(told)


GIVEN = "-i namespace=acme -i name=demo"


def test_a_report_as_json_is_one_object(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "one")

    assert list(machine("show", "one", "--report", "junit", "--json").json) == ["run", "form", "report"]
