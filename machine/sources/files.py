"""The files of one description: each is read once and parsed once, and what was read is kept.

Reading and parsing are callables of the caller's; this file opens nothing. A file that failed fails the same way when
it is asked for again.
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..document.load import parse
from ..document.positions import Tree
from ..errors import DocumentError, Place
from .resolve import beside, is_remote

__all__ = ["MAX_FILES", "Files", "arazzo_tree", "source_tree"]

MAX_ARAZZO_BYTES: Final = 2 << 20
MAX_ARAZZO_VALUES: Final = 50_000
"""Of an Arazzo document, which is read with the position of every value: five times what one of a hundred steps has,
and read in well under a second whatever is in it. An OpenAPI description may be larger."""

MAX_FILES: Final = 200
"""Files one document may lead to, its own included."""
_MAX_ATTEMPTS: Final = 10_000
"""Names that may be asked for: a file can refer to a million others that are not there."""

_REFERENCE: Final = re.compile(rb"""\$ref["']?\s*:\s*["']?([^"'\s#,}\]]+)""")
"""References out of a file, read off its text: walking a million parsed values for them would take a second. What is
found too much is a file that is not there."""


def source_tree(data: bytes, uri: str) -> Tree:
    """A source as far as it can be read, without the positions of its values. Raises DocumentError."""
    return parse(data, uri=uri, positions=False, lenient=True)


def arazzo_tree(data: bytes, uri: str) -> Tree:
    """The values of an Arazzo document, with their positions. Raises DocumentError."""
    if len(data) > MAX_ARAZZO_BYTES:
        message = f"the Arazzo document is larger than {MAX_ARAZZO_BYTES >> 20} MiB"
        raise DocumentError(message, code="AZM-D002", place=Place(document=uri), next="split it into several")
    return parse(data, uri=uri, most=MAX_ARAZZO_VALUES)


class Files:
    """What was read so far. ``texts`` are bytes by the name they were read under, ``trees`` what they hold.

    ``remote`` says whether ``read`` takes URLs; whatever they are, it decides which of them it fetches.
    """

    def __init__(
        self,
        read: Callable[[str], bytes],
        *,
        tree_of: Callable[[bytes, str], Tree] = source_tree,
        remote: bool = False,
    ) -> None:
        self.texts: dict[str, bytes] = {}
        self.trees: dict[str, Tree] = {}
        self._read = read
        self._tree_of = tree_of
        self._remote = remote
        self._failed: dict[str, OSError | DocumentError] = {}

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises OSError when it cannot be read, or too many were."""
        if name not in self.texts and name not in self._failed:
            try:
                if len(self.texts) >= MAX_FILES or len(self._failed) >= _MAX_ATTEMPTS:
                    raise OSError(errno.EMFILE, f"the document leads to more than {MAX_FILES} files")
                self.texts[name] = self._read(name)
            except KeyError:
                # A reader may be the look-up in a table of texts.
                self._failed[name] = FileNotFoundError(errno.ENOENT, "no such file", name)
            except OSError as error:
                self._failed[name] = error
        if isinstance(failed := self._failed.get(name), OSError):
            raise failed
        return self.texts[name]

    def value(self, name: str) -> Any:
        """The values a file holds. Raises OSError as :meth:`read` does, DocumentError when it is neither JSON nor
        YAML."""
        data = self.read(name)
        if (failed := self._failed.get(name)) is not None:
            raise failed
        if name not in self.trees:
            try:
                self.trees[name] = self._tree_of(data, name)
            except DocumentError as error:
                self._failed[name] = error
                raise
        return self.trees[name].value

    def tree(self, name: str) -> Tree:
        """An Arazzo document, read strictly and with positions. Raises as :meth:`value` does."""
        return arazzo_tree(self.read(name), name)

    def around(self, name: str) -> Mapping[str, Any]:
        """The values of every file that a file refers to, directly or through others, itself included.

        What cannot be read or parsed is left out: it matters only where something needs it.
        """
        found = {name if is_remote(name) else posixpath.normpath(name): self.value(name)}
        waiting = [name]
        while waiting:
            here = waiting.pop()
            for written in dict.fromkeys(_REFERENCE.findall(self.texts[here])):
                path = beside(here, written.decode("utf-8", "replace").replace("\\/", "/"))
                if not path or path in found or (is_remote(path) and not self._remote):
                    continue
                try:
                    found[path] = self.value(path)
                except (OSError, DocumentError):
                    continue
                waiting.append(path)
        return found
