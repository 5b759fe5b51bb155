from __future__ import annotations

import json
import re
from typing import Any

import pytest

from machine.errors import Place, RequestError
from machine.sources import build_request, read_openapi
from machine.sources.bodies import choose_type, write_body
from machine.sources.model import Operation, PartSpec, Request
from machine.values import MISSING, Content, FileRef, SecretRef, SecretText, Value

PLACE = Place(document="flow.arazzo.yaml", line=7, column=3)
TOKEN = SecretRef("hfToken")
IMAGE = FileRef("1" * 64, 3, "image/png", 'a "1".png', "/home/me/a.png")
PNG_PART = (
    'Content-Disposition: form-data; name="f"; filename="a %221%22.png"\r\nContent-Type: image/png\r\n\r\n'
    '[file a "1".png, 3 bytes]'
)
FORM = "application/x-www-form-urlencoded"


def operation_of(content: dict[str, Any]) -> Operation:
    item = {"post": {"requestBody": {"content": content}}}
    return read_openapi({"openapi": "3.1.0", "paths": {"/": item}}, name="api", uri="", sha256="").paths["/"]["POST"]


def build(body: Any, content_type: str = "", content: dict[str, Any] | None = None) -> Request:
    return build_request(operation_of(content or {}), [], body=body, content_type=content_type, place=PLACE)


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


# -- the type ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wanted", "declared", "expected"),
    [
        ("x", "", ("text/plain", "application/problem+json"), "application/problem+json"),
        ("x", "", ("text/plain", "text/csv"), "text/plain"),
        ("x", "", ("*/*",), "application/json"),
        ("x", "", (), "application/json"),
        ("x", "application/json; charset=utf-8", ("text/plain",), "application/json; charset=utf-8"),
        ("x", "*/*", ("text/csv",), "text/csv"),
        ("x", "text/*", ("application/json", "text/csv"), "text/csv"),
        ("x", "text/*", (), "text/plain"),
        ({"a": IMAGE}, "", ("application/json", "multipart/form-data"), "multipart/form-data"),
        ({"a": IMAGE}, "", (), "multipart/form-data"),
        (IMAGE, "", ("application/json", "application/octet-stream"), "application/octet-stream"),
        (IMAGE, "", ("application/json",), "image/png"),
        (IMAGE, "image/*", ("image/jpeg",), "image/jpeg"),
    ],
)
def test_the_type_is_the_documents_else_a_declared_one(
    body: Any, wanted: str, declared: tuple[str, ...], expected: str
) -> None:
    assert choose_type(body, wanted, declared) == expected


# -- the body ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", None, None),
        ("application/json", [MISSING, {"a": MISSING}], [{}]),
        ("application/json", TOKEN, TOKEN),
        ("text/plain", "a\r\nb", "a\r\nb"),
        ("text/plain", 5, "5"),
        ("text/csv", True, "true"),
        ("application/xml", "<a>é</a>", "<a>é</a>"),
        ("application/soap+xml; charset=utf-8", SecretText(("<t>", TOKEN)), SecretText(("<t>", TOKEN))),
        ("application/octet-stream", "bytes as text", "bytes as text"),
        ("application/octet-stream", IMAGE, IMAGE),
        ("image/png", IMAGE, IMAGE),
        ("multipart/mixed; boundary=x", "--x--", "--x--"),
        (
            FORM,
            {"a b": "c&d", "n": None, "m": MISSING, "l": [1, True], "o": {"p": [1]}},
            "a%20b=c%26d&l=1&l=true&o=%7B%22p%22%3A%5B1%5D%7D",
        ),
        (FORM, {"key": TOKEN, "x": "1"}, SecretText(("key=", SecretRef("hfToken", "percent"), "&x=1"))),
        (FORM, "a=1&b=2", "a=1&b=2"),
        (FORM, "a=1&b=2\n", "a=1&b=2"),
        (FORM, SecretText(("a=", TOKEN, "&b=2\r\n")), SecretText(("a=", SecretRef("hfToken", "percent"), "&b=2"))),
        (FORM, SecretText(("a\n", TOKEN, "\n")), SecretText(("a\n", SecretRef("hfToken", "percent")))),
        (FORM, {}, ""),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bodies_by_content_type(content_type: str, body: Any, expected: Value) -> None:
    request = build(body, content_type)

    assert (request.body, request.content_type) == (expected, content_type)
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", {"a": "secret"}),
        ("text/plain", None),
        ("application/xml", {"a": "secret"}),
        ("application/octet-stream", ["secret"]),
        (FORM, ["secret"]),
        ("multipart/form-data", ["secret"]),
        ("multipart/form-data", "secret"),
        ("multipart/mixed", {"a": "secret"}),
        ("multipart/form-data", {"secret\x00": "a"}),
        ("multipart/form-data", IMAGE),
        ("application/json", {"a": [IMAGE]}),
        ("application/json", IMAGE),
        (FORM, {"a": IMAGE}),
        (FORM, {"a": {"secret": IMAGE}}),
        ("application/json\r\nX-Evil: 1", "secret"),
        ("json", "secret"),
        ("application/json", deep(10_000)),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else type(value).__name__,
)
def test_bodies_nobody_can_write_are_refused(content_type: str, body: Any) -> None:
    with pytest.raises(RequestError) as caught:
        build(body, content_type)

    assert caught.value.code in ("AZM-R003", "AZM-R007", "AZM-R008")
    assert caught.value.place == PLACE


