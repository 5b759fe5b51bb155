"""``runs`` tells what there is, and changes nothing, even where nothing could be changed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest

from machine.stores.rows import checksum

_SNAPSHOT = "run, attempt, seq, epoch, owner, intent, intended_at, kept, snapshot"


def test_an_empty_store_has_no_runs_and_is_not_made(machine: Any, tmp_path: Path) -> None:
    done = machine("runs")

    assert (done.code, done.out, done.err) == (0, "", "no runs yet\n")
    assert machine("runs", "--json").json == {"runs": []}
    assert not (tmp_path / "runs.db").exists()


def test_runs_are_listed_newest_first_with_what_matters(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "first")
    machine(*deploy, "failed-image", "--id", "second")
    done = machine("runs")
    rows = [line.split() for line in done.out.splitlines()]
    listed = machine("runs", "--json").json["runs"]

    assert done.code == 0
    assert rows[0] == ["RUN", "PHASE", "STATE", "REASON", "STARTED", "CALLS", "WORKFLOW"]
    assert [row[:4] for row in rows[1:]] == [
        ["second", "failed", "failed", "broke"],
        ["first", "ready", "ready", "ended"],
    ]
    assert [one["run"] for one in listed] == ["second", "first"]
    assert listed[1] == machine("show", "first", "--json").json


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--phase", "failed"], ["second"]),
        (["--phase", "failed", "--phase", "ready"], ["second", "first"]),
        (["--workflow", "deploy-inference-endpoint", "--since", "1h"], ["second", "first"]),
        (["-w", "another"], []),
        (["--since", "0s"], []),
    ],
    ids=" ".join,
)
def test_runs_can_be_chosen_by_phase_workflow_and_age(
    machine: Any, deploy: Any, flags: list[str], expected: list[str]
) -> None:
    machine(*deploy, "happy", "--id", "first")
    machine(*deploy, "failed-image", "--id", "second")
    done = machine("runs", *flags)

    assert [line.split()[0] for line in done.out.splitlines()[1:]] == expected
    assert [one["run"] for one in machine("runs", *flags, "--json").json["runs"]] == expected
    assert done.err == ("" if expected else "no such runs\n")


def test_a_phase_is_one_of_five(machine: Any) -> None:
    from machine.plan.model import Phase

    assert machine("runs", "--phase", "over", "--json").code == 64
    assert all(machine("runs", "--phase", one).code == 0 for one in get_args(Phase))


def test_a_store_that_cannot_be_written_can_be_looked_at(machine: Any, deploy: Any, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    store = folder / "runs.db"
    before = machine(*deploy, "happy", "--id", "one", "--store", store, "--json").json
    for path in folder.iterdir():
        path.chmod(0o400 if path.is_file() else 0o500)
    folder.chmod(0o500)
    try:
        content = store.read_bytes()
        shown = machine("show", "one", "--store", store, "--json")
        listed = machine("runs", "--store", store)
    finally:
        folder.chmod(0o700)

    assert (shown.code, listed.code) == (0, 0)
    assert shown.json == before
    assert store.read_bytes() == content


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_store_that_may_not_be_read_is_said_to_be(machine: Any, deploy: Any, tmp_path: Path) -> None:
    machine(*deploy, "happy")
    (tmp_path / "runs.db").chmod(0)

    assert machine("runs", "--json").code == 74


@pytest.mark.parametrize("verb", [["runs"], ["show", "one"], ["resume"], ["resolve", "one", "--accept"]])
def test_a_named_store_in_a_folder_that_does_not_exist_is_an_error(machine: Any, verb: list[str]) -> None:
    done = machine(*verb, "--store", "missing/runs.db", "--json")

    assert done.code == 74
    assert done.json["error"]["code"] == "AZM-T001"


def test_a_damaged_store_is_not_guessed_at(machine: Any, deploy: Any, tmp_path: Path) -> None:
    machine(*deploy, "happy", "--id", "one")
    path = tmp_path / "runs.db"
    data = path.read_bytes()
    spot = data.rindex(b'"phase"') if b'"phase"' in data else data.rindex(b"createEndpoint")
    path.write_bytes(data[:spot] + b"X" + data[spot + 1 :])

    assert machine("show", "one", "--json").code == 65


@pytest.mark.no_history("a run has an id that none can have")
@pytest.mark.parametrize("name", ["../x", "a b", "x" * 200])
def test_a_run_that_no_command_could_name_is_damage_and_the_others_are_listed(
    machine: Any, deploy: Any, tmp_path: Path, name: str
) -> None:
    machine(*deploy, "happy", "--id", "one")
    machine(*deploy, "happy", "--id", "two")
    with closing(sqlite3.connect(tmp_path / "runs.db")) as store, store:
        for table, columns in (("runs", "id, attempt, head"), ("snapshots", _SNAPSHOT)):
            key = columns.split(",")[0]
            (row,) = store.execute(f"SELECT {columns} FROM {table} WHERE {key} = 'two'")
            store.execute(
                f"UPDATE {table} SET {key} = ?, checksum = ? WHERE {key} = 'two'",
                (name, checksum(table, name, *row[1:])),
            )
    done = machine("runs", "--json")

    assert done.code == 65
    assert [one["run"] for one in done.json["runs"]] == ["one"]
    assert [one["run"] for one in done.json["damaged"]] == [name]
    assert machine("runs").code == 65


# -- pruning -----------------------------------------------------------------------------------------------------------


def test_runs_that_ended_for_good_are_forgotten_and_all_others_kept(machine: Any, deploy: Any, tmp_path: Path) -> None:
    machine(*deploy, "happy", "--id", "ready")
    machine(*deploy, "duplicate-409", "--id", "refused")
    machine(*deploy, "failed-image", "--id", "paid")
    machine(*deploy, "happy", "--once", "--id", "half")
    young = machine("runs", "--prune", "1h", "--json")
    pruned = machine("runs", "--prune", "0s", "--json")
    again = machine("runs", "--prune", "0s")

    assert young.json["forgotten"] == []
    assert pruned.code == 0
    assert list(pruned.json) == ["runs", "forgotten"]
    assert set(pruned.json["forgotten"]) == {"ready", "refused"}
    assert {one["run"] for one in pruned.json["runs"]} == {"paid", "half"}
    assert "forgotten" not in again.err
    assert machine("show", "ready").code == 64
    assert machine("show", "paid", "--why").code == 0
    assert {path.name for path in (tmp_path / "runs.db.simulator").iterdir()} == {"paid.json", "half.json"}


def test_the_id_of_a_forgotten_run_begins_anew(machine: Any, deploy: Any) -> None:
    first = machine(*deploy, "happy", "--id", "one", "--json").json
    machine("runs", "--prune", "0s")
    second = machine(*deploy, "happy", "--id", "one", "--json")

    assert second.code == 0
    assert second.json["calls"] == first["calls"]
    assert second.json["started"] > first["started"]


def test_an_age_is_a_duration(machine: Any) -> None:
    assert machine("runs", "--prune", "soon", "--json").json["error"]["code"] == "AZM-U001"
