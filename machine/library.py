"""A document by path, or a shipped workflow by name -> Description. The one place that opens document files.

Shipped workflows lie beside the package in a checkout and inside it in a wheel. They alone are trusted to say where a
secret comes from; a document by path never is, wherever it lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .errors import SourceError, UsageError
from .sources.description import Description, describe

__all__ = ["load", "shipped"]

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


def load(
    target: str | Path,
    *,
    sources: Mapping[str, str] | None = None,
    overlay: str | Path | None = None,
    strict: bool = False,
) -> Description:
    """Read a document and everything it leads to.

    ``target`` is a path when it contains ``/`` or ends in .yaml, .yml or .json, else the name of a shipped workflow.
    ``sources`` maps source names to paths read instead of the document's own URLs. ``overlay`` is the path of an
    OpenAPI Overlay that annotates the document. ``strict`` looks for sources only where their URLs say. Raises
    SourceError for a document that cannot be read, UsageError for a name that is not shipped, DocumentError for a
    document with errors; a source that cannot be read is raised by ``build_plan`` where it is needed.
    """
    text = str(target)
    if isinstance(target, Path) or "/" in text or text.endswith(_ENDINGS):
        return _described(text, sources=sources, overlay=overlay, strict=strict, trusted=False)
    names = shipped()
    if text not in names:
        raise UsageError(
            f"no workflow called {text!r} is shipped",
            code="AZM-U032",
            next=f"shipped: {', '.join(names)}; a file is given as a path, such as ./{text}",
        )
    return _described(str(names[text]), sources=sources, overlay=overlay, strict=strict, trusted=True)


def _described(
    path: str, *, sources: Mapping[str, str] | None, overlay: str | Path | None, strict: bool, trusted: bool
) -> Description:
    try:
        return describe(path, read=_read, sources=sources, overlay=str(overlay or ""), strict=strict, trusted=trusted)
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


def _read(name: str) -> bytes:
    path = Path(name)
    if not path.is_file():
        # A device or a pipe could be read for ever; a folder not at all.
        raise FileNotFoundError(name)
    return path.read_bytes()
