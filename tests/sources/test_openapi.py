"""Reading OpenAPI descriptions, and finding in them what a step refers to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from machine.errors import Place, SourceError
from machine.sources import Operation, Source, find_operation, read_openapi

PLACE = Place(document="flow.arazzo.yaml", pointer="/workflows/0/steps/0", line=7, column=3)


def read(paths: Mapping[str, Any], *, name: str = "pets", **root: Any) -> Source:
    return read_openapi({"openapi": "3.1.0", "paths": paths, **root}, name=name, uri="pets.yaml", sha256="00")


def only(paths: Mapping[str, Any], **root: Any) -> Operation:
    source = read(paths, **root)
    return next(one for item in source.paths.values() for one in item.values())


def parameter(name: str, where: str, **rest: Any) -> dict[str, Any]:
    return {"name": name, "in": where, **rest}


def test_operations_are_found_by_id_and_by_path_in_the_order_of_the_description() -> None:
    source = read(
        {
            "/b": {"post": {"operationId": "b"}, "get": {}},
            "/a": {"get": {"operationId": "a"}, "summary": "not a method"},
            "x-extra": {"get": {"operationId": "extension"}},
        }
    )

    assert source.order == ("b", "a")
    assert set(source.paths["/b"]) == {"POST", "GET"}
    assert source.paths["/b"]["GET"].operation_id == ""
    assert source.operations["b"].title == "POST /b"


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0", "3.2.0", 3.1])
def test_versions_3_0_to_3_2_are_read(version: object) -> None:
    assert read({}, openapi=version).version == str(version)


@pytest.mark.parametrize(
    ("value", "code", "word"),
    [
        ({"swagger": "2.0", "paths": {}}, "AZM-S003", "convert"),
        ({"openapi": "4.0.0"}, "AZM-S004", "--source"),
        ({"openapi": "3.10.0"}, "AZM-S004", "--source"),
        ({"arazzo": "1.0.1"}, "AZM-S004", "--source"),
    ],
    ids=["swagger", "4.0", "3.10", "arazzo"],
)
def test_other_descriptions_are_refused_with_what_to_do(value: dict[str, Any], code: str, word: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_openapi(value, name="pets", uri="pets.yaml", sha256="")

    assert caught.value.code == code
    assert word in caught.value.next


@pytest.mark.parametrize(
    "paths",
    [
        None,
        [],
        {"/a": None, "/b": [], "/c": {"get": None, "post": 3, "parameters": "x"}},
        {"/a": {"get": {"parameters": [None, 1, {}, {"name": 1, "in": "query"}, {"name": "b", "in": "body"}]}}},
        {"/a": {"get": {"parameters": [{"name": "a", "in": {}}, {"name": "a", "in": []}]}}},
        {"/a": {"get": {"requestBody": [], "responses": [], "security": {}, "servers": {}, "operationId": 5}}},
        {"/a": {"get": {"requestBody": {"content": {"a/b": None}}, "responses": {"200": None}, "servers": [None]}}},
        {"/a": {"additionalOperations": {"BAD METHOD\r\n": {}, "COPY": None}}},
        {5: {"get": {}}, "no-slash": {"get": {}}},
    ],
)
def test_what_is_not_valid_is_left_out(paths: Any) -> None:
    source = read(paths)

    assert source.operations == {}
    assert all(not one.parameters and not one.unresolved for item in source.paths.values() for one in item.values())


def test_operation_parameters_replace_those_of_the_path_item() -> None:
    operation = only(
        {
            "/a/{id}": {
                "parameters": [parameter("id", "path"), parameter("q", "query"), parameter("X-A", "header")],
                "get": {"parameters": [parameter("q", "query", required=True), parameter("x-a", "header")]},
            }
        }
    )

    assert [(one.name, one.location, one.required) for one in operation.parameters] == [
        ("id", "path", True),
        ("q", "query", True),
        ("x-a", "header", False),
    ]


@pytest.mark.parametrize(
    ("written", "style", "explode"),
    [
        (parameter("a", "path"), "simple", False),
        (parameter("a", "header"), "simple", False),
        (parameter("a", "query"), "form", True),
        (parameter("a", "cookie"), "form", True),
        (parameter("a", "query", explode=False), "form", False),
        (parameter("a", "query", style="pipeDelimited"), "pipeDelimited", False),
        (parameter("a", "query", content={"application/json": {}}), "application/json", False),
        (parameter("a", "querystring", content={"application/json": {}}), "application/json", False),
    ],
)
def test_style_and_explode_have_the_defaults_of_their_location(
    written: dict[str, Any], style: str, explode: bool
) -> None:
    spec = only({"/a": {"get": {"parameters": [written]}}}).parameters[0]

    assert (spec.style, spec.explode) == (style, explode)


def test_references_inside_the_description_are_followed() -> None:
    operation = only(
        {"/a": {"$ref": "#/components/pathItems/a"}},
        components={
            "pathItems": {
                "a": {
                    "post": {
                        "parameters": [{"$ref": "#/components/parameters/one~1two"}],
                        "requestBody": {"$ref": "#/components/requestBodies/body"},
                        "responses": {200: {"$ref": "#/components/responses/ok"}, "404": {"$ref": "#/nowhere"}},
                    }
                }
            },
            "parameters": {"one/two": {"$ref": "#/components/parameters/list/0"}, "list": [parameter("q", "query")]},
            "requestBodies": {
                "body": {
                    "required": True,
                    "content": {"text/plain": {}, "application/json": {"schema": {"$ref": "#/components/schemas/a"}}},
                }
            },
            "responses": {"ok": {"description": "fine"}},
        },
    )

    assert operation.unresolved == ()
    assert operation.parameters[0].name == "q"
    assert operation.body_types == ("text/plain", "application/json")
    assert operation.body_required
    assert operation.body_schema == {"$ref": "#/components/schemas/a"}
    assert operation.responses == {"200": {"description": "fine"}, "404": {}}


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({}, ""),
        ({"root": [{"url": "https://a"}, {"url": "https://b"}]}, "https://a"),
        ({"root": [{"url": "https://a"}], "item": [{"url": "/v2"}]}, "/v2"),
        ({"root": [{"url": "https://a"}], "item": [{"url": "/v2"}], "own": [{"url": "https://c"}]}, "https://c"),
        ({"root": [{"url": "https://a"}], "own": []}, "https://a"),
        (
            {
                "root": [
                    {
                        "url": "https://{host}:{port}/{rest}",
                        "variables": {"host": {"default": "a"}, "port": {"default": 8443}, "rest": {}},
                    }
                ]
            },
            "https://a:8443/{rest}",
        ),
    ],
    ids=["none", "first", "path item", "operation", "empty list", "variables"],
)
def test_the_nearest_server_counts_with_default_variables(levels: dict[str, Any], expected: str) -> None:
    item = {"get": {"servers": levels["own"]} if "own" in levels else {}}
    if "item" in levels:
        item["servers"] = levels["item"]

    assert only({"/a": item}, servers=levels.get("root")).server == expected


def test_security_says_where_each_credential_stands() -> None:
    schemes = {
        "bearer": {"type": "http", "scheme": "Bearer"},
        "key": {"type": "apiKey", "in": "query", "name": "api_key"},
        "oauth": {"type": "oauth2", "flows": {}},
        "mutual": {"type": "mutualTLS"},
    }
    operation = only(
        {"/a": {"get": {"security": [{"bearer": []}, {"key": [], "bearer": []}, {"oauth": ["read"]}, {"mutual": []}]}}},
        components={"securitySchemes": schemes},
    )

    assert [(one.name, one.location, one.parameter_name, one.scheme) for one in operation.security] == [
        ("bearer", "header", "Authorization", "bearer"),
        ("key", "query", "api_key", ""),
        ("oauth", "header", "Authorization", "bearer"),
        ("mutual", "", "", ""),
    ]


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, ["bearer"]), ({"security": []}, []), ({"security": [{}]}, []), ({"security": [{"unknown": []}]}, [])],
    ids=["silent", "empty list", "anonymous", "undeclared"],
)
def test_the_root_speaks_for_an_operation_that_is_silent(own: dict[str, Any], expected: list[str]) -> None:
    operation = only(
        {"/a": {"get": own}},
        security=[{"bearer": []}],
        components={"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    )

    assert [one.name for one in operation.security] == expected


def chain(length: int) -> dict[str, Any]:
    links: dict[str, Any] = {str(n): {"$ref": f"#/components/parameters/{n + 1}"} for n in range(length)}
    return {**links, str(length): parameter("q", "query")}


@pytest.mark.parametrize(
    ("reference", "parameters", "word"),
    [
        ("common.yaml#/components/parameters/q", {}, "in no file that was read"),
        ("https://example.test/a#/b", {}, "in no file that was read"),
        ("#/components/parameters/none", {}, "nothing there"),
        ("#/components/parameters/a", {"a": {"$ref": "#/components/parameters/a"}}, "circle"),
        ("#/components/parameters/0", chain(10_000), "without end"),
    ],
    ids=["file", "url", "dangling", "circle", "chain"],
)
def test_a_parameter_that_cannot_be_followed_is_a_gap_and_its_operation_can_be_called(
    reference: str, parameters: dict[str, Any], word: str
) -> None:
    source = read(
        {"/a": {"get": {"operationId": "a", "parameters": [{"$ref": reference}, parameter("q", "query")]}}},
        components={"parameters": parameters},
    )
    operation = find_operation({"pets": source}, "a", place=PLACE)

    assert [one.name for one in operation.parameters] == ["q"]
    assert word in operation.gaps[0]
    assert len(operation.gaps) == 1


OTHER = {
    "paths": {"/a": {"get": {"operationId": "a", "parameters": [{"$ref": "#/parameters/q"}]}}},
    "parameters": {"q": parameter("q", "query")},
    "replies": {"ok": {"content": {"application/json": {"schema": {"$ref": "deep/schemas.yaml#/A"}}}}},
}
DEEP = {"A": {"$ref": "#/B"}, "B": {"type": "object"}}


def test_references_are_followed_into_files_that_were_read_and_on_from_there() -> None:
    source = read_openapi(
        {
            "openapi": "3.1.0",
            "paths": {
                "/a": {"$ref": "other.yaml#/paths/~1a"},
                "/b": {"get": {"operationId": "b", "responses": {"200": {"$ref": "other.yaml#/replies/ok"}}}},
            },
        },
        name="pets",
        uri="api/pets.yaml",
        sha256="",
        beside={"api/other.yaml": OTHER, "api/deep/schemas.yaml": DEEP},
    )

    assert [one.name for one in source.operations["a"].parameters] == ["q"]
    assert source.operations["b"].reply_schemas["200"].followed().value == {"type": "object"}
    assert not any(one.gaps or one.unresolved for one in source.operations.values())


@pytest.mark.parametrize(
    ("url", "own", "written", "expected"),
    [
        ("https://a.test/docs/api.yaml", None, "/v2", "https://a.test/v2"),
        ("https://a.test/docs/api.yaml", None, "v2", "https://a.test/docs/v2"),
        ("https://a.test/docs/api.yaml", "https://b.test/api", "/v2", "https://b.test/v2"),
        ("https://a.test/docs/api.yaml", None, "https://c.test", "https://c.test"),
        ("docs/api.yaml", None, "/v2", "/v2"),
        ("docs/api.yaml", "https://b.test/api", "/v2", "https://b.test/v2"),
    ],
    ids=["root", "folder", "own url", "absolute", "file", "file with own url"],
)
def test_a_relative_server_is_relative_to_where_the_description_is(
    url: str, own: str | None, written: str, expected: str
) -> None:
    value = {"openapi": "3.2.0", "paths": {"/a": {"get": {"operationId": "a"}}}, "servers": [{"url": written}]}
    source = read_openapi({**value, **({"$self": own} if own else {})}, name="a", uri="x", sha256="", url=url)

    assert source.operations["a"].server == expected


def test_other_methods_of_3_2_are_operations_too() -> None:
    source = read({"/a": {"query": {"operationId": "q"}, "additionalOperations": {"COPY": {"operationId": "c"}}}})

    assert [one.method for one in source.operations.values()] == ["QUERY", "COPY"]


def shared() -> Path:
    given = os.environ.get("ARAZZO_MACHINE_SHARED")
    folder = Path(given) if given else Path(__file__).resolve().parents[3] / "shared"
    if not folder.is_dir():
        pytest.skip("the shared material is not here")
    return folder


def test_the_draft_of_the_endpoints_api_is_read_whole() -> None:
    parse = pytest.importorskip("machine.document.load").parse
    files = sorted((shared() / "seed" / "openapi").glob("*.yaml"))
    source = read_openapi(parse(files[0].read_bytes()).value, name="api", uri=files[0].name, sha256="")
    create = find_operation({"api": source}, "createEndpoint", place=PLACE)

    assert len(source.order) == 11
    assert create.success_statuses() == (200, 201, 202)
    assert create.server == "https://api.endpoints.huggingface.cloud/v2"
    assert [one.parameter_name for one in create.security] == ["Authorization"]
    assert source.operations["listProviders"].security == ()
    assert not any(one.unresolved for one in source.operations.values())


def test_every_description_of_the_specification_examples_is_read() -> None:
    parse = pytest.importorskip("machine.document.load").parse
    files = sorted((shared() / "corpus" / "OAI+Arazzo-Specification").rglob("*.y*ml"))
    values = [parse(path.read_bytes(), positions=False).value for path in files]
    sources = [read_openapi(one, name="x", uri="", sha256="") for one in values if "openapi" in one]

    assert sources
    assert all(source.operations for source in sources)


@pytest.mark.parametrize("servers", [{}, {"servers": []}])
@pytest.mark.parametrize(
    ("uri", "url", "expected"),
    [
        ("https://api.test/docs/openapi.json", "https://api.test/docs/openapi.json", "https://api.test/"),
        ("openapi.json", "https://raw.test/docs/openapi.json", ""),
        ("openapi.json", "openapi.json", ""),
    ],
)
def test_without_servers_the_one_a_description_came_from_is_called(
    servers: dict[str, Any], uri: str, url: str, expected: str
) -> None:
    value = {"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "a"}}}, **servers}

    assert read_openapi(value, name="api", uri=uri, sha256="", url=url).operations["a"].server == expected
