"""Ways to break the product on purpose, to see that the campaign notices: a test that cannot fail proves nothing.

Each entry takes one promise out of the running product by replacing a public name of one of its modules. Nothing here
is ever active unless it was asked for by name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final
from unittest import mock

import machine.runtime.runner as runner_module
import machine.stores.sqlite as sqlite_module
from machine.stores.sqlite_file import open_writing

__all__ = ["SABOTAGES", "sabotaged"]


def _guessing() -> AbstractContextManager[object]:
    """A create that may have been sent is sent again."""
    return mock.patch.object(runner_module, "UNSAFE", frozenset())


def _unsynced() -> AbstractContextManager[object]:
    """A commit does not wait for the disk."""

    def opened(path: Path, *, create_folder: bool) -> sqlite3.Connection:
        connection = open_writing(path, create_folder=create_folder)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    return mock.patch.object(sqlite_module, "open_writing", opened)


def _unlocked() -> AbstractContextManager[object]:
    """Several runners may have one run."""
    return mock.patch.object(sqlite_module, "hold", return_value=nullcontext())


SABOTAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "guessing": ("F1", "F3", "F4"),
    "unsynced": ("F5",),
    "unlocked": ("F7",),
}
"""Each with the parts that must notice."""

_MAKERS: Final = {"guessing": _guessing, "unsynced": _unsynced, "unlocked": _unlocked}


@contextmanager
def sabotaged(name: str) -> Iterator[None]:
    """Break the product this way inside the block; the empty name breaks nothing."""
    with _MAKERS[name]() if name else nullcontext():
        yield
