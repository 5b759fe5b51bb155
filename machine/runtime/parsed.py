"""Large source descriptions, parsed once: the values of a text are kept as JSON under the digest of that text.

A key that stands twice is kept as null, and beside the values is written which nulls those are.

Parsing ten megabytes of YAML takes seconds, reading the same as JSON a tenth of one. What lies in the cache is taken
for no more than a file somebody may have damaged: it is used only if it is whole, and is never needed.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..document.positions import Positions, Tree, Twice
from ..sources.files import source_tree

__all__ = ["ParsedSources", "default_folder"]

_SMALLEST: Final = 256 << 10
"""Bytes below which parsing takes no longer than looking."""
_LARGEST: Final = 200 << 20
_KEPT: Final = 32
"""Files; the ones used longest ago make room for others."""
_MARKED: Final = 1 << 20
"""Characters of the keys that lead to keys that stand twice; where there are more, nothing is kept."""
_VERSION: Final = b"arazzo-machine parsed 2"


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/arazzo-machine/sources``, by default under ``~/.cache``. For a user that has no home, such as a
    number in a container, it is a folder that cannot be made: then nothing is kept."""
    # Not Path.expanduser, which raises there.
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache").removeprefix("~")
    return Path(home) / "arazzo-machine" / "sources"


class ParsedSources:
    """Values of texts, kept in a folder of files nobody else can read."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_folder()

    def tree_of(self, data: bytes, uri: str) -> Tree:
        """The values of a text, from the cache where it has them. Raises DocumentError as parsing does."""
        if len(data) < _SMALLEST:
            return source_tree(data, uri)
        digest = hashlib.sha256(data).hexdigest()
        file = self._folder / f"{digest}.json"
        if (found := _load(file, uri)) is not None:
            value, twice = found
            return Tree(value=value, positions=Positions(), uri=uri, sha256=digest, twice=twice)
        tree = source_tree(data, uri)
        # A cache that cannot be written, or a value JSON has no words for, costs time and nothing else.
        with suppress(OSError, ValueError, TypeError, RecursionError):
            self._keep(file, tree)
        return tree

    def _keep(self, file: Path, tree: Tree) -> None:
        payload = json.dumps(
            [tree.value, _marked(tree)], ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_no_value
        ).encode()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room()
        head = b"%s %s\n" % (_VERSION, hashlib.sha256(payload).hexdigest().encode())
        descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with open(descriptor, "wb") as part:
                part.write(head + payload)
            os.replace(name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise

    def _make_room(self) -> None:
        files = sorted(self._folder.iterdir(), key=lambda one: one.stat().st_mtime)
        for one in files[: max(0, len(files) - _KEPT + 1)]:
            one.unlink(missing_ok=True)


def _read(payload: bytes) -> Any:
    """The value of a JSON text. Nothing in it can be garbage yet, and looking for some takes half of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        value = json.loads(payload)
        # Nor later: it lasts as long as the command does, and holds no circles that counting would not free.
        gc.freeze()
        return value
    finally:
        if collects:
            gc.enable()


def _no_value(value: Any) -> None:
    """What stands in the place of a key that stands twice."""
    if not isinstance(value, Twice):
        raise TypeError


def _marked(tree: Tree) -> list[Any]:
    """Each place of a key that stands twice, as the keys that lead to it; through YAML aliases there may be several."""
    found: list[Any] = []
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), tree.value)] if tree.twice else []
    size = 0
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Twice):
            size += sum(len(step) if isinstance(step, str) else 1 for step in path)
            if size > _MARKED:
                raise ValueError
            found.append([path, value.key, value.first, value.again])
        elif isinstance(value, (dict, list)):
            steps: Any = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [((*path, step), one) for step, one in steps if isinstance(one, (dict, list, Twice))]
    return sorted(found, key=lambda one: one[3])


def _mark(value: Any, marked: list[Any], uri: str) -> tuple[Twice, ...]:
    """Put the keys that stand twice where they were."""
    found: dict[Twice, Twice] = {}
    for path, key, first, again in marked:
        one = Twice(key=key, first=tuple(first), again=tuple(again), uri=uri)
        owner = value
        for step in path[:-1]:
            owner = owner[step]
        owner[path[-1]] = found.setdefault(one, one)
    return tuple(found)


def _load(file: Path, uri: str) -> tuple[Any, tuple[Twice, ...]] | None:
    """What a file holds; None where it is not there, not ours, or not whole."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as opened:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid() or about.st_size > _LARGEST:
                return None
            head, _, payload = opened.read().partition(b"\n")
        if head != b"%s %s" % (_VERSION, hashlib.sha256(payload).hexdigest().encode()):
            return None
        value, marked = _read(payload)
        os.utime(file)
        return value, _mark(value, marked, uri)
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
