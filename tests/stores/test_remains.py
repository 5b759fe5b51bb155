"""Of a damaged run everything that is whole can still be read, and everything else is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.stores import SqliteStore
from machine.stores.remains import Remains
from machine.testing.store_samples import DOCUMENT, DOCUMENT_SHA256, head_of, record_at, snapshot_at

pytestmark = pytest.mark.no_history("the runs are samples, and damaged")


@pytest.fixture
def after(tmp_path: Path) -> Callable[..., Remains]:
    """``after(statement, ...)`` -> what remains of a run of three records once that was done to its file."""
    path = tmp_path / "runs.db"
    with SqliteStore(path) as store, store.lock("run-1") as lease:
        store.create(lease, head_of(), {DOCUMENT_SHA256: DOCUMENT}, snapshot_at(1), record_at(1))
        store.append(lease, snapshot_at(2), record_at(2))
        store.append(lease, snapshot_at(3), record_at(3))

    def damage(*statements: str) -> Remains:
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        with SqliteStore(path, read_only=True) as store:
            assert store.ids() == ["run-1"] or "runs" in statements[0]
            return store.remains("run-1")

    return damage


def seen(remains: Remains) -> list[str]:
    return [error.seen for error in remains.damage]


def test_a_whole_run_has_no_damage(after: Any) -> None:
    remains = after()

    assert remains.damage == ()
    assert remains.head is not None
    assert (remains.head.id, remains.head.seq) == ("run-1", 3)
    assert remains.snapshot == snapshot_at(3)
    assert list(remains.records) == [record_at(1), record_at(2), record_at(3)]


@pytest.mark.parametrize(
    ("statement", "lost", "head", "snapshot", "records"),
    [
        pytest.param("UPDATE runs SET head = head || ' '", "row runs/run-1/1", False, True, [1, 2, 3], id="head"),
        pytest.param("DELETE FROM runs", "row runs/run-1", False, True, [1, 2, 3], id="head-gone"),
        pytest.param(
            "UPDATE snapshots SET snapshot = '{}'", "row snapshots/run-1/1", True, False, [1, 2, 3], id="snapshot"
        ),
        pytest.param("DELETE FROM snapshots", "row snapshots/run-1", True, False, [1, 2, 3], id="snapshot-gone"),
        pytest.param(
            "UPDATE records SET record = '{}' WHERE seq = 2", "row records/run-1/1/2", True, True, [1, 3], id="record"
        ),
        pytest.param(
            "DELETE FROM records WHERE seq = 3", "row records/run-1/1/3", True, True, [1, 2], id="record-gone"
        ),
    ],
)
def test_what_is_whole_is_read_and_the_rest_is_named(
    after: Any, statement: str, lost: str, head: bool, snapshot: bool, records: list[int]
) -> None:
    remains = after(statement)

    assert seen(remains) == [lost]
    assert {error.exit_code for error in remains.damage} == {65}
    assert (remains.head is not None, remains.snapshot is not None) == (head, snapshot)
    assert [record.seq for record in remains.records] == records


def test_several_losses_are_all_named(after: Any) -> None:
    remains = after("UPDATE runs SET head = ''", "DELETE FROM snapshots", "DELETE FROM records WHERE seq = 1")

    assert seen(remains) == ["row runs/run-1/1", "row snapshots/run-1", "row records/run-1/1/1"]
    assert [record.seq for record in remains.records] == [2, 3]
