"""The contract of ``machine.testing.store_contract``, run against every store there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.stores import MemoryStore, SqliteStore, Store
from machine.testing.store_contract import StoreContract

pytestmark = pytest.mark.no_history("the runs are samples")


class TestMemory(StoreContract):
    def make_store(self, tmp_path: Path) -> MemoryStore:
        return MemoryStore()

    def reopen(self, store: Store) -> Store:
        return store


class TestSqlite(StoreContract):
    def make_store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore(tmp_path / "runs.db")

    def reopen(self, store: Store) -> SqliteStore:
        assert isinstance(store, SqliteStore)
        store.close()
        return SqliteStore(store.path)
