"""Locating source descriptions and reading them through a reader that is given."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from typing import Any

import pytest

from machine.document.model import Document, SourceDescription
from machine.errors import Place, SourceError, UsageError
from machine.sources import load_sources, locate

PETS = {"openapi": "3.0.3", "paths": {"/pets": {"get": {"operationId": "listPets"}}}}


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        ("../openapi/a.yml", "workflows/arazzo/flow.yaml", "workflows/openapi/a.yml"),
        ("../openapi/a.yml", "flow.yaml", "../openapi/a.yml"),
        ("a.yml", "", "a.yml"),
        ("a.yml", "-", "a.yml"),
        ("./a.yml", "/srv/flow.yaml", "/srv/a.yml"),
        ("/etc/a.yml", "/srv/flow.yaml", "/etc/a.yml"),
        ("my%20api.yml", "dir/flow.yaml", "dir/my api.yml"),
        ("my api.yml", "dir/flow.yaml", "dir/my api.yml"),
        ("a.yml", "50%25/flow.yaml", "50%25/a.yml"),
        ("a.yml#/paths", "flow.yaml", "a.yml"),
        ("a.yml?raw=1", "flow.yaml", "a.yml"),
        ("file:///srv/a.yml", "flow.yaml", "/srv/a.yml"),
        ("a.yml", "file:///srv/my%20flows/flow.yaml", "/srv/my flows/a.yml"),
    ],
)
def test_a_source_url_is_a_path_seen_from_its_document(url: str, base: str, expected: str) -> None:
    assert locate(url, base=base) == expected


@pytest.mark.parametrize(
    ("url", "base", "code"),
    [
        ("https://example.test/a.yml", "flow.yaml", "AZM-S002"),
        ("HTTP://example.test/a.yml", "flow.yaml", "AZM-S002"),
        ("//example.test/a.yml", "flow.yaml", "AZM-S002"),
        ("file://example.test/a.yml", "flow.yaml", "AZM-S002"),
        ("a.yml", "https://example.test/flow.yaml", "AZM-S002"),
        ("ftp:a.yml", "flow.yaml", "AZM-S007"),
        ("http://[", "flow.yaml", "AZM-S007"),
        ("a%00.yml", "flow.yaml", "AZM-S007"),
        ("#/paths", "flow.yaml", "AZM-S007"),
        ("", "flow.yaml", "AZM-S007"),
    ],
)
def test_a_url_that_is_no_file_is_refused(url: str, base: str, code: str) -> None:
    with pytest.raises(SourceError) as caught:
        locate(url, base=base)

    assert caught.value.code == code
    assert "--source NAME=PATH" in caught.value.next


class Files:
    """A reader over a table; remembers what it was asked for."""

    def __init__(self, **files: Any) -> None:
        self.files = {name.replace("_", "."): json.dumps(value).encode() for name, value in files.items()}
        self.asked: list[str] = []

    def __call__(self, path: str) -> bytes:
        self.asked.append(path)
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.files[path]


def document(*sources: tuple[str, str, str]) -> Document:
    return Document(
        arazzo="1.0.1",
        title="t",
        version="1",
        workflows=(),
        uri="flow.yaml",
        sources=tuple(
            SourceDescription(name=name, url=url, type=kind, place=Place(document="flow.yaml", line=5 + at, column=1))
            for at, (name, url, kind) in enumerate(sources)
        ),
    )


def test_sources_are_read_in_document_order_with_their_digest() -> None:
    files = Files(b_json=PETS, a_json=PETS)
    sources = load_sources(document(("b", "b.json", "openapi"), ("a", "a.json", "")), read=files, overrides={})

    assert list(sources) == ["b", "a"]
    assert sources["b"].uri == "b.json"
    assert sources["b"].sha256 == hashlib.sha256(files.files["b.json"]).hexdigest()
    assert sources["a"].order == ("listPets",)


def test_an_override_is_read_instead_and_as_it_is() -> None:
    files = Files(mine_json=PETS)
    sources = load_sources(
        document(("a", "https://example.test/a.json", "openapi")), read=files, overrides={"a": "mine.json"}
    )

    assert files.asked == ["mine.json"]
    assert sources["a"].uri == "mine.json"


def test_an_override_of_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError) as caught:
        load_sources(document(("a", "a.json", "openapi")), read=Files(), overrides={"b": "x"})

    assert caught.value.code == "AZM-U201"
    assert caught.value.exit_code == 64
    assert "a" in caught.value.next


def test_a_file_that_cannot_be_read_names_the_line_the_path_and_the_fix() -> None:
    with pytest.raises(SourceError) as caught:
        load_sources(document(("a", "../a.json", "openapi")), read=Files(), overrides={})

    error = caught.value
    assert (error.code, error.exit_code) == ("AZM-S001", 78)
    assert error.place == Place(document="flow.yaml", line=5, column=1)
    assert error.seen == "../a.json"
    assert error.next == "give the file with --source a=PATH"


def test_a_remote_source_is_refused_at_its_line_and_not_read() -> None:
    files = Files()
    with pytest.raises(SourceError) as caught:
        load_sources(document(("a", "http://169.254.169.254/x", "openapi")), read=files, overrides={})

    assert caught.value.code == "AZM-S002"
    assert caught.value.place is not None
    assert caught.value.place.line == 5
    assert files.asked == []


def test_a_file_that_is_no_text_for_us_is_a_source_error() -> None:
    files = Files()
    files.files["a.json"] = b'{"openapi": '
    with pytest.raises(SourceError) as caught:
        load_sources(document(("a", "a.json", "openapi")), read=files, overrides={})

    assert caught.value.code == "AZM-S008"
    assert "a.json:" in caught.value.message


@pytest.mark.parametrize(("kind", "asked"), [("arazzo", []), ("", ["a.json"])], ids=["declared", "recognised"])
def test_an_arazzo_source_is_left_out(kind: str, asked: list[str]) -> None:
    files = Files(a_json={"arazzo": "1.0.1"})

    assert load_sources(document(("a", "a.json", kind)), read=files, overrides={}) == {}
    assert files.asked == asked


@pytest.mark.parametrize("kind", ["asyncapi", "", "openapi"])
def test_an_asyncapi_source_is_refused_clearly(kind: str) -> None:
    with pytest.raises(SourceError, match="AsyncAPI") as caught:
        load_sources(document(("a", "a.json", kind)), read=Files(a_json={"asyncapi": "3.0.0"}), overrides={})

    assert caught.value.code == "AZM-S005"


@pytest.mark.parametrize(("value", "code"), [([], "AZM-S004"), ("text", "AZM-S004"), ({"swagger": "2.0"}, "AZM-S003")])
def test_a_file_that_is_no_openapi_3_is_refused(value: object, code: str) -> None:
    with pytest.raises(SourceError) as caught:
        load_sources(document(("a", "a.json", "")), read=Files(a_json=value), overrides={})

    assert caught.value.code == code
