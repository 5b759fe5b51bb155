"""Files that are read and parsed once."""

from __future__ import annotations

import pytest

from machine.document.positions import Tree
from machine.errors import DocumentError
from machine.sources.files import MAX_FILES, Files, source_tree


class Disk:
    """A reader over a table that remembers what it was asked for."""

    def __init__(self, **texts: bytes) -> None:
        self.texts = {name.replace("_", "."): text for name, text in texts.items()}
        self.asked: list[str] = []

    def __call__(self, name: str) -> bytes:
        self.asked.append(name)
        return self.texts[name]


def test_a_file_is_read_and_parsed_once() -> None:
    disk, parsed = Disk(a_json=b"{}"), list[str]()

    def tree_of(data: bytes, name: str) -> Tree:
        parsed.append(name)
        return source_tree(data, name)

    files = Files(disk, tree_of=tree_of)

    assert files.value("a.json") is files.value("a.json")
    assert (disk.asked, parsed) == (["a.json"], ["a.json"])
    assert files.texts == {"a.json": b"{}"}


def test_a_failure_is_remembered_and_leaves_no_text_behind() -> None:
    disk = Disk(bad_json=b'{"a": ')
    files = Files(disk)

    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            files.value("none.json")
        with pytest.raises(DocumentError):
            files.value("bad.json")
    assert disk.asked == ["none.json", "bad.json"]
    assert set(files.texts) == {"bad.json"}


def test_what_a_file_refers_to_is_read_with_it_and_what_is_not_there_left_out() -> None:
    disk = Disk(
        **{
            "api/a_yaml": b"x: {$ref: 'b.yaml#/y'}\ny: {$ref: none.yaml}\nz: {$ref: 'https://a.test/x'}\n",
            "api/b_yaml": b'{"y": {"$ref": "..\\/c.json#/z"}}',
            "c_json": b'{"z": {"$ref": "#/y"}}',
        }
    )

    assert set(Files(disk).around("api/a.yaml")) == {"api/a.yaml", "api/b.yaml", "c.json"}
    assert disk.asked == ["api/a.yaml", "api/b.yaml", "api/none.yaml", "c.json"]


@pytest.mark.parametrize("remote", [True, False])
def test_urls_are_asked_for_where_the_reader_takes_them(remote: bool) -> None:
    disk = Disk()
    disk.texts = {
        "a.yaml": b"x: {$ref: 'https://a.test/v1/b.yaml#/y'}",
        "https://a.test/v1/b.yaml": b"y: {$ref: 'c.yaml#/z'}\nf: {$ref: 'file:///etc/passwd'}",
        "https://a.test/v1/c.yaml": b"z: 1",
    }
    urls = ["https://a.test/v1/b.yaml", "https://a.test/v1/c.yaml"] if remote else []

    assert set(Files(disk, remote=remote).around("a.yaml")) == {"a.yaml", *urls}
    assert disk.asked == ["a.yaml", *urls]


def test_how_many_files_belong_together_is_bounded() -> None:
    disk = Disk()
    disk.texts = {f"{n}.yaml": b"$ref: '%d.yaml'" % (n + 1) for n in range(MAX_FILES + 50)}
    files = Files(disk)

    assert len(files.around("0.yaml")) == MAX_FILES
    with pytest.raises(OSError, match=str(MAX_FILES)):
        files.read("249.yaml")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"a: " + b"x" * (2 << 20), "AZM-D002", id="bytes"),
        pytest.param(b"[" + b"1," * 50_000 + b"1]", "AZM-D009", id="values"),
    ],
)
def test_an_arazzo_document_may_be_less_large_than_a_description(data: bytes, code: str) -> None:
    files = Files({"a": data}.__getitem__)
    with pytest.raises(DocumentError) as caught:
        files.tree("a")

    assert caught.value.code == code
    assert files.value("a")
