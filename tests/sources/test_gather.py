"""Every document and source that belongs to a document, found by identity, by location, and where such files lie."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from machine.errors import DocumentError, MachineError, Place, SourceError, UsageError
from machine.sources.description import Description, describe
from machine.sources.operations import find_operation

PETS = {"openapi": "3.0.3", "servers": [{"url": "/v1"}], "paths": {"/pets": {"get": {"operationId": "listPets"}}}}
PLACE = Place(document="test", line=1, column=1)


def flow(*sources: tuple[str, str, str], own: str = "", version: str = "1.1.0", workflow: str = "w") -> dict[str, Any]:
    described = [{"name": name, "url": url, **({"type": kind} if kind else {})} for name, url, kind in sources]
    return {
        "arazzo": version,
        **({"$self": own} if own else {}),
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": described,
        "workflows": [{"workflowId": workflow, "steps": [{"stepId": "s", "operationId": "listPets"}]}],
    }


class Disk:
    """A reader over a table; remembers what it was asked for."""

    def __init__(self, files: dict[str, Any]) -> None:
        self.files = {name: json.dumps(value, indent=1).encode() for name, value in files.items()}
        self.asked: list[str] = []

    def __call__(self, path: str) -> bytes:
        self.asked.append(path)
        return self.files[path]


def described(files: dict[str, Any], entry: str = "flow.json", **options: Any) -> Description:
    return describe(entry, read=Disk(files), **options)


def problem(description: Description, name: str) -> Any:
    return description.sources[name].problem


def test_sources_are_read_in_document_order_with_their_digest() -> None:
    disk = Disk({"flow.json": flow(("b", "b.json", "openapi"), ("a", "a.json", "")), "b.json": PETS, "a.json": PETS})
    description = describe("flow.json", read=disk)

    assert disk.asked == ["flow.json", "b.json", "a.json"]
    assert list(description.sources) == ["b", "a"]
    assert description.sources["b"].uri == "b.json"
    assert description.sources["b"].sha256 == hashlib.sha256(disk.files["b.json"]).hexdigest()
    assert set(description.texts) == {"flow.json", "b.json", "a.json"}


def test_a_named_file_is_read_instead_and_gives_its_url_to_relative_servers() -> None:
    disk = Disk({"flow.json": flow(("a", "https://api.test/docs/a.json", "openapi")), "./mine.json": PETS})
    description = describe("flow.json", read=disk, sources={"a": "./mine.json"})

    assert disk.asked == ["flow.json", "./mine.json"]
    assert description.sources["a"].operations["listPets"].server == "https://api.test/v1"


def test_a_named_file_for_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError) as caught:
        described({"flow.json": flow(("a", "a.json", "openapi")), "a.json": PETS}, sources={"b": "x"})

    assert (caught.value.code, caught.value.exit_code) == ("AZM-U201", 64)
    assert "a" in caught.value.next


def test_a_file_that_cannot_be_read_names_the_line_the_path_and_the_fix() -> None:
    error = problem(described({"flow.json": flow(("a", "../a.json", "openapi"))}), "a")

    assert (error.code, error.exit_code) == ("AZM-S001", 78)
    assert error.place.line == 8
    assert error.seen == "../a.json"
    assert error.next == "give the file with --source a=PATH"


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("openapi", {"asyncapi": "3.0.0"}, "AZM-S005"),
        ("", {"asyncapi": "3.0.0"}, "AZM-S005"),
        ("asyncapi", {"asyncapi": "3.0.0"}, "AZM-S005"),
        ("openapi", {"swagger": "2.0"}, "AZM-S003"),
        ("", [], "AZM-S004"),
        ("openapi", "text", "AZM-S004"),
    ],
    ids=["async", "async seen", "async said", "swagger", "list", "text"],
)
def test_what_is_no_openapi_3_is_a_source_nothing_can_be_called_of(kind: str, value: Any, code: str) -> None:
    assert problem(described({"flow.json": flow(("a", "a.json", kind)), "a.json": value}), "a").code == code


def test_a_file_that_is_no_text_for_us_is_a_source_error() -> None:
    disk = Disk({"flow.json": flow(("a", "a.json", "openapi"))})
    disk.files["a.json"] = b'{"openapi": '
    error = problem(describe("flow.json", read=disk), "a")

    assert error.code == "AZM-S008"
    assert "a.json:" in error.message


# -- remote sources ----------------------------------------------------------------------------------------------------


def test_a_remote_source_is_not_fetched_and_nothing_but_paths_is_asked_for() -> None:
    disk = Disk({"flow.json": flow(("a", "http://169.254.169.254/x", "openapi"))})
    error = problem(describe("flow.json", read=disk), "a")

    assert error.code == "AZM-S002"
    assert error.place.line == 8
    assert not any(":" in name for name in disk.asked)


def test_a_remote_source_is_read_by_a_reader_that_says_it_can() -> None:
    url = "https://api.test/a.json"
    files = {"flow.json": flow(("a", url, "openapi")), url: PETS}
    description = described(files, remote=True)

    assert description.sources["a"].operations["listPets"].server == "https://api.test/v1"


# -- where such files lie (C7) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["./apis/pets.json", "https://raw.test/main/apis/pets.json", "/build/apis/pets.json"],
    ids=["repository root", "remote", "other machine"],
)
def test_a_source_is_found_where_it_lies_and_that_is_said(url: str) -> None:
    files = {"repo/flows/flow.json": flow(("a", url, "openapi")), "repo/apis/pets.json": PETS}
    lenient = described(files, "repo/flows/flow.json")
    strict = described(files, "repo/flows/flow.json", strict=True)

    assert lenient.sources["a"].uri == "repo/apis/pets.json"
    assert [(one.code, one.place.line) for one in lenient.findings] == [("C7", 8)]
    assert problem(strict, "a") is not None


def test_a_source_of_another_document_is_told_by_the_name_that_gives_it() -> None:
    files = {
        "repo/flow.json": flow(("far", "far/b.json", "arazzo")),
        "repo/far/b.json": flow(("a", "apis/a.json", "openapi"), ("lost", "lost.json", "openapi")),
        "repo/apis/a.json": PETS,
    }
    other = described(files, "repo/flow.json").documents["far"]

    assert [one.suggestion for one in other.findings if one.code == "C7"] == [
        "write its path, or give it with --source far.a=repo/apis/a.json"
    ]
    assert problem(other, "lost").next == "give the file with --source far.lost=PATH"


# -- other documents ---------------------------------------------------------------------------------------------------


def test_another_document_is_read_whole_with_its_own_sources() -> None:
    description = described(
        {
            "flow.json": flow(("pets", "pets.json", "openapi"), ("other", "sub/other.json", "arazzo")),
            "sub/other.json": flow(("pets", "mine.json", ""), workflow="inner"),
            "pets.json": PETS,
            "sub/mine.json": PETS,
        }
    )
    other = description.document_at("other", place=PLACE)

    assert list(description.sources) == ["pets"]
    assert other.document.workflow("inner") is not None
    assert other.sources["pets"].uri == "sub/mine.json"
    assert other.texts is description.texts


@pytest.mark.parametrize("kind", ["arazzo", ""], ids=["said", "seen"])
def test_documents_may_point_at_each_other_and_each_is_read_once(kind: str) -> None:
    disk = Disk(
        {
            "a.json": flow(("b", "b.json", kind), workflow="a"),
            "b.json": flow(("a", "./a.json", kind), ("b", "b.json", kind), workflow="b"),
        }
    )
    a = describe("a.json", read=disk)

    assert a.documents["b"].documents["a"] is a
    assert a.documents["b"].documents["b"] is a.documents["b"]
    assert disk.asked == ["a.json", "b.json"]
    assert "Description" in repr(a)


def test_a_source_of_another_document_can_be_named() -> None:
    files = {"a.json": flow(("b", "b.json", "arazzo")), "b.json": flow(("pets", "x.json", "")), "mine.json": PETS}

    assert described(files, "a.json", sources={"b.pets": "mine.json"}).documents["b"].sources["pets"].uri == "mine.json"


def test_a_document_with_errors_matters_to_whoever_needs_it() -> None:
    broken = {**flow(("a", "a.json", "")), "workflows": []}
    description = described({"flow.json": flow(("b", "b.json", "arazzo")), "b.json": broken})

    with pytest.raises(DocumentError) as caught:
        description.document_at("b", place=PLACE)
    assert caught.value.place is not None
    assert caught.value.place.document == "b.json"


@pytest.mark.parametrize(("name", "code"), [("pets", "AZM-D206"), ("none", "AZM-D206"), ("lost", "AZM-S001")])
def test_what_is_no_other_document_is_said(name: str, code: str) -> None:
    files = {"flow.json": flow(("pets", "pets.json", ""), ("lost", "lost.json", "arazzo")), "pets.json": PETS}

    with pytest.raises((DocumentError, SourceError)) as caught:
        described(files).document_at(name, place=PLACE)
    assert caught.value.code == code


def test_how_many_documents_belong_together_is_bounded() -> None:
    files = {f"{n}.json": flow(("next", f"{n + 1}.json", "arazzo")) for n in range(100)}
    description, count = described(files, "0.json"), 1
    while "next" in description.documents:
        description, count = description.documents["next"], count + 1

    assert count == 64
    assert problem(description, "next").code == "AZM-D121"


# -- identity ----------------------------------------------------------------------------------------------------------


def test_a_document_is_found_by_its_own_url_before_its_location() -> None:
    known = "https://flows.test/b"
    description = described(
        {
            "a.json": flow(("here", "moved.json", "arazzo"), ("b", known, "arazzo"), ("again", "trap.json", "arazzo")),
            "moved.json": flow(("pets", "pets.json", "openapi"), own=known, workflow="b"),
            "trap.json": flow(("b", known + "#/workflows", "arazzo"), workflow="trap"),
            "pets.json": PETS,
        },
        "a.json",
    )

    assert description.documents["b"] is description.documents["here"]
    assert description.documents["again"].documents["b"] is description.documents["b"]


def test_relative_urls_are_seen_from_the_documents_own_url() -> None:
    description = described(
        {
            "disk/a.json": flow(("pets", "../pets.json", "openapi"), own="deep/er/a.json"),
            "disk/deep/pets.json": PETS,
            "pets.json": {"swagger": "2.0"},
        },
        "disk/a.json",
    )

    assert description.sources["pets"].uri == "disk/deep/pets.json"
    assert description.document.self_uri == "deep/er/a.json"


def test_an_openapi_description_is_found_by_its_own_url() -> None:
    known = "https://api.test/openapi/pets"
    description = described(
        {
            "a.json": flow(("file", "pets.json", "openapi"), ("url", known, "openapi")),
            "pets.json": {**PETS, "openapi": "3.2.0", "$self": known},
        },
        "a.json",
    )

    assert description.sources["url"].uri == "pets.json"
    assert description.sources["url"].operations["listPets"].server == "https://api.test/v1"


def test_a_url_whose_file_was_named_is_known_everywhere() -> None:
    url = "https://api.test/pets.json"
    description = described(
        {
            "a.json": flow(("pets", url, "openapi"), ("b", "b.json", "arazzo")),
            "b.json": flow(("api", url, "openapi")),
            "mine.json": PETS,
        },
        "a.json",
        sources={"pets": "mine.json"},
    )

    assert description.documents["b"].sources["api"].uri == "mine.json"


INNER: dict[str, Any] = {
    "no-openapi": {"swagger": "2.0"},
    "no-version": {"openapi": "9"},
    "no-path-item": {"openapi": "3.1.0", "paths": {"/pets": {"$ref": "none.json"}}},
    "no-parameter": {"openapi": "3.1.0", "paths": {"/pets": {"get": {"operationId": "listPets"}, "$ref": "none.json"}}},
}


@pytest.mark.parametrize("kind", INNER)
def test_advice_about_an_inner_document_calls_its_source_what_the_flag_does(kind: str) -> None:
    description = described(
        {
            "flow.json": flow(("far", "far.json", "arazzo")),
            "far.json": flow(("api", "api.json", "openapi")),
            "api.json": INNER[kind],
        }
    )
    inner = description.documents["far"]

    assert inner.sources["api"].called == "far.api"
    with pytest.raises(MachineError) as caught:
        find_operation(inner.sources, "listPets", place=PLACE)
    assert "--source far.api=" in caught.value.next


@pytest.mark.parametrize(
    ("declared", "expected"),
    [("api.json", "https://api.test/v1"), ("https://own.test/docs/api.json", "https://own.test/v1")],
)
def test_a_url_that_is_named_instead_is_where_relative_servers_are(declared: str, expected: str) -> None:
    url = "https://api.test/docs/api.json"
    description = described(
        {"flow.json": flow(("api", declared, "openapi")), url: PETS}, sources={"api": url}, remote=True
    )

    assert description.sources["api"].operations["listPets"].server == expected
