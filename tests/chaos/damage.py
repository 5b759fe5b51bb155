"""F9: bits of the store's files flip, pages are wiped, ends are cut off or grow, while nobody has the store open."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from direct import Here
from openings import OPENINGS, Openings
from server import KINDS
from world import NAME, RUN, Bench, Ending, World

from machine.errors import BugError, MachineError, UsageError
from machine.stores.base import Store
from machine.stores.sqlite import SqliteStore

__all__ = ["Damage"]

_PAGE: Final = 4096
_KINDS: Final = ("bit", "bit", "bit", "bytes", "page", "cut", "grow")
_WENT_BACK: Final = (
    "damage to the journal that SQLite has not merged yet, or a store cut to nothing, takes the run back to an earlier "
    "moment"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A store that is whole: its files, what it says, and how much there is on the other side."""

    files: dict[str, bytes]
    result: dict[str, Any]
    history: list[str]
    creates: int


class Damage:
    """Trials ``policy:state:merged|killed:seed``."""

    name: ClassVar[str] = "F9"
    title: ClassVar[str] = "damaged files"
    fault: ClassVar[str] = (
        "in a store that was closed, and in one whose process was killed: a bit flipped, bytes or a page overwritten, "
        "the end cut off or garbage added"
    )
    promise: ClassVar[str] = (
        "a clean refusal, or exactly what was stored, and then exactly one create; nothing in between"
    )
    traced: ClassVar[bool] = False

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)
        self._bases: dict[tuple[str, str, str], _Base] = {}

    def sweep(self) -> list[str]:
        return []

    def draw(self, seed: int) -> str:
        dice = random.Random(seed)
        policy = dice.choice(sorted(self._bench.policies))
        opening = dice.choice([one for one in ("poll", "doubt", "again") if one in self._openings.names(policy)])
        return f"{policy}:{opening}:{dice.choice(['merged', 'merged', 'killed'])}:{seed}"

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, opening, how, seed = trial.split(":")
        dice = random.Random(int(seed))
        base = self._base(policy, opening, how)
        here = Here()
        here.service.open(NAME, KINDS[int(seed) % 2], creates=base.creates, polls=1)
        world = self._bench.world(policy, runner_options={"transport": here.transport})
        victim = dice.choice(sorted(path for path, content in base.files.items() if content))
        what = dice.choice(_KINDS)
        for path, content in base.files.items():
            (world.folder / path).write_bytes(_spoil(content, what, dice) if path == victim else content)
        ending.word = f"{how}: {self._judge(world, base, ending)}"
        if not ending.word.endswith("the same"):
            return
        try:
            world.look_after(here, ending)
        except BugError:
            raise
        except MachineError:
            ending.word = f"{how}: refused when going on"
            if here.account(NAME).creates > 1:
                ending.problem("a second create, and then a refusal")

    def _judge(self, world: World, base: _Base, ending: Ending) -> str:
        """What the damaged store says, against what it said when it was whole."""
        try:
            with SqliteStore(world.path) as store:
                result, history = _said(world, store)
        except UsageError:
            ending.remark(_WENT_BACK)
            return "went back"
        except BugError:
            raise
        except MachineError:
            return "refused"
        if (result, history) == (base.result, base.history):
            return "the same"
        if len(history) < len(base.history) and history == base.history[: len(history)]:
            ending.remark(_WENT_BACK)
            return "went back"
        ending.problem("the store opened and says something else than was stored")
        return "changed"

    def _base(self, policy: str, opening: str, how: str) -> _Base:
        key = (policy, opening, how)
        if key not in self._bases:
            world = self._openings.place(policy, opening, "unique")
            if how == "merged":
                # Opening and closing it merges the journal into the file.
                SqliteStore(world.path).close()
            files = {
                path.name: path.read_bytes()
                for path in sorted(world.folder.iterdir())
                if path.is_file() and path.name.endswith((".db", "-wal"))
            }
            with SqliteStore(world.path) as store:
                result, history = _said(world, store)
            self._bases[key] = _Base(files=files, result=result, history=history, creates=OPENINGS[opening].creates)
        return self._bases[key]


def _said(world: World, store: Store) -> tuple[dict[str, Any], list[str]]:
    history = [json.dumps(record.to_json()) for record in store.history(RUN)]
    return world.runner(store).result(RUN).to_json(), history


def _spoil(content: bytes, what: str, dice: random.Random) -> bytes:
    changed = bytearray(content)
    spot = dice.randrange(len(content))
    if what == "bit":
        changed[spot] ^= 1 << dice.randrange(8)
    elif what == "bytes":
        for index in range(spot, min(spot + dice.randrange(1, 64), len(changed))):
            changed[index] = dice.randrange(256)
    elif what == "page":
        start = spot // _PAGE * _PAGE
        changed[start : start + _PAGE] = bytes(min(_PAGE, len(changed) - start))
    elif what == "cut":
        del changed[dice.choice([spot, spot // _PAGE * _PAGE]) :]
    else:
        changed.extend(dice.randbytes(dice.choice([1, 100, _PAGE])))
    return bytes(changed)