def test_a_form_is_encoded_as_the_description_says() -> None:
    encoding = {"meta": {"style": "deepObject", "explode": True}, "ids": {"explode": False}}
    to = operation_of({FORM: {"schema": {}, "encoding": encoding}})
    body: Any = {"meta": {"a": 1, "b": {"c": 2}}, "ids": [1, 2], "name": "x"}

    request = build_request(to, [], body=body, place=PLACE)

    assert request.body == "meta%5Ba%5D=1&meta%5Bb%5D%5Bc%5D=2&ids=1,2&name=x"
    assert (
        build_request(Operation.from_json(json.loads(json.dumps(to.to_json()))), [], body=body, place=PLACE) == request
    )


# -- multipart ---------------------------------------------------------------------------------------------------------


def parts_of(request: Request) -> list[str]:
    """The parts of a multipart body, their references shown."""
    assert isinstance(request.body, (str, Content))
    boundary = re.fullmatch(r"multipart/form-data; boundary=(arazzo-[0-9a-f]{40})", request.content_type)
    assert boundary
    pieces = str(request.body).split(f"--{boundary[1]}")
    assert (pieces[0], pieces[-1]) == ("", "--\r\n")
    return [piece.removeprefix("\r\n").removesuffix("\r\n") for piece in pieces[1:-1]]


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        pytest.param({"a": "x\r\ny"}, {}, ['Content-Disposition: form-data; name="a"\r\n\r\nx\r\ny'], id="text"),
        pytest.param({"a": None, "b": MISSING}, {}, [], id="nothing"),
        pytest.param(
            {"a": [1, True]},
            {},
            [
                'Content-Disposition: form-data; name="a"\r\n\r\n1',
                'Content-Disposition: form-data; name="a"\r\n\r\ntrue',
            ],
            id="a-list-is-a-part-an-item",
        ),
        pytest.param(
            {"a": {"b": [None]}},
            {},
            ['Content-Disposition: form-data; name="a"\r\nContent-Type: application/json\r\n\r\n{"b":[null]}'],
            id="an-object-is-json",
        ),
        pytest.param(
            {"a": [1, 2]},
            {"a": {"contentType": "application/json"}},
            ['Content-Disposition: form-data; name="a"\r\nContent-Type: application/json\r\n\r\n[1,2]'],
            id="a-list-as-json",
        ),
        pytest.param(
            {"a": "<a/>"},
            {"a": {"contentType": "text/xml, text/plain"}},
            ['Content-Disposition: form-data; name="a"\r\nContent-Type: text/xml\r\n\r\n<a/>'],
            id="a-text-of-a-type",
        ),
        pytest.param(
            {"f": IMAGE},
            {},
            [
                PNG_PART,
            ],
            id="a-file",
        ),
        pytest.param(
            {"f": IMAGE},
            {"f": {"contentType": "application/pdf, image/*"}},
            [
                PNG_PART,
            ],
            id="a-file-of-an-allowed-range",
        ),
        pytest.param(
            {'a"\r\nX-Evil: 1': "x"},
            {},
            ['Content-Disposition: form-data; name="a%22%0D%0AX-Evil: 1"\r\n\r\nx'],
            id="a-name-stays-in-its-quotes",
        ),
        pytest.param(
            {"k": {"a": SecretText(('"', TOKEN)), "b": [TOKEN, 1]}},
            {},
            [
                (
                    'Content-Disposition: form-data; name="k"\r\nContent-Type: application/json\r\n\r\n'
                    '{"a":"\\"[secret hfToken]","b":["[secret hfToken]",1]}'
                )
            ],
            id="secrets-in-json",
        ),
        pytest.param(
            {"k": TOKEN}, {}, ['Content-Disposition: form-data; name="k"\r\n\r\n[secret hfToken]'], id="a-secret"
        ),
    ],
)
def test_parts_of_a_multipart_body(body: Any, encoding: Any, expected: list[str]) -> None:
    request = build(body, content={"multipart/form-data": {"encoding": encoding}})

    assert parts_of(request) == expected
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request


def test_a_boundary_depends_on_the_parts_and_on_nothing_else() -> None:
    first, again = build({"a": IMAGE}, "multipart/form-data"), build({"a": IMAGE}, "multipart/form-data; boundary=x")
    other = build({"a": "x"}, "multipart/form-data")

    assert first == again
    assert other.content_type != first.content_type


def test_no_value_can_end_its_part() -> None:
    hostile = build({"a": "x"}, "multipart/form-data")
    boundary = hostile.content_type.partition("=")[2]
    request = build({"a": f"x\r\n--{boundary}--\r\n"}, "multipart/form-data")

    assert len(parts_of(request)) == 1


def test_the_body_is_written_without_an_operation_too() -> None:
    assert write_body("x", "text/plain", {"a": PartSpec()}, PLACE) == ("x", "text/plain")


@pytest.mark.parametrize(
    ("content_type", "body", "advice"),
    [
        pytest.param("application/xml", {"a": 1}, "write the XML as a text", id="xml"),
        pytest.param("application/soap+xml; charset=utf-8", [1], "write the XML as a text", id="soap"),
        pytest.param("application/xml", None, "leave out the payload", id="null"),
        pytest.param("application/x-ndjson", [{"a": 1}], "the JSON of each item on a line of its own", id="lines"),
        pytest.param("text/csv", [["a", "b"]], "write the text/csv as a text", id="table"),
        pytest.param("application/x-www-form-urlencoded", [1], "an object of fields", id="form"),
        pytest.param("multipart/form-data", [1], "an object of parts", id="multipart"),
    ],
)
def test_a_body_its_type_cannot_carry_is_refused_with_what_to_give(content_type: str, body: Any, advice: str) -> None:
    with pytest.raises(RequestError, match="request body") as caught:
        build(body, content_type)

    assert (caught.value.code, caught.value.seen) == ("AZM-R007", content_type)
    assert caught.value.place is not None
    assert advice in caught.value.next
