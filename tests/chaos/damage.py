"""F9: bits of the store's files flip, pages are wiped, ends are cut off or grow, while nobody has the store open."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from direct import Here
from openings import Image, Openings
from part import Drawn
from world import RUN, VERBS, Bench, Ending, World

from machine.errors import BugError, MachineError, UsageError
from machine.stores.base import Store
from machine.stores.sqlite import SqliteStore

__all__ = ["Damage"]

_PAGE: Final = 4096
_KINDS: Final = ("bit", "bit", "bit", "bytes", "page", "cut", "grow")
_OPENINGS: Final = ("poll", "doubt", "arrived-2", "again")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A store that is whole: its files, what it says, and what the other side knows."""

    files: dict[str, bytes]
    result: dict[str, Any]
    history: list[str]
    image: Image


class Damage(Drawn):
    """Trials ``case:opening:merged|killed:seed``."""

    name: ClassVar[str] = "F9"
    title: ClassVar[str] = "damaged files"
    fault: ClassVar[str] = (
        "in a store that was closed, and in one whose process was killed: a bit flipped, bytes or a page overwritten, "
        "the end cut off or garbage added"
    )
    promise: ClassVar[str] = (
        "a clean refusal, or exactly what was stored, and then exactly one create; a store that has fallen back to an "
        "earlier moment is not gone on with"
    )
    traced: ClassVar[bool] = False

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)
        self._bases: dict[tuple[str, str, str], _Base] = {}

    def draw(self, seed: int) -> str:
        dice = random.Random(seed)
        case = dice.choice(sorted(self._bench.cases))
        opening = dice.choice([one for one in _OPENINGS if one in self._openings.names(case)])
        return f"{case}:{opening}:{dice.choice(['merged', 'merged', 'killed'])}:{seed}"

    def attempt(self, trial: str, ending: Ending) -> None:
        case, opening, how, seed = trial.split(":")
        dice = random.Random(int(seed))
        base = self._base(case, opening, how)
        kinds = self._bench.cases[case].policy.kinds
        here = Here(base.image.account.again(kind=kinds[int(seed) % len(kinds)], polls=1))
        world = self._bench.world(case, runner_options={"transport": here.transport})
        base.image.account_for(world)
        victim = dice.choice(sorted(path for path, content in base.files.items() if content))
        what = dice.choice(_KINDS)
        for path, content in base.files.items():
            (world.folder / path).parent.mkdir(exist_ok=True)
            (world.folder / path).write_bytes(_spoil(content, what, dice) if path == victim else content)
        ending.word = f"{how}: {self._judge(world, base, ending)}"
        if ending.word.endswith("refused"):
            return
        try:
            world.look_after(here, ending, first=VERBS[int(seed) % 2])
        except BugError:
            raise
        except MachineError:
            ending.word += ", refused when going on"
            if here.account().surplus:
                ending.problem("a second create, and then a refusal")

    def _judge(self, world: World, base: _Base, ending: Ending) -> str:
        """What the damaged store says, against what it said when it was whole."""
        try:
            with SqliteStore(world.path) as store:
                result, history = _said(world, store)
        except UsageError:
            return "went back"
        except BugError:
            raise
        except MachineError:
            return "refused"
        if (result, history) == (base.result, base.history):
            return "the same"
        if len(history) < len(base.history) and history == base.history[: len(history)]:
            return "went back"
        ending.problem("the store opened and says something else than was stored")
        return "changed"

    def _base(self, case: str, opening: str, how: str) -> _Base:
        key = (case, opening, how)
        if key not in self._bases:
            world = self._openings.place(case, opening, "unique")
            image = self._openings.image(case, opening)
            if how == "merged":
                # Opening and closing it merges the journal into the file.
                SqliteStore(world.path).close()
            files = {
                str(path.relative_to(world.folder)): path.read_bytes()
                for path in sorted(world.folder.rglob("*"))
                if path.is_file() and (path.name.endswith((".db", "-wal")) or path.parent.name.endswith(".marks"))
            }
            with SqliteStore(world.path) as store:
                result, history = _said(world, store)
            self._bases[key] = _Base(files=files, result=result, history=history, image=image)
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
