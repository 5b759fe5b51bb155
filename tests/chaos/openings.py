"""The moments a trial can begin at: a verb of the product, and the store and the other side it finds.

Makes, for each moment, the files of a store as a killed process leaves them, once; then copies them for every trial.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from direct import Died, dead_transport
from server import Kind
from world import NAME, RUN, Bench, World

from machine.stores.sqlite import SqliteStore

__all__ = ["OPENINGS", "Opening", "Openings"]

_POLL: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """``verb`` is done in a store in this ``state``, while ``creates`` things are there."""

    name: str
    state: str
    verb: str
    creates: int = 0
    before: int = 0
    """How many calls the journal has."""
    asks: bool = False
    """Whether only a policy that holds comes this way."""


OPENINGS: Final[Mapping[str, Opening]] = {
    one.name: one
    for one in (
        Opening(name="run", state="nothing", verb="start"),
        Opening(name="poll", state="polling", verb="resume", creates=1, before=1),
        Opening(name="doubt", state="doubtful", verb="resume"),
        Opening(name="again", state="settled", verb="resume", before=1, asks=True),
        Opening(name="not-sent", state="doubtful", verb="not_sent", asks=True),
        Opening(name="adopt", state="doubtful", verb="adopt", creates=1, asks=True),
    )
}
"""From nothing; in the middle of polling; after a death while creating; after a person said that nothing was created;
and while a person says so, or the opposite."""


class Openings:
    """The openings of one bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._made: dict[tuple[str, str, float], Path] = {}
        for policy in bench.policies:
            for name in self.names(policy):
                self._image(policy, OPENINGS[name].state, _POLL)

    def names(self, policy: str) -> list[str]:
        return [one.name for one in OPENINGS.values() if self._bench.policies[policy].holds or not one.asks]

    def place(self, policy: str, opening: str, kind: Kind, *, poll: float = _POLL, **options: Any) -> World:
        """A world at that opening, and the server told of it."""
        chosen = OPENINGS[opening]
        image = self._image(policy, chosen.state, poll)
        world = self._bench.world(policy, poll=poll, **options)
        shutil.copytree(image, world.folder, dirs_exist_ok=True)
        self._bench.server.open(NAME, kind, creates=chosen.creates)
        return world

    def _image(self, policy: str, state: str, poll: float) -> Path:
        key = (policy, state, poll)
        if key not in self._made:
            self._made[key] = self._make(policy, state, poll)
        return self._made[key]

    def _make(self, policy: str, state: str, poll: float) -> Path:
        image = self._bench.folder / f"image-{policy}-{state}-{poll}"
        world = self._bench.world(policy, folder=f"{image.name}-made", poll=poll)
        self._bench.server.open(NAME, "unique")
        if state == "nothing":
            return world.folder
        dying = self._bench.world(
            policy, folder=f"{image.name}-made", poll=poll, runner_options={"transport": dead_transport}
        )
        if state == "polling":
            with SqliteStore(world.path) as store:
                run = world.begin(world.runner(store))
                steps = iter(run)
                # Its start, then the answer to the create.
                next(steps), next(steps)
                run.close()
                shutil.copytree(world.folder, image)
            return image
        with SqliteStore(dying.path) as store:
            with contextlib.suppress(Died):
                dying.apply(dying.runner(store), "start")
            if state == "settled":
                world.apply(world.runner(store), "not_sent")
            if store.load(RUN).head.seq < 1:
                raise AssertionError("the run was not begun")
            # Copied while it is open: closing would merge the journal, which a killed process does not do.
            shutil.copytree(dying.folder, image)
        return image
