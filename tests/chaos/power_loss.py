"""F5: the power goes at any moment of a real process, and the disk keeps what it likes of what was not synced."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from direct import Here
from openings import OPENINGS, Openings
from part import trace
from server import KINDS
from storage import LOSSES, Loss, Operation, files_after, record
from world import NAME, Bench, Ending, World

from machine.stores.sqlite import SqliteStore

__all__ = ["PowerLoss"]

_OPENINGS = ("run", "poll", "doubt", "again", "not-sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """What one verb did, from the files it found."""

    before: dict[str, bytes]
    operations: list[Operation]


class PowerLoss:
    """Trials ``policy:opening:operations:loss:seed``. The operations are recorded once, under ptrace."""

    name: ClassVar[str] = "F5"
    title: ClassVar[str] = "power loss"
    fault: ClassVar[str] = (
        "every write, sync, truncation, creation and deletion of a real run is recorded; disks are built as they may "
        "be after a power loss at each of them: what was not synced gone, there, mixed, or torn at 512 bytes"
    )
    promise: ClassVar[str] = (
        "the store opens whole; a create that left is known to it; an answer is there when the next request has left; "
        "going on ends with one create"
    )
    traced: ClassVar[bool] = True

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)
        self._logs: dict[tuple[str, str], _Log] = {}

    def sweep(self) -> list[str]:
        return [
            f"{policy}:{opening}:{cut}:{loss}:0"
            for policy in self._bench.policies
            for opening in _OPENINGS
            if opening in self._openings.names(policy)
            for cut in range(1, len(self._log(policy, opening).operations) + 1)
            for loss in LOSSES
        ]

    def draw(self, seed: int) -> str:
        dice = random.Random(seed)
        policy = dice.choice(sorted(self._bench.policies))
        opening = dice.choice([one for one in _OPENINGS if one in self._openings.names(policy)])
        cut = dice.randrange(1, len(self._log(policy, opening).operations) + 1)
        return f"{policy}:{opening}:{cut}:{dice.choice(['random', 'torn'])}:{seed + 1}"

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, opening, cut, loss, seed = trial.split(":")
        log, dice = self._log(policy, opening), random.Random(trial)
        operations = log.operations[: int(cut)]
        here = Here()
        world = self._bench.world(policy, runner_options={"transport": here.transport})
        _lay_out(world, files_after(log.before, operations, _loss(loss), dice))
        calls = [one.path for one in operations if one.kind == "send"]
        # Of a create after which nothing was done nobody knows whether it arrived; one that was answered did.
        arrived = "POST" in calls and (operations[-1].kind != "send" or calls[-1] != "POST" or dice.random() < 0.5)
        account = here.service.open(
            NAME, KINDS[int(seed) % 2], polls=1, creates=OPENINGS[opening].creates or int(arrived)
        )
        account.calls = list(calls)
        self._check_file(world, ending)
        world.inspect(here, ending, before=OPENINGS[opening].before)
        world.look_after(here, ending)

    def _check_file(self, world: World, ending: Ending) -> None:
        # Whatever the store says of itself, SQLite is asked as well.
        SqliteStore(world.path).close()
        with sqlite3.connect(world.path) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        connection.close()
        if found != "ok":
            ending.problem(f"SQLite says: {found}")

    def _log(self, policy: str, opening: str) -> _Log:
        key = (policy, opening)
        if key not in self._logs:
            world = self._openings.place(policy, opening, "twice")
            before = {
                str(path.relative_to(world.folder)): path.read_bytes()
                for path in world.folder.rglob("*")
                if path.is_file() and _stays(str(path))
            }
            found = record(trace(world, OPENINGS[opening].verb), world.folder)
            self._logs[key] = _Log(before=before, operations=_about_store(found, world.folder, before))
        return self._logs[key]


def _about_store(found: list[Operation], folder: Path, before: dict[str, bytes]) -> list[Operation]:
    """The operations on files that outlive a process, by paths relative to the folder and numbers from one on."""
    numbers: dict[int, int] = {}
    kept = []
    known = {path: number for number, path in enumerate(sorted(before), 1)}
    for one in found:
        path = str(Path(one.path).relative_to(folder)) if one.path.startswith("/") else one.path
        if one.kind not in ("send", "sync-folder"):
            if not _stays(one.path):
                continue
            if one.file not in numbers:
                numbers[one.file] = known.pop(path, 0) or 1000 + len(numbers)
        kept.append(
            Operation(kind=one.kind, path=path, file=numbers.get(one.file, 0), offset=one.offset, data=one.data)
        )
    return kept


def _stays(path: str) -> bool:
    """Not the index of the journal, which is shared memory, nor the notes in lock files, nor what a child prints."""
    return path.endswith((".db", "-wal", "-journal"))


def _lay_out(world: World, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        target = world.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _loss(text: str) -> Loss:
    return next(one for one in LOSSES if one == text)
