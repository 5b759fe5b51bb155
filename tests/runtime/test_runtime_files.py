from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from machine.errors import InputError, RequestError
from machine.runtime.files import Files, refer
from machine.values import FileRef


def test_a_file_is_referred_to_by_digest_size_type_and_place(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(b"\x89PNG")

    ref = refer(str(file), "photo")

    assert ref == FileRef(hashlib.sha256(b"\x89PNG").hexdigest(), 4, "image/png", "photo.png", str(file))


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)

    with pytest.raises(InputError) as caught:
        refer(str(path), "photo")

    assert caught.value.code == "AZM-I008"
    assert "photo" in caught.value.message


def test_the_bytes_are_read_in_pieces(tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(600_000))
    ref = refer(str(file), "big")

    pieces = list(Files().chunks(ref))

    assert b"".join(pieces) == file.read_bytes()
    assert len(pieces) > 1


@pytest.mark.parametrize("after", [b"other", b"longer than before", b"", None])
def test_a_file_that_has_changed_is_not_sent(tmp_path: Path, after: bytes | None) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"first")
    ref = refer(str(file), "a")
    Files().check(ref)
    if after is None:
        file.unlink()
    else:
        file.write_bytes(after)

    with pytest.raises(RequestError) as caught:
        Files().check(ref)

    assert caught.value.code == "AZM-R021"


def test_a_file_that_shrinks_while_it_is_sent_breaks_the_request_off(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"first")
    ref = refer(str(file), "a")
    file.write_bytes(b"f")

    with pytest.raises(OSError, match="shorter"):
        list(Files().chunks(ref))


def test_the_body_of_an_answer_is_kept_and_read_again() -> None:
    files = Files()

    ref = files.keep(b"\x00\x01", "image/png")

    assert (ref.size, ref.type, ref.path) == (2, "image/png", "")
    files.check(ref)
    assert list(files.chunks(ref)) == [b"\x00\x01"]


def test_a_store_keeps_them_where_there_is_one() -> None:
    kept: dict[str, bytes] = {}
    ref = Files(kept.__setitem__, kept.__getitem__).keep(b"\x00", "a/b")

    assert kept == {ref.sha256: b"\x00"}
