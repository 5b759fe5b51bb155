"""What a step says of an operation, in every form real documents say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from machine.errors import DocumentError, Place, SourceError
from machine.sources import Source, find_operation, find_operation_path, read_openapi

PLACE = Place(document="flow.arazzo.yaml", pointer="/workflows/0/steps/0", line=7, column=3)


def read(paths: Mapping[str, Any], *, name: str = "pets", **root: Any) -> Source:
    return read_openapi({"openapi": "3.1.0", "paths": paths, **root}, name=name, uri="pets.yaml", sha256="00")


PETS = read(
    {
        "/pets": {"get": {"operationId": "listPets"}, "post": {"operationId": "pets.create"}},
        "/pets/{id}": {"get": {"operationId": "getPet"}},
        "/odd~name": {"get": {"operationId": "odd"}},
        "/twin": {"get": {"operationId": "twin"}, "put": {"operationId": "twin"}},
    }
)
SHOP = read(
    {"/pets": {"get": {"operationId": "listPets"}}, "/orders": {"get": {"operationId": "shop/list"}}}, name="shop"
)
SOURCES = {"pets": PETS, "shop": SHOP}
LOST = SourceError("the source description 'lost' cannot be read", code="AZM-S001", place=PLACE)


@pytest.mark.parametrize(
    ("reference", "title", "odd"),
    [
        ("getPet", "GET /pets/{id}", False),
        ("pets.create", "POST /pets", False),
        ("shop/list", "GET /orders", False),
        ("$sourceDescriptions.pets.listPets", "GET /pets", False),
        ("$sourceDescriptions.pets.pets.create", "POST /pets", False),
        ("$sourceDescriptions.shop.listPets", "GET /pets", False),
        ("{$sourceDescriptions.shop.listPets}", "GET /pets", True),
        ("shop.listPets", "GET /pets", True),
        ("pets.pets.create", "POST /pets", True),
        ("shop#/orders", "GET /orders", True),
        ("GET /pets/{id}", "GET /pets/{id}", True),
        ("$sourceDescriptions.pets#/paths/~1pets/post", "POST /pets", True),
    ],
)
def test_an_operation_is_found_by_its_id(reference: str, title: str, odd: bool) -> None:
    notes: list[str] = []

    assert find_operation(SOURCES, reference, place=PLACE, notes=notes).title == title
    assert bool(notes) is odd


@pytest.mark.parametrize(
    ("reference", "code", "hint"),
    [
        ("getPets", "AZM-D201", "getPet"),
        ("$sourceDescriptions.shop.getPet", "AZM-D201", "2 operations are known"),
        ("shop.getPet", "AZM-D201", "getPet"),
        ("listPets", "AZM-D202", "$sourceDescriptions.pets.listPets, $sourceDescriptions.shop.listPets"),
        ("twin", "AZM-D203", "operationPath"),
        ("$sourceDescriptions.flows.getPet", "AZM-D204", "pets, shop"),
        ("", "AZM-D201", ""),
        ("x" * 100_000, "AZM-D201", ""),
    ],
    ids=[
        "close match",
        "other source",
        "other source, short",
        "ambiguous",
        "twice in one source",
        "unknown source",
        "empty",
        "long",
    ],
)
def test_an_id_that_names_no_single_operation_is_refused_at_its_place(reference: str, code: str, hint: str) -> None:
    with pytest.raises(DocumentError) as caught:
        find_operation(SOURCES, reference, place=PLACE)

    assert caught.value.code == code
    assert caught.value.place == PLACE
    assert hint in caught.value.next


@pytest.mark.parametrize(
    ("text", "title", "odd"),
    [
        ("{$sourceDescriptions.pets.url}#/paths/~1pets~1{id}/get", "GET /pets/{id}", False),
        ("{$sourceDescriptions.shop.url}#/paths/~1orders/get", "GET /orders", False),
        ("{$sourceDescriptions.pets.url}#/paths/~1twin/put", "PUT /twin", False),
        ("{$sourceDescriptions.pets.url}#/paths/~1pets~1%7Bid%7D/get", "GET /pets/{id}", False),
        ("$sourceDescriptions.pets.url#/paths/~1pets/post", "POST /pets", True),
        ("$sourceDescriptions.pets#/paths/~1pets/post", "POST /pets", True),
        ("{$sourceDescriptions.pets}#/paths/~1pets/post", "POST /pets", True),
        ("pets#/paths/~1pets~1{id}/get", "GET /pets/{id}", True),
        ("pets#/paths/~1odd~0name/get", "GET /odd~name", True),
        ("#/paths/~1orders/get", "GET /orders", True),
        ("{$sourceDescriptions.pets.url}#/paths/~1pets~1{id}", "GET /pets/{id}", True),
        ("shop#/orders", "GET /orders", True),
        ("POST /pets", "POST /pets", True),
        ("get /pets/{id}", "GET /pets/{id}", True),
        ("/orders", "GET /orders", True),
    ],
)
def test_an_operation_is_found_by_its_path(text: str, title: str, odd: bool) -> None:
    notes: list[str] = []

    assert find_operation_path(SOURCES, text, place=PLACE, notes=notes).title == title
    assert bool(notes) is odd


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pets#/paths/~1pets~1{petId}/get", "AZM-D201"),
        ("pets#/paths/~1pets/delete", "AZM-D201"),
        ("other#/paths/~1pets/get", "AZM-D204"),
        ("pets#/paths/~1pets", "AZM-D202"),
        ("GET /pets", "AZM-D202"),
        ("/pets", "AZM-D202"),
        ("DELETE /orders", "AZM-D201"),
        ("/nothing", "AZM-D201"),
        ("pets#/components/pathItems/a", "AZM-D201"),
        ("pets#/paths/nothing/get", "AZM-D205"),
        ("pets", "AZM-D205"),
        ("", "AZM-D205"),
        ("{" * 50_000, "AZM-D205"),
    ],
)
def test_a_path_that_names_no_single_operation_is_refused_at_its_place(text: str, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        find_operation_path(SOURCES, text, place=PLACE)

    assert caught.value.code == code
    assert caught.value.place == PLACE


@pytest.mark.parametrize("reference", ["shipPet", "$sourceDescriptions.lost.getPet"], ids=["perhaps there", "there"])
def test_a_source_that_could_not_be_read_matters_to_whoever_needs_it(reference: str) -> None:
    sources = {**SOURCES, "lost": Source(name="lost", problem=LOST)}

    assert find_operation(sources, "getPet", place=PLACE).title == "GET /pets/{id}"
    with pytest.raises(SourceError) as caught:
        find_operation(sources, reference, place=PLACE)
    assert caught.value is LOST


def test_a_path_item_elsewhere_is_named_when_an_operation_is_missing() -> None:
    source = read({"/a": {"$ref": "a.yaml", "put": {"operationId": "b"}}})

    with pytest.raises(DocumentError) as missing:
        find_operation({"pets": source}, "a", place=PLACE)
    assert "path item /a refers to 'a.yaml', which is in no file that was read" in missing.value.next
    assert missing.value.next.endswith("with --source pets=PATH")
    for find, text in ((find_operation, "b"), (find_operation_path, "pets#/paths/~1a/get")):
        with pytest.raises(SourceError, match=r"a\.yaml") as unusable:
            find({"pets": source}, text, place=PLACE)
        assert unusable.value.code == "AZM-S006"
        assert unusable.value.place == PLACE
