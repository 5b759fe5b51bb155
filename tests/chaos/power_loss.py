"""F5: the power goes at any moment of a real process, and the disk keeps what it likes of what was not synced."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from direct import Here
from part import Swept, as_kind, trace
from service import Kind, read_request
from storage import LOSSES, Loss, Operation, files_after, record
from world import Bench, Ending, World

from machine.stores.sqlite import SqliteStore

__all__ = ["PowerLoss"]

_DICED: Final[tuple[Loss, ...]] = ("random", "torn")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """What one verb did, from the files it found."""

    before: dict[str, bytes]
    operations: list[Operation]


class PowerLoss(Swept):
    """Trials ``case:kind:opening:operations:loss:seed``. The operations are recorded once, under ptrace."""

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
        super().__init__(bench)
        self._logs: dict[tuple[str, str], _Log] = {}

    def kinds(self, case: str) -> Sequence[Kind]:
        return self.strictest(case)

    def covers(self, case: str, opening: str) -> bool:
        return opening in ("run", "poll", "doubt", "again", "not-sent")

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        last = len(self._log(case, opening).operations)
        return [f"{cut}:{loss}:0" for cut in range(1, last + 1) for loss in LOSSES]

    def draw(self, seed: int) -> str:
        dice = random.Random(seed)
        group = dice.choice(self.groups())
        case, _, opening = group.split(":")
        cut = dice.randrange(1, len(self._log(case, opening).operations) + 1)
        return f"{group}:{cut}:{dice.choice(_DICED)}:{seed + 1}"

    def attempt(self, trial: str, ending: Ending) -> None:
        case, kind, opening, cut, loss, _ = trial.split(":")
        log, dice = self._log(case, opening), random.Random(trial)
        operations = log.operations[: int(cut)]
        image = self.openings.image(case, opening)
        here = Here(image.account.again(kind=as_kind(kind), polls=1))
        world = self.bench.world(case, runner_options={"transport": here.transport})
        image.account_for(world)
        _lay_out(world, files_after(log.before, operations, _loss(loss), dice))
        self._send(here, operations, dice)
        self._check_file(world, ending)
        world.inspect(here, ending)
        world.look_after(here, ending)

    def _send(self, here: Here, operations: list[Operation], dice: random.Random) -> None:
        """Do on the other side what was sent until then. Of a request after which nothing was done nobody knows
        whether it arrived."""
        stream, whole = b"", 0
        for number, one in enumerate(operations, 1):
            if one.kind != "send":
                continue
            stream += one.data
            while (found := read_request(stream)) is not None:
                request, stream = found
                whole = number
                here.service.hear(request)
                if whole < len(operations) or dice.random() < 0.5:
                    here.service.answer(request)

    def _check_file(self, world: World, ending: Ending) -> None:
        # Whatever the store says of itself, SQLite is asked as well.
        SqliteStore(world.path).close()
        with sqlite3.connect(world.path) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        connection.close()
        if found != "ok":
            ending.problem(f"SQLite says: {found}")

    def _log(self, case: str, opening: str) -> _Log:
        key = (case, opening)
        if key not in self._logs:
            world = self.openings.place(case, opening, self.kinds(case)[0])
            before = {
                str(path.relative_to(world.folder)): path.read_bytes()
                for path in world.folder.rglob("*")
                if path.is_file() and _stays(str(path))
            }
            found = record(trace(world, self.openings.verb(case, opening)), world.folder)
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
    return path.endswith((".db", "-wal", "-journal")) or ".marks/" in path


def _lay_out(world: World, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        target = world.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _loss(text: str) -> Loss:
    return next(one for one in LOSSES if one == text)
