"""Large source descriptions, parsed once: the values of a text are kept as JSON under the digest of that text.

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

from ..sources.files import plain_value
from ..values import MISSING

__all__ = ["ParsedSources", "default_folder"]

_SMALLEST: Final = 256 << 10
"""Bytes below which parsing takes no longer than looking."""
_LARGEST: Final = 200 << 20
_KEPT: Final = 32
"""Files; the ones used longest ago make room for others."""
_VERSION: Final = b"arazzo-machine parsed 1"


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/arazzo-machine/sources``, by default under ``~/.cache``. For a user that has no home, such as a
    number in a container, it is a folder that cannot be made: then nothing is kept."""
    # Not Path.expanduser, which raises there.
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache").replace("~", "", 1)
    return Path(home) / "arazzo-machine" / "sources"


class ParsedSources:
    """Values of texts, kept in a folder of files nobody else can read."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_folder()

    def value_of(self, data: bytes, uri: str) -> Any:
        """The values of a text, from the cache where it has them. Raises DocumentError as parsing does."""
        if len(data) < _SMALLEST:
            return plain_value(data, uri)
        file = self._folder / f"{hashlib.sha256(data).hexdigest()}.json"
        found = _load(file)
        if found is not MISSING:
            return found
        value = plain_value(data, uri)
        # A cache that cannot be written, or a value JSON has no words for, costs time and nothing else.
        with suppress(OSError, ValueError, TypeError, RecursionError):
            self._keep(file, value)
        return value

    def _keep(self, file: Path, value: Any) -> None:
        payload = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
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


def _load(file: Path) -> Any:
    """What a file holds; MISSING where it is not there, not ours, or not whole."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as opened:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid() or about.st_size > _LARGEST:
                return MISSING
            head, _, payload = opened.read().partition(b"\n")
        if head != b"%s %s" % (_VERSION, hashlib.sha256(payload).hexdigest().encode()):
            return MISSING
        value = _read(payload)
        os.utime(file)
    except (OSError, ValueError, RecursionError):
        return MISSING
    return value
