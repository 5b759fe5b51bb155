"""The contract must notice a store that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from machine.chart.snapshot import Record, Snapshot
from machine.stores import Lease, MemoryStore, RunHead, Store
from machine.testing.store_contract import StoreContract

pytestmark = pytest.mark.no_history("the runs are samples, in stores that are broken on purpose")


class Forgetful(MemoryStore):
    """Loses every second record."""

    def append(self, lease: Lease, snapshot: Snapshot, record: Record) -> None:
        super().append(lease, snapshot, record)
        if record.seq % 2:
            self._runs[lease.run_id][-1].records.pop()


class Unfenced(MemoryStore):
    """Lets a runner write that was overtaken."""

    def _writable(self, lease: Lease) -> object:  # type: ignore[override]
        return self._current(lease.run_id)


class Careless(MemoryStore):
    """Writes over a run that is there."""

    def create(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        self._runs.pop(lease.run_id, None)
        super().create(lease, head, blobs, snapshot, record)


def contract_of(make: Callable[[], Store]) -> StoreContract:
    class Contract(StoreContract):
        def make_store(self, tmp_path: Path) -> Store:
            return make()

        def reopen(self, store: Store) -> Store:
            return store

    return Contract()


@pytest.mark.parametrize(
    ("make", "clause"),
    [
        (Forgetful, StoreContract.test_a_snapshot_takes_the_place_of_the_one_before_and_records_pile_up),
        (Unfenced, StoreContract.test_a_runner_that_was_overtaken_cannot_write),
        (Unfenced, StoreContract.test_of_two_leases_of_one_epoch_the_first_to_write_wins),
        (Careless, StoreContract.test_an_id_is_used_once),
    ],
)
def test_a_store_that_breaks_a_clause_fails_it(
    make: type[MemoryStore], clause: Callable[[StoreContract, Store], None]
) -> None:
    clause(contract_of(MemoryStore), MemoryStore())
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        clause(contract_of(make), make())


def test_the_contract_cannot_be_run_without_a_store() -> None:
    with pytest.raises(TypeError, match="make_store"):
        StoreContract()  # type: ignore[abstract]
