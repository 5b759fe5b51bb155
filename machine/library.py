"""A document by path, or a shipped workflow by name -> Description. The one place that opens document files.

Shipped workflows lie beside the package in a checkout and inside it in a wheel. They alone are trusted to say where a
secret comes from; a document by path never is, wherever it lies.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from .errors import SourceError, UsageError
from .sources.description import Description, describe

__all__ = ["Files", "load", "read_file", "shipped"]

_LARGEST = 64 << 20

_ENDINGS = (".yaml", ".yml", ".json")
_SUFFIX = ".arazzo.yaml"
_PACKAGE = Path(__file__).resolve().parent


def _folder() -> Path:
    """Where the shipped documents are: in an installed wheel, else in the checkout this file belongs to."""
    packed = _PACKAGE / "_library" / "arazzo"
    return packed if packed.is_dir() else _PACKAGE.parent / "workflows" / "arazzo"


def shipped() -> dict[str, Path]:
    """Name to path of every shipped workflow, by name."""
    return {path.name.removesuffix(_SUFFIX): path for path in sorted(_folder().glob(f"*{_SUFFIX}"))}


def read_file(path: Path, *, largest: int = _LARGEST) -> bytes:
    """The bytes of a regular file. Raises OSError; a pipe or a device is refused, because it may be read for ever."""
    # A pipe without a writer would keep even the opening waiting.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(largest + 1)
    finally:
        os.close(handle)
    if len(data) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest >> 20} MiB", str(path))
    return data


class Files:
    """Reads files by name, out of ``folder`` where a name is relative, and remembers what was in them."""

    def __init__(self, folder: str | Path = "") -> None:
        self.folder = Path(folder)
        self.digests: dict[str, str] = {}
        """The SHA-256 of each file that was read, by its name."""

    def __call__(self, name: str) -> bytes:
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(name)
        data = read_file(path)
        self.digests[name] = hashlib.sha256(data).hexdigest()
        return data

    def changed(self, digests: Mapping[str, str]) -> list[str]:
        """The names of those files in which something else is now. One that cannot be read says nothing."""
        found = []
        for name, digest in digests.items():
            try:
                now = hashlib.sha256(self(name)).hexdigest()
            except OSError:
                continue
            if now != digest:
                found.append(name)
        return found


def load(
    target: str | Path,
    *,
    sources: Mapping[str, str] | None = None,
    overlay: str | Path | None = None,
    files: Files | None = None,
) -> Description:
    """Read a document and its sources.

    ``target`` is a path when it contains ``/`` or ends in .yaml, .yml or .json, else the name of a shipped workflow.
    ``sources`` maps source names to paths read instead of the document's own URLs. ``overlay`` is the path of an
    OpenAPI Overlay that annotates the document. ``files`` says out of which folder, and remembers what was read. Raises
    SourceError for a file that cannot be read, UsageError for a name that is not shipped, DocumentError for a document
    with errors.
    """
    text, read = str(target), files or Files()
    if isinstance(target, Path) or "/" in text or text.endswith(_ENDINGS):
        return _described(text, sources=sources, overlay=overlay, read=read, trusted=False)
    names = shipped()
    if text not in names:
        raise UsageError(
            f"no workflow called {text!r} is shipped",
            code="AZM-U032",
            next=f"shipped: {', '.join(names)}; a file is given as a path, such as ./{text}",
        )
    return _described(str(names[text]), sources=sources, overlay=overlay, read=read, trusted=True)


def _described(
    path: str, *, sources: Mapping[str, str] | None, overlay: str | Path | None, read: Files, trusted: bool
) -> Description:
    try:
        return describe(path, read=read, sources=sources, overlay=str(overlay or ""), trusted=trusted)
    except FileNotFoundError as error:
        missing = str(error.args[0]) if error.args else path
        raise SourceError(
            "there is no such document",
            code="AZM-S020",
            seen=missing,
            next="give the path of an Arazzo document" if missing == path else "give the path of an overlay",
        ) from error
    except OSError as error:
        raise SourceError(
            f"the document cannot be read: {error.strerror or type(error).__name__}",
            code="AZM-S021",
            seen=path,
            next="give the path of an Arazzo document that can be read",
        ) from error
