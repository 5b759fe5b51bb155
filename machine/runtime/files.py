"""Files of the operator and bodies that are no text: made into references, and read again when they are sent.

A reference holds a digest, so what is sent is what was named: a file that has changed since is refused. Only what an
operator typed is ever opened; no text of a document or an answer names a file here.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError, RequestError
from ..values import FileRef

__all__ = ["Files", "refer"]

_CHUNK = 256 * 1024


def refer(path: str, name: str) -> FileRef:
    """A reference to a file, for the input ``name``. Raises InputError AZM-I008 for what cannot be read."""
    file = Path(path)
    try:
        if not file.is_file():
            # A device or a pipe could be read for ever, and never twice the same.
            raise FileNotFoundError(path)
        with file.open("rb") as opened:
            sha256, size = _digest(opened)
    except OSError as error:
        raise InputError(
            f"the file of input {name!r} cannot be read",
            code="AZM-I008",
            seen=f"{path}: {error.strerror or 'there is no such file'}",
            next=f"give a regular file: -i {name}=@file:PATH",
        ) from error
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return FileRef(sha256, size, kind, file.name, str(file.resolve()))


def _digest(opened: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while piece := opened.read(_CHUNK):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


class Files:
    """Where the bytes behind references are: the operator's files, and the bodies ``keep`` was given.

    ``store`` keeps bytes under their digest, ``read`` gives them back; without them they live as long as this object.
    """

    def __init__(
        self, store: Callable[[str, bytes], None] | None = None, read: Callable[[str], bytes] | None = None
    ) -> None:
        held: dict[str, bytes] = {}
        self._store = store or held.__setitem__
        self._read = read or held.__getitem__

    def keep(self, body: bytes, content_type: str) -> FileRef:
        """A reference to the body of an answer, which is kept."""
        ref = FileRef(hashlib.sha256(body).hexdigest(), len(body), content_type)
        self._store(ref.sha256, body)
        return ref

    def check(self, ref: FileRef) -> None:
        """Raises RequestError AZM-R021 where the bytes are no longer those that were named."""
        if not ref.path:
            return
        try:
            with open(ref.path, "rb") as opened:
                same = _digest(opened) == (ref.sha256, ref.size)
        except OSError:
            same = False
        if not same:
            raise RequestError(
                f"the file {ref.name!r} is gone, or is not the one the run was begun with",
                code="AZM-R021",
                seen=ref.path,
                next="put it back as it was; another file is another run",
            )

    def chunks(self, ref: FileRef) -> Iterator[bytes]:
        """The bytes, piece by piece. Raises OSError where there are not as many as there were."""
        if not ref.path:
            yield self._read(ref.sha256)
            return
        left = ref.size
        with open(ref.path, "rb") as opened:
            while left and (piece := opened.read(min(_CHUNK, left))):
                left -= len(piece)
                yield piece
        if left:
            raise OSError("the file became shorter while it was sent")
