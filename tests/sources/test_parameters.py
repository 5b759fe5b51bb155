"""The style table of OpenAPI as data, cell by cell, and what the table does not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from machine.errors import Place, RequestError
from machine.sources import Operation, Request, build_request, read_openapi
from machine.sources.model import PartSpec
from machine.sources.parameters import form_text
from machine.values import FileRef, SecretRef, SecretText

PLACE = Place(document="flow.arazzo.yaml", line=7, column=3)
TABLE = json.loads((Path(__file__).parent / "style_table.json").read_text())
CELLS = [
    pytest.param(row, kind, value, id=f"{row['in']}-{row['style']}{'*' if row['explode'] else ''}-{kind}")
    for row in TABLE["rows"]
    for kind, value in TABLE["values"].items()
]
FILE = FileRef("0" * 64, 3, "image/png", "a.png", "/tmp/a.png")


def operation_with(location: str, **spec: Any) -> Operation:
    """``GET /{color}`` or ``GET /`` with one parameter ``color``."""
    path = "/{color}" if location == "path" else "/"
    item = {"get": {"parameters": [{"name": "color", "in": location, **spec}]}}
    return read_openapi({"openapi": "3.2.0", "paths": {path: item}}, name="api", uri="", sha256="").paths[path]["GET"]


def operation_of(row: dict[str, Any]) -> Operation:
    if row["in"] == "querystring":
        return operation_with("querystring", content={row["style"]: {}})
    return operation_with(row["in"], style=row["style"], explode=row["explode"])


def written(request: Request) -> str:
    """What the parameter became: the path, the query, or the one header."""
    if request.headers:
        return "; ".join(f"{name}: {value}" for name, value in request.headers)
    return str(request.target).removeprefix("/") if "?" in str(request.target) else str(request.target)


def expected_of(row: dict[str, Any], kind: str) -> str:
    """The cell; where the table has none for a value, nothing is sent, and a path cannot do without."""
    if kind in row:
        return str(row[kind])
    return "refused AZM-R001" if row["in"] == "path" else "/"


@pytest.mark.parametrize(("row", "kind", "value"), CELLS)
def test_every_cell_of_the_style_table(row: dict[str, Any], kind: str, value: Any) -> None:
    try:
        seen = written(build_request(operation_of(row), [("color", row["in"], value)], place=PLACE))
    except RequestError as error:
        seen = f"refused {error.code}"

    assert seen == expected_of(row, kind)


def test_the_table_has_every_style_of_every_location_both_ways() -> None:
    styles = {"path": {"simple", "label", "matrix"}, "header": {"simple"}, "cookie": {"form", "cookie"}} | {
        "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"}
    }
    wanted = {(where, style, explode) for where, all_ in styles.items() for style in all_ for explode in (False, True)}

    assert {(r["in"], r["style"], r["explode"]) for r in TABLE["rows"] if r["in"] != "querystring"} == wanted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a:b@c;d,e=f", "/a:b@c;d,e=f"),
        ("a/b?c#d", "/a%2Fb%3Fc%23d"),
        ("%41%zz", "/%41%25zz"),
        ("..", "refused"),
        ("%2e%2E", "refused"),
        ("a%2f..%5cb", "refused"),
        ("%0d%0a", "refused"),
    ],
)
def test_reserved_characters_in_a_path_never_leave_their_segment(value: str, expected: str) -> None:
    to = operation_with("path", allowReserved=True)
    try:
        seen = str(build_request(to, [("color", "path", value)], place=PLACE).target)
    except RequestError as error:
        seen = "refused" if error.code == "AZM-R002" else error.code

    assert seen == expected


@pytest.mark.parametrize(("location", "style"), [("path", "matrix"), ("query", "form")])
def test_a_name_that_holds_what_divides_is_encoded_as_a_value_is(location: str, style: str) -> None:
    path = "/{a;b=c&d}" if location == "path" else "/"
    item = {"get": {"parameters": [{"name": "a;b=c&d", "in": location, "style": style}]}}
    api = read_openapi({"openapi": "3.2.0", "paths": {path: item}}, name="api", uri="", sha256="")
    target = build_request(api.paths[path]["GET"], [("a;b=c&d", location, "x;y")], place=PLACE).target

    assert str(target)[2:] == "a%3Bb%3Dc%26d=x%3By"


@pytest.mark.parametrize("value", ["a;b", "a,b", 'a"b', "a b", "é", "a\\b"])
def test_style_cookie_encodes_nothing_and_refuses_what_does_not_fit(value: str) -> None:
    with pytest.raises(RequestError) as caught:
        build_request(operation_with("cookie", style="cookie"), [("color", "cookie", value)], place=PLACE)

    assert caught.value.code == "AZM-R005"
    assert value not in str(caught.value)


def test_every_octet_of_a_cookie_fits_and_every_letter_of_latin_1_a_header() -> None:
    octets = "".join(chr(one) for one in range(0x21, 0x7F) if chr(one) not in '",;\\')
    letters = "".join(map(chr, range(0xA0, 0x100)))
    cookie = build_request(operation_with("cookie", style="cookie"), [("color", "cookie", octets)], place=PLACE)
    header = build_request(operation_with("header"), [("color", "header", letters)], place=PLACE)

    assert cookie.headers == (("Cookie", f"color={octets}"),)
    assert header.headers == (("color", letters),)


def test_the_names_in_a_cookie_object_are_names_of_cookies() -> None:
    with pytest.raises(RequestError) as caught:
        build_request(operation_with("cookie"), [("color", "cookie", {"a;b": 1})], place=PLACE)

    assert caught.value.code == "AZM-R004"


@pytest.mark.parametrize("location", ["path", "query", "header", "cookie", "querystring"])
def test_a_file_is_no_parameter(location: str) -> None:
    with pytest.raises(RequestError) as caught:
        build_request(operation_with(location), [("color", location, FILE)], place=PLACE)  # type: ignore[list-item]

    assert caught.value.code == "AZM-R003"
    assert "a file can only be a body, or a part of one" in caught.value.message


@pytest.mark.parametrize(
    ("value", "parts", "expected"),
    [
        pytest.param({"a": [1, "x y"]}, {}, "a=1&a=x%20y", id="list"),
        pytest.param({"a": {"b": 1}}, {}, "a=%7B%22b%22%3A1%7D", id="an-object-is-json"),
        pytest.param({"a": [{"b": 1}]}, {}, "a=%7B%22b%22%3A1%7D", id="a-list-of-objects-is-json-each"),
        pytest.param({"a": [[1, [2]], 3]}, {}, "a=%5B1%2C%5B2%5D%5D&a=3", id="a-list-of-lists-is-json-each"),
        pytest.param(
            {"a": [1, 2]}, {"a": PartSpec(content_type="application/json")}, "a=%5B1%2C2%5D", id="a-list-as-json"
        ),
        pytest.param(
            {"a": {"b": 1, "c": {"d": "x"}}}, {"a": PartSpec(style="deepObject")}, "a%5Bb%5D=1&a%5Bc%5D%5Bd%5D=x"
        ),
        pytest.param({"a": {"b": 1}}, {"a": PartSpec(style="form")}, "b=1", id="exploded-by-a-style"),
        pytest.param({"a": [1, 2]}, {"a": PartSpec(explode=False)}, "a=1,2", id="not-exploded"),
        pytest.param({"a": [1, 2]}, {"a": PartSpec(style="pipeDelimited")}, "a=1%7C2", id="pipes"),
        pytest.param({"a": "x/y"}, {"a": PartSpec(allow_reserved=True)}, "a=x/y", id="reserved"),
        pytest.param({"a": None, "b": {}, "c": []}, {}, "b=%7B%7D", id="nothing-of-nothing"),
        pytest.param(
            {"k": SecretRef("t")}, {}, SecretText(("k=", SecretRef("t", "percent"))), id="a-secret-stays-a-reference"
        ),
    ],
)
def test_fields_of_a_form(value: Any, parts: Any, expected: Any) -> None:
    assert form_text(value, "request body", PLACE, parts) == expected


@pytest.mark.parametrize(
    ("kind", "text", "encoding"),
    [
        ("application/x-www-form-urlencoded", "a=", "percent"),
        ("application/json", "{%22a%22:%22", "json percent"),
    ],
)
def test_a_secret_inside_a_cookie_is_encoded_once(kind: str, text: str, encoding: str) -> None:
    to = operation_with("cookie", content={kind: {}})
    (_, cookie), *_ = build_request(to, [("color", "cookie", {"a": SecretRef("key")})], place=PLACE).headers

    assert isinstance(cookie, SecretText)
    assert cookie.parts[:2] == (f"color={text}", SecretRef("key", encoding))


@pytest.mark.parametrize(
    ("location", "style", "value", "word"),
    [
        pytest.param("query", "deepObject", ["secret"], "it is a list", id="list"),
        pytest.param("query", "deepObject", {"a": {"b": ["secret"]}}, "a member of it is a list", id="list-inside"),
        pytest.param("query", "form", {"a": ["secret"]}, "style form", id="form"),
        pytest.param("path", "matrix", [["secret"]], "style matrix", id="path"),
        pytest.param("header", "simple", {"a": {"secret": 1}}, "style simple", id="header"),
    ],
)
def test_what_openapi_leaves_open_is_refused_with_the_parameter_its_place_and_what_to_do(
    location: str, style: str, value: Any, word: str
) -> None:
    with pytest.raises(RequestError) as caught:
        build_request(operation_with(location, style=style), [("color", location, value)], place=PLACE)

    assert (caught.value.code, caught.value.place) == ("AZM-R003", PLACE)
    assert caught.value.message.startswith(f"{location} parameter 'color': ")
    assert word in caught.value.message
    assert "secret" not in caught.value.message
    assert "or a text" in caught.value.next


@pytest.mark.parametrize("location", ["path", "query", "querystring", "header", "cookie"])
def test_half_a_surrogate_pair_is_no_name(location: str) -> None:
    with pytest.raises(RequestError) as caught:
        build_request(operation_with(location), [("a\ud800", location, "x")], place=PLACE)

    assert caught.value.code == "AZM-R008"


@pytest.mark.parametrize(
    ("value", "content"),
    [
        pytest.param({"a\ud800": 1}, "application/x-www-form-urlencoded", id="the-name-of-a-field"),
        pytest.param({"a": "\ud800"}, "application/x-www-form-urlencoded", id="a-field"),
        pytest.param({"a": {"b": "\ud800"}}, "application/x-www-form-urlencoded", id="json-in-a-field"),
        pytest.param({"a": "\ud800"}, "application/json", id="json"),
        pytest.param({"a": float("inf")}, "application/json", id="a-number-that-is-not-finite"),
        pytest.param({"a": FILE}, "application/json", id="a-file"),
    ],
)
def test_what_has_no_text_is_refused_wherever_it_stands(value: Any, content: str) -> None:
    with pytest.raises(RequestError) as caught:
        build_request(operation_with("query", content={content: {}}), [("color", "query", value)], place=PLACE)

    assert caught.value.code == "AZM-R008"


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("spec", "levels", "code"),
    [({"style": "deepObject"}, 201, "AZM-R003"), ({"content": {"application/json": {}}}, 200, "AZM-R007")],
    ids=["deep-object", "json"],
)
def test_a_value_nests_two_hundred_deep_and_no_deeper(spec: dict[str, Any], levels: int, code: str) -> None:
    to = operation_with("query", **spec)

    assert build_request(to, [("color", "query", nested(levels))], place=PLACE).target
    with pytest.raises(RequestError) as caught:
        build_request(to, [("color", "query", nested(levels + 1))], place=PLACE)

    assert caught.value.code == code


def test_lists_nest_no_deeper_than_objects() -> None:
    value: Any = "x"
    for _ in range(200):
        value = [value]

    build_request(operation_with("query"), [], body=value, content_type="application/json", place=PLACE)
    value = [value]
    with pytest.raises(RequestError) as caught:
        build_request(operation_with("query"), [], body=value, content_type="application/json", place=PLACE)

    assert caught.value.code == "AZM-R007"


def test_a_secret_inside_json_is_encoded_in_a_cookie_and_one_alone_is_not() -> None:
    secret: Any = SecretRef("t")
    inside = operation_with("cookie", content={"application/json": {}})
    found = [
        build_request(to, [("color", "cookie", value)], place=PLACE).headers
        for to, value in [(inside, {"k": secret}), (operation_with("cookie"), secret)]
    ]

    assert found == [
        (("Cookie", SecretText(("color={%22k%22:%22", SecretRef("t", "json percent"), "%22}"))),),
        (("Cookie", SecretText(("color=", SecretRef("t")))),),
    ]
