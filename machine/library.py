"""A document by path, or a shipped workflow by name -> Description. The one place that opens document files.

Shipped workflows lie beside the package in a checkout and inside it in a wheel. They alone are trusted to say where a
secret comes from; a document by path never is, wherever it lies.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .document.findings import Finding
from .document.load import MAX_BYTES
from .document.overlay import apply_overlay, read_overlay
from .document.positions import Tree
from .document.rules import check
from .errors import SourceError, UsageError
from .sources.description import Description, describe
from .sources.files import arazzo_tree, source_tree
from .sources.resolve import is_remote

__all__ = ["Files", "check_structure", "load", "read_file", "shipped"]

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
    data = _regular(path, largest + 1)
    if len(data) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest >> 20} MiB", str(path))
    return data


def _regular(path: Path, most: int) -> bytes:
    """At most so many bytes of a file. Opened without waiting, looked at once open: nothing else can come between."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(handle)


class Files:
    """The files a document was read from: names that are relative belong to ``folder``, the current one unless told."""

    def __init__(self, folder: str | Path = "") -> None:
        self.folder = Path(folder)
        self.digests: dict[str, str] = {}
        """The SHA-256 of each file that was read, by its name."""

    def remember(self, name: str, data: bytes) -> None:
        self.digests[name] = hashlib.sha256(data).hexdigest()

    def changed(self) -> list[str]:
        """The names of those files in which something else is now. One that cannot be read says nothing."""
        found = []
        for name, digest in self.digests.items():
            try:
                now = hashlib.sha256(read_file(self.folder / name)).hexdigest()
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
    strict: bool = False,
    fetch: Callable[[str], bytes] | None = None,
    tree_of: Callable[[bytes, str], Tree] = source_tree,
    files: Files | None = None,
) -> Description:
    """Read a document and everything it leads to.

    ``target`` is a path when it contains ``/`` or ends in .yaml, .yml or .json, else the name of a shipped workflow.
    ``sources`` maps source names to paths read instead of the document's own URLs. ``overlay`` is the path of an
    OpenAPI Overlay that annotates the document. ``strict`` looks for sources only where their URLs say.
    ``fetch`` reads URLs, which are not read without it; ``tree_of`` parses sources; ``files`` says out of which folder
    names are read, and remembers what was there. Raises SourceError for a document that cannot be read, UsageError for
    a name that is not shipped, DocumentError for a document with errors; a source that cannot be read is raised by
    ``build_plan`` where it is needed.
    """
    path, trusted = _path_of(target)
    read = _Reader([path, *(sources or {}).values(), *([str(overlay)] if overlay else [])], files)
    try:
        return describe(
            path,
            read=lambda name: fetch(name) if fetch is not None and is_remote(name) else read(name),
            sources=sources,
            overlay=str(overlay or ""),
            strict=strict,
            trusted=trusted,
            remote=fetch is not None,
            tree_of=tree_of,
        )
    except OSError as error:
        raise _unread(path, error) from error


def check_structure(target: str | Path, *, overlay: str | Path | None = None) -> tuple[Finding, ...]:
    """What is wrong with the structure of a document, whose sources are not read.

    Raises as :func:`load` does for a document that cannot be read or parsed.
    """
    path = _path_of(target)[0]
    tree = arazzo_tree(_opened(path), path)
    if not overlay:
        return check(tree)
    merged, notes = apply_overlay(tree, read_overlay(_opened(str(overlay)), uri=str(overlay)))
    return (*notes, *check(merged))


def _path_of(target: str | Path) -> tuple[str, bool]:
    """The path of a document, and whether it is a shipped one."""
    text = str(target)
    if isinstance(target, Path) or "/" in text or text.endswith(_ENDINGS):
        return text, False
    names = shipped()
    if text not in names:
        raise UsageError(
            f"no workflow called {text!r} is shipped",
            code="AZM-U032",
            next=f"shipped: {', '.join(names)}; a file is given as a path, such as ./{text}",
        )
    return str(names[text]), True


def _opened(path: str) -> bytes:
    try:
        return _Reader([path])(path)
    except OSError as error:
        raise _unread(path, error) from error


def _unread(path: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        missing = str(error.args[0]) if error.args else path
        return SourceError(
            "there is no such document",
            code="AZM-S020",
            seen=missing,
            next="give the path of an Arazzo document" if missing == path else "give the path of an overlay",
        )
    return SourceError(
        f"the document cannot be read: {error.strerror or type(error).__name__}",
        code="AZM-S021",
        seen=path,
        next="give the path of an Arazzo document that can be read",
    )


class _Reader:
    """Opens the files an operator named, and those a document leads to from there, as far as they lie with it.

    That is in the folder of a named file or in one beside it, such as ``../openapi``; or in the current folder, or the
    Git checkout, where the named file lies in it. Never in the whole of a home or of a disk, never behind a link that
    leads out, and no hidden file: a document from elsewhere would reach for a credential there.
    """

    def __init__(self, named: Iterable[str], files: Files | None = None) -> None:
        self._files = files or Files()
        self._named = {(self._files.folder / one).resolve() for one in named if "\0" not in one}
        here = self._files.folder.resolve()
        whole = {Path(here.anchor), _home()}
        folders = {one.parent for one in self._named}
        around = {one for file in self._named for one in file.parents if one == here or (one / ".git").exists()}
        self._roots = folders | ({one.parent for one in folders - whole} | around) - whole

    def __call__(self, name: str) -> bytes:
        """Raises FileNotFoundError for what is no regular file, PermissionError for what lies elsewhere."""
        if "\0" in name:
            raise FileNotFoundError(name)
        path = (self._files.folder / name).resolve()
        if path not in self._named and not any(self._holds(root, path) for root in self._roots):
            raise PermissionError(errno.EACCES, "it does not lie with the document", name)
        try:
            data = _regular(path, MAX_BYTES + 1)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL):
                raise FileNotFoundError(name) from None
            raise
        self._files.remember(name, data)
        return data

    def _holds(self, root: Path, path: Path) -> bool:
        return path.is_relative_to(root) and not any(one.startswith(".") for one in path.relative_to(root).parts)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.sep)
