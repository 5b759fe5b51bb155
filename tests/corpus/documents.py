"""Real documents of other people, each read with the sources it means.

They are no part of this project and lie beside it, listed in an index: ``document``, ``sources`` (name to file) and
``all_sources_present``. A source is parsed once, however many documents use it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from machine.document.positions import Tree
from machine.sources.description import Description, describe
from machine.sources.files import source_tree

__all__ = ["Library", "Row", "rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the index."""

    document: str
    sources: dict[str, str]
    complete: bool

    @property
    def owner(self) -> str:
        """The repository it comes from: documents of one share their sources."""
        return self.document.split("/")[0]


def rows(folder: Path) -> list[Row]:
    """The index, in its order."""
    listed = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return [
        Row(document=one["document"], sources=one["sources"], complete=one["all_sources_present"]) for one in listed
    ]


@dataclass(slots=True)
class Library:
    """Reads documents, and remembers parsed sources and how long reading them took."""

    folder: Path
    seconds: float = 0.0
    _trees: dict[bytes, Tree] = field(default_factory=dict)

    def describe(self, row: Row) -> Description:
        """Raises as ``machine.sources.description.describe`` does."""
        return describe(
            str(self.folder / row.document),
            read=self._read,
            sources={name: str(self.folder / path) for name, path in row.sources.items()},
            tree_of=self._tree_of,
        )

    def _read(self, name: str) -> bytes:
        with self._watched():
            path = Path(name)
            if not path.is_file():
                raise FileNotFoundError(name)
            return path.read_bytes()

    def _tree_of(self, data: bytes, name: str) -> Tree:
        with self._watched():
            key = hashlib.sha256(data).digest()
            if key not in self._trees:
                self._trees[key] = source_tree(data, name)
            return self._trees[key]

    def _watched(self) -> _Watch:
        return _Watch(self)


@dataclass(slots=True)
class _Watch:
    library: Library
    start: float = 0.0

    def __enter__(self) -> None:
        self.start = time.process_time()

    def __exit__(self, *problem: object) -> None:
        self.library.seconds += time.process_time() - self.start


def by_owner(listed: list[Row]) -> Iterator[list[Row]]:
    """The rows of each repository together."""
    for owner in dict.fromkeys(row.owner for row in listed):
        yield [row for row in listed if row.owner == owner]
