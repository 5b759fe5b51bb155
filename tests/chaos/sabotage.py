"""Ways to break the product on purpose, to see that the campaign notices: a test that cannot fail proves nothing.

Each entry takes one promise out of the running product by replacing a name in one of its modules. Nothing here is ever
active unless it was asked for by name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest import mock

import machine.chart.calling as calling_module
import machine.chart.turn as turn_module
import machine.runtime.runner as runner_module
import machine.stores.sqlite as sqlite_module
from machine.chart.judge import Judgement
from machine.chart.snapshot import Snapshot
from machine.plan.model import CallPlan
from machine.stores.sqlite_file import open_writing

__all__ = ["SABOTAGES", "Sabotage", "sabotaged"]


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


def _impatient() -> AbstractContextManager[object]:
    """An absence counts at once, though what was sent may still arrive."""
    return mock.patch.object(Judgement, "settle", 0.0)


def _forgetful() -> AbstractContextManager[object]:
    """A create that is sent again gets another key."""
    key = calling_module._key

    def other(call: CallPlan, after: Snapshot, reissued: bool) -> str:
        # From what is in the snapshot, so that a replay of the journal comes to the same.
        return f"{key(call, after, reissued)[:16]}-{after.seq}"

    return mock.patch.object(calling_module, "_key", other)


def _obedient() -> AbstractContextManager[object]:
    """What the document says about failures is done even where nobody knows whether it failed."""
    return mock.patch.object(turn_module, "guesses", return_value=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """``make`` breaks the product; in the ``case``, each of the ``parts`` must then speak of ``noticed``."""

    make: Callable[[], AbstractContextManager[object]]
    case: str
    parts: tuple[str, ...]
    noticed: str


SABOTAGES: Final[Mapping[str, Sabotage]] = {
    "guessing": Sabotage(make=_guessing, case="brought.hold", parts=("F3", "F4"), noticed="create"),
    "unsynced": Sabotage(make=_unsynced, case="brought.hold", parts=("F5",), noticed="create"),
    "unlocked": Sabotage(make=_unlocked, case="brought.hold", parts=("F7",), noticed="requests left"),
    "impatient": Sabotage(make=_impatient, case="rack.probe", parts=("F4",), noticed="create"),
    "forgetful": Sabotage(make=_forgetful, case="rack.reissue", parts=("F1", "F4"), noticed="create"),
    "obedient": Sabotage(make=_obedient, case="patient.fail", parts=("F3", "F4"), noticed="create"),
}
"""By name."""


@contextmanager
def sabotaged(name: str) -> Iterator[None]:
    """Break the product this way inside the block; the empty name breaks nothing."""
    with SABOTAGES[name].make() if name else nullcontext():
        yield
