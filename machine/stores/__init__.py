"""Where runs are kept: one contract, a store in memory, a store in one SQLite file."""

from .base import Holder, Lease, RunHead, Store, StoredRun, check_run_id
from .memory import MemoryStore
from .sqlite import SqliteStore, default_path, open_store

__all__ = [
    "Holder",
    "Lease",
    "MemoryStore",
    "RunHead",
    "SqliteStore",
    "Store",
    "StoredRun",
    "check_run_id",
    "default_path",
    "open_store",
]
