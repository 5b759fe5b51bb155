from __future__ import annotations

import gc
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from machine.errors import DocumentError
from machine.runtime.parsed import ParsedSources, default_folder
from machine.sources.description import describe

TEXT = b"openapi: 3.1.0\nx-filler: |\n" + b"  filler filler filler\n" * 20_000
VALUE = {"openapi": "3.1.0", "x-filler": "filler filler filler\n" * 20_000}


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """A command ends soon after it has read what it reads; this process does not."""
    yield
    gc.unfreeze()


@pytest.fixture
def parsing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the texts that were parsed."""
    import machine.runtime.parsed as module

    parsed: list[str] = []
    real = module.source_tree

    def counted(data: bytes, uri: str) -> Any:
        parsed.append(uri)
        return real(data, uri)

    monkeypatch.setattr(module, "source_tree", counted)
    return parsed


def test_a_large_text_is_parsed_once(tmp_path: Path, parsing: list[str]) -> None:
    first = ParsedSources(tmp_path).tree_of(TEXT, "a.yaml").value
    again = ParsedSources(tmp_path).tree_of(TEXT, "b.yaml").value

    assert first == again == VALUE
    assert parsing == ["a.yaml"]


def test_another_text_is_another_value(tmp_path: Path, parsing: list[str]) -> None:
    ParsedSources(tmp_path).tree_of(TEXT, "a.yaml")

    assert ParsedSources(tmp_path).tree_of(TEXT + b"b: 1\n", "a.yaml").value["b"] == 1
    assert len(parsing) == 2


def test_a_small_text_is_not_kept(tmp_path: Path) -> None:
    assert ParsedSources(tmp_path / "cache").tree_of(b"a: 1", "a.yaml").value == {"a": 1}
    assert not (tmp_path / "cache").exists()


def test_what_is_kept_is_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    ParsedSources(folder).tree_of(TEXT, "a.yaml")
    (file,) = folder.iterdir()

    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)


def _other_version(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"parsed 2", b"parsed 1", 1))


def _deep(file: Path) -> None:
    payload = b"[" * 200_000
    file.write_bytes(b"arazzo-machine parsed 2 " + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)


def _link(file: Path) -> None:
    file.rename(file.with_suffix(".moved"))
    file.symlink_to(file.with_suffix(".moved"))


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [_truncate, _flip, _other_version, _deep, _link, _pipe, _folder])
def test_what_is_not_whole_is_not_used(tmp_path: Path, parsing: list[str], damage: Callable[[Path], None]) -> None:
    cache = ParsedSources(tmp_path)
    cache.tree_of(TEXT, "a.yaml")
    (file,) = tmp_path.iterdir()
    damage(file)

    assert cache.tree_of(TEXT, "again.yaml").value == VALUE
    assert parsing == ["a.yaml", "again.yaml"]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert ParsedSources(tmp_path / "file" / "cache").tree_of(TEXT, "a.yaml").value == VALUE


def test_what_cannot_be_parsed_is_said_every_time(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(DocumentError):
            ParsedSources(tmp_path).tree_of(TEXT + b"a: [", "a.yaml")

    assert list(tmp_path.iterdir()) == []


def test_a_cache_does_not_grow_without_end(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.json").write_text("")
        os.utime(tmp_path / f"{number}.json", (number, number))
    ParsedSources(tmp_path).tree_of(TEXT, "a.yaml")

    kept = sorted(one.name for one in tmp_path.iterdir())
    assert len(kept) == 32
    assert "39.json" in kept
    assert "0.json" not in kept


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    named = default_folder()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/~me")

    assert named == tmp_path / "arazzo-machine" / "sources"
    assert default_folder() == Path("/home/~me/.cache/arazzo-machine/sources")


def test_a_user_without_a_home_is_given_a_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    assert default_folder() == Path("/.cache/arazzo-machine/sources")


def test_the_values_are_the_same_as_parsed(tmp_path: Path) -> None:
    text = json.dumps({"a": [1, 2.5, None, True, "é\u2028"], "200": {}, "x": "y" * 300_000}).encode()

    first, again = (ParsedSources(tmp_path).tree_of(text, "a") for _ in range(2))
    assert first.value == again.value == json.loads(text)
    assert first.sha256 == again.sha256 == hashlib.sha256(text).hexdigest()


REPEATED = (
    b"a: &a {k: 1, k: 2}\nb: [0, *a]\nb2: 1\nb2: {c: 1}\n~1/x: {y: [{z: 1, z: [2]}]}\nfiller: |\n"
    + b"  filler filler filler\n" * 20_000
)


def test_keys_that_stand_twice_are_kept_with_their_places(tmp_path: Path, parsing: list[str]) -> None:
    first = ParsedSources(tmp_path).tree_of(REPEATED, "a.yaml")
    again = ParsedSources(tmp_path).tree_of(REPEATED, "a.yaml")
    moved = ParsedSources(tmp_path).tree_of(REPEATED, "b.yaml")

    assert parsing == ["a.yaml"]
    assert again.value == first.value
    assert sorted(map(str, again.twice)) == sorted(map(str, first.twice))
    assert len(again.twice) == 3
    assert again.value["a"]["k"] is again.value["b"][1]["k"]
    assert "at b.yaml:1:8 and 1:14" in str(moved.value["a"]["k"])


@pytest.mark.parametrize(
    "marked",
    [7, [7], [[["a", "b"], "'a'", [1, 1], [2, 2]]], [[[], "'a'", [1, 1], [2, 2]]]],
)
def test_places_that_are_not_there_are_not_used(tmp_path: Path, parsing: list[str], marked: object) -> None:
    cache = ParsedSources(tmp_path)
    cache.tree_of(TEXT, "a.yaml")
    (file,) = tmp_path.iterdir()
    payload = json.dumps([{"a": [1]}, marked]).encode()
    file.write_bytes(b"arazzo-machine parsed 2 " + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)

    assert cache.tree_of(TEXT, "a.yaml").value == VALUE
    assert parsing == ["a.yaml", "a.yaml"]


def test_a_text_whose_repetitions_take_too_much_room_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("machine.runtime.parsed._MARKED", 3)

    assert len(ParsedSources(tmp_path).tree_of(REPEATED, "a.yaml").twice) == 3
    assert list(tmp_path.iterdir()) == []


DOCUMENT = b"""
arazzo: 1.0.1
info: {title: Few of many, version: 1.0.0}
sourceDescriptions: [{name: many, url: many.yaml, type: openapi}]
workflows: [{workflowId: one, steps: [{stepId: one, operationId: op7}]}]
"""
MANY = "openapi: 3.1.0\nservers: [{url: 'https://api.example'}]\npaths:\n" + "".join(
    f"  /things/{number}:\n    get:\n      operationId: op{number}\n      parameters:\n"
    + "".join(
        f"      - {{name: p{one}, in: query, description: A word about it, schema: {{type: string}}}}\n"
        for one in range(10)
    )
    for number in range(400)
)


def test_a_second_load_takes_a_small_part_of_the_first(tmp_path: Path) -> None:
    """Of the processor, both measured in one go; it is a tenth, and what else goes on may double it."""
    texts = {"d.yaml": DOCUMENT, "many.yaml": MANY.encode()}
    assert len(texts["many.yaml"]) > 256 << 10
    costs = []
    for _ in range(2):
        began = time.process_time()
        found = describe("d.yaml", read=texts.__getitem__, tree_of=ParsedSources(tmp_path).tree_of)
        costs.append(time.process_time() - began)
        assert found.sources["many"].operations["op7"].title == "GET /things/7"

    assert costs[1] < costs[0] / 4


def test_nothing_looks_for_garbage_in_what_was_kept(tmp_path: Path) -> None:
    """Looking through a million values costs as much as reading them, each time."""
    ParsedSources(tmp_path).tree_of(MANY.encode(), "a.yaml")
    before = gc.get_freeze_count()
    value = ParsedSources(tmp_path).tree_of(MANY.encode(), "a.yaml").value

    assert gc.get_freeze_count() > before
    assert gc.isenabled()
    assert len(value["paths"]) == 400
