"""Of a damaged store everything is shown that can still be read, everything else is named, and nothing goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.no_history("the stores are damaged")


@pytest.fixture
def damage(machine: Any, deploy: Any, tmp_path: Path) -> Callable[..., None]:
    """``damage(statement, ...)`` does that to a store with the run ``one``, which is ready, and ``two``."""

    def make(*statements: str) -> None:
        assert machine(*deploy, "--id", "one").code == 0
        assert machine(*deploy, "--id", "two").code == 0
        connection = sqlite3.connect(tmp_path / "runs.db")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return make


SNAPSHOT = "UPDATE snapshots SET snapshot = replace(snapshot, 'ended', 'endid') WHERE run = 'one'"
HEAD = "UPDATE runs SET head = head || ' ' WHERE id = 'one'"
RECORD = "UPDATE records SET record = record || ' ' WHERE run = 'one' AND seq = 3"
PLAN = "DELETE FROM blobs"

KEPT = [
    pytest.param(SNAPSHOT, "row snapshots/one/1", True, 9, id="snapshot"),
    pytest.param(HEAD, "row runs/one/1", False, 9, id="head"),
]


@pytest.mark.parametrize(("statement", "row", "recomputed", "records"), KEPT)
def test_a_run_is_shown_as_far_as_it_can_be_read(
    machine: Any, damage: Any, statement: str, row: str, recomputed: bool, records: int
) -> None:
    damage(statement)
    shown = machine("show", "one")
    as_json = machine("show", "one", "--json")
    readable = as_json.json["readable"]

    assert (shown.code, as_json.code) == (65, 65)
    assert f"damaged   {row}: " in shown.out
    assert "state     ready, phase ready" in shown.out
    assert "output    endpointName: demo" in shown.out
    assert ("recomputed from the history" in shown.out) == recomputed
    assert "AZM-T008" in shown.err
    assert as_json.json["error"]["code"] == "AZM-T008"
    assert [one["seen"] for one in as_json.json["damage"]] == [row]
    assert (readable["state"], readable["recomputed"], len(readable["history"])) == ("ready", recomputed, records)


def test_a_damaged_history_does_not_hide_the_state_and_its_rest_is_told(machine: Any, damage: Any) -> None:
    damage(RECORD)
    plain = machine("show", "one")
    why = machine("show", "one", "--why")

    assert (plain.code, why.code) == (0, 65)
    assert "damaged   row records/one/1/3: " in why.out
    assert "records   8 can be read" in why.out
    assert "stayed in createEndpoint" in why.out


def test_without_the_plan_the_records_are_told_bare(machine: Any, damage: Any) -> None:
    damage(PLAN)
    done = machine("show", "one", "--why")
    as_json = machine("show", "one", "--why", "--json").json

    assert done.code == 65
    assert "   1  " in done.out
    assert "call.replied" in done.out
    assert as_json["error"]["code"] == "AZM-T024"
    assert (as_json["readable"]["run"], len(as_json["readable"]["history"])) == ("one", 9)


def test_a_lost_snapshot_is_not_guessed_where_the_history_is_not_whole(machine: Any, damage: Any) -> None:
    damage(SNAPSHOT, RECORD)
    done = machine("show", "one", "--json")

    assert done.code == 65
    assert len(done.json["damage"]) == 2
    assert "state" not in done.json["readable"]
    assert len(done.json["readable"]["history"]) == 8


@pytest.mark.parametrize("statement", [SNAPSHOT, HEAD])
def test_the_other_runs_are_listed_and_the_damaged_one_is_named(machine: Any, damage: Any, statement: str) -> None:
    damage(statement)
    listed = machine("runs")
    as_json = machine("runs", "--json")

    assert (listed.code, as_json.code) == (65, 65)
    assert [line.split()[0] for line in listed.out.splitlines()] == ["RUN", "two"]
    assert "what can still be read of it: arazzo-machine show one --why" in listed.err
    assert [one["run"] for one in as_json.json["runs"]] == ["two"]
    assert [(one["run"], one["code"]) for one in as_json.json["damaged"]] == [("one", "AZM-T008")]


@pytest.mark.parametrize("verb", ["resume", "resolve", "cancel"])
def test_nothing_goes_on_from_damage(machine: Any, damage: Any, verb: str) -> None:
    damage(SNAPSHOT)
    words = [verb, "one", *(["--not-sent"] if verb == "resolve" else []), "--json"]

    assert machine(*words).code == 65


def test_a_newer_snapshot_is_named_and_refused(machine: Any, damage: Any, tmp_path: Path) -> None:
    from machine.stores.rows import checksum

    damage("UPDATE snapshots SET snapshot = replace(snapshot, '{\"v\":1', '{\"v\":9') WHERE run = 'one'")
    connection = sqlite3.connect(tmp_path / "runs.db")
    row = connection.execute("SELECT * FROM snapshots WHERE run = 'one'").fetchone()
    connection.execute("UPDATE snapshots SET checksum = ? WHERE run = 'one'", (checksum("snapshots", *row[:-1]),))
    connection.commit()
    connection.close()
    resumed = machine("resume", "one", "--json")
    listed = machine("runs", "--json")

    assert (resumed.code, resumed.json["error"]["code"]) == (65, "AZM-T013")
    assert "format 9" in resumed.json["error"]["message"]
    assert [one["code"] for one in listed.json["damaged"]] == ["AZM-T013"]
