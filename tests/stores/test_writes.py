"""Every way to write to a run, and what each of them refuses: against every store there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from machine.errors import BugError, DamageError, MachineError, StoreError, UsageError
from machine.stores import Lease, MemoryStore, SqliteStore, Store
from machine.testing.store_samples import DOCUMENT, DOCUMENT_SHA256, head_of, record_at, snapshot_at

pytestmark = pytest.mark.no_history("the runs are samples, and some are damaged")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "runs.db") as store:
        yield store


def begun(store: Store) -> Lease:
    """A run with two records."""
    with store.lock("run-1") as lease:
        store.create(lease, head_of(), {DOCUMENT_SHA256: DOCUMENT}, snapshot_at(1), record_at(1))
        store.append(lease, snapshot_at(2), record_at(2))
    return lease


ELSEWHERE, OTHER_PLAN = head_of("run-2"), replace(head_of(), plan_sha256="c" * 64)
Way = Literal["append", "restart", "replan"]


@pytest.mark.parametrize(
    ("way", "parts"),
    [
        pytest.param("append", {"snapshot": snapshot_at(4)}, id="append-another-snapshot"),
        pytest.param("append", {"snapshot": snapshot_at(2)}, id="append-the-snapshot-before"),
        pytest.param("restart", {"snapshot": snapshot_at(2)}, id="restart-another-snapshot"),
        pytest.param("restart", {"snapshot": snapshot_at(3), "record": record_at(3)}, id="restart-in-the-middle"),
        pytest.param("restart", {"head": ELSEWHERE}, id="restart-another-run"),
        pytest.param("restart", {"head": OTHER_PLAN}, id="restart-another-plan"),
        pytest.param("restart", {"blobs": {"0" * 64: b"x"}}, id="restart-a-wrong-digest"),
        pytest.param("replan", {"snapshot": snapshot_at(2)}, id="replan-another-snapshot"),
        pytest.param("replan", {"head": ELSEWHERE}, id="replan-another-run"),
        pytest.param("replan", {"head": OTHER_PLAN}, id="replan-another-plan"),
        pytest.param("replan", {"blobs": {"0" * 64: b"x"}}, id="replan-a-wrong-digest"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_changes_nothing(
    store: Store, way: Way, parts: dict[str, Any]
) -> None:
    lease, before = begun(store), store.load("run-1")
    seq = 1 if way == "restart" else 3
    usual = {"head": head_of(), "blobs": {}, "snapshot": snapshot_at(seq), "record": record_at(seq)}
    given = {
        name: parts.get(name, one) for name, one in usual.items() if way != "append" or name in ("snapshot", "record")
    }

    with pytest.raises(BugError):
        getattr(store, way)(lease, **given)

    assert store.load("run-1") == before
    assert len(store.history("run-1")) == 2


@pytest.mark.parametrize("change", ["by = 'me'", "at = at + 1", "checksum = 'x'", "by = x'ff'"])
def test_a_damaged_request_to_cancel_is_not_believed(tmp_path: Path, change: str) -> None:
    with SqliteStore(tmp_path / "runs.db") as store:
        begun(store)
        store.request_cancel("run-1", "somebody", 3.0)
        store._connection.execute(f"UPDATE requests SET {change}")

        with pytest.raises(DamageError) as caught:
            store.cancel_requested("run-1")

    assert caught.value.seen == "row requests/run-1"


def test_after_its_block_a_store_is_closed(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "runs.db") as store:
        begun(store)

    with pytest.raises(MachineError):
        store.runs()


def test_a_runner_that_was_overtaken_can_neither_forget_the_run_nor_give_it_another_plan(store: Store) -> None:
    stale = begun(store)
    with store.lock("run-1") as fresh:
        store.append(fresh, snapshot_at(3), record_at(3))

    with pytest.raises(StoreError, match="another runner wrote"):
        store.delete(stale)
    with pytest.raises(StoreError, match="another runner wrote"):
        store.replan(stale, head_of(), {}, snapshot_at(4), record_at(4))

    assert store.load("run-1").head.seq == 3


def test_no_run_is_forgotten_while_it_cannot_be_told_what_the_others_need(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "runs.db") as store:
        lease = begun(store)
        with store.lock("run-2") as other:
            store.create(other, head_of("run-2"), {}, snapshot_at(1), record_at(1))
        store._connection.execute("UPDATE runs SET head = '{}' WHERE id = 'run-2'")

        with pytest.raises(DamageError, match="run run-2 is damaged"):
            store.delete(lease)

        assert store.load("run-1").head.seq == 2
        assert store.blob(DOCUMENT_SHA256) == DOCUMENT


@pytest.mark.parametrize("attempt", [-1, 0, 3])
def test_an_attempt_that_never_was_cannot_be_loaded(store: Store, attempt: int) -> None:
    lease = begun(store)
    store.restart(lease, head_of(), {}, snapshot_at(1), record_at(1))

    with pytest.raises(UsageError, match=f"no attempt {attempt}"):
        store.load("run-1", attempt)

    assert [store.load("run-1", one).head.seq for one in (None, 1, 2)] == [1, 2, 1]


def test_no_run_is_begun_while_one_of_the_store_cannot_be_told_by_its_id(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "runs.db") as store:
        begun(store)
        store._connection.execute("UPDATE runs SET id = 'run-9'")

        with store.lock("run-2") as lease, pytest.raises(DamageError, match="run run-9 is damaged"):
            store.create(lease, head_of("run-2"), {}, snapshot_at(1), record_at(1))
        with pytest.raises(DamageError):
            store.load("run-2")
