"""Requests out of operations and values: the style table, and what no value may do."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machine.errors import Place, RequestError
from machine.sources import Operation, Request, build_request, find_operation, read_openapi
from machine.values import MISSING, SecretRef, SecretText, Value

PLACE = Place(document="flow.arazzo.yaml", pointer="/workflows/0/steps/0", line=7, column=3)
TOKEN = SecretRef("hfToken")

# The part of the endpoints API that the first workflow of this project calls.
ENDPOINTS = read_openapi(
    {
        "openapi": "3.1.0",
        "servers": [{"url": "https://api.endpoints.huggingface.cloud/v2"}],
        "security": [{"bearerAuth": []}],
        "paths": {
            "/endpoint/{namespace}": {
                "parameters": [{"$ref": "#/components/parameters/namespace"}],
                "post": {
                    "operationId": "createEndpoint",
                    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
                    "responses": {"201": {"description": "Created"}},
                },
            }
        },
        "components": {
            "securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer"}},
            "parameters": {
                "namespace": {"name": "namespace", "in": "path", "required": True, "schema": {"type": "string"}}
            },
        },
    },
    name="inferenceEndpointsApi",
    uri="endpoints.yaml",
    sha256="",
)
CREATE = find_operation({"inferenceEndpointsApi": ENDPOINTS}, "createEndpoint", place=PLACE)


def operation(path: str = "/a", *parameters: dict[str, Any], types: tuple[str, ...] = ()) -> Operation:
    item = {"post": {"parameters": list(parameters), "requestBody": {"content": {one: {} for one in types}}}}
    source = read_openapi({"openapi": "3.1.0", "paths": {path: item}}, name="api", uri="", sha256="")
    return source.paths[path]["POST"]


def build(to: Operation, *parameters: tuple[str, str, Value], **rest: Any) -> Request:
    return build_request(to, parameters, place=PLACE, **rest)


def refused(to: Operation, *parameters: tuple[str, str, Value], **rest: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        build(to, *parameters, **rest)

    assert caught.value.place == PLACE
    assert caught.value.exit_code == 10
    return caught.value


def test_create_endpoint_is_one_complete_request_without_the_token() -> None:
    body: Value = {
        "name": "my-endpoint",
        "type": "public",
        "provider": {"vendor": "aws", "region": "us-east-1"},
        "compute": {
            "accelerator": "cpu",
            "instanceType": MISSING,  # type: ignore[dict-item]
            "scaling": {"minReplica": 1, "maxReplica": 1},
        },
        "model": {"repository": "gpt2", "revision": None},
    }
    request = build(
        CREATE,
        ("Authorization", "header", SecretText(("Bearer ", TOKEN))),
        ("namespace", "path", "acme"),
        body=body,
        content_type="application/json",
    )

    assert request == Request(
        source="inferenceEndpointsApi",
        server=CREATE.server,
        method="POST",
        target="/endpoint/acme",
        headers=(("Authorization", SecretText(("Bearer ", TOKEN))),),
        body={
            "name": "my-endpoint",
            "type": "public",
            "provider": {"vendor": "aws", "region": "us-east-1"},
            "compute": {"accelerator": "cpu", "scaling": {"minReplica": 1, "maxReplica": 1}},
            "model": {"repository": "gpt2", "revision": None},
        },
        content_type="application/json",
    )
    assert Request.from_json(request.to_json()) == request


LIST: Value = ["a", "b c"]
OBJECT: Value = {"x": 1, "y": "b c"}


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("simple", False, "b c/d", "/b%20c%2Fd"),
        ("simple", False, LIST, "/a,b%20c"),
        ("simple", False, OBJECT, "/x,1,y,b%20c"),
        ("simple", True, OBJECT, "/x=1,y=b%20c"),
        ("label", False, "a", "/.a"),
        ("label", False, LIST, "/.a,b%20c"),
        ("label", True, LIST, "/.a.b%20c"),
        ("label", True, OBJECT, "/.x=1.y=b%20c"),
        ("matrix", False, "a", "/;v=a"),
        ("matrix", False, LIST, "/;v=a,b%20c"),
        ("matrix", True, LIST, "/;v=a;v=b%20c"),
        ("matrix", False, OBJECT, "/;v=x,1,y,b%20c"),
        ("matrix", True, OBJECT, "/;x=1;y=b%20c"),
    ],
)
def test_path_styles(style: str, explode: bool, value: Value, expected: str) -> None:
    to = operation("/{v}", {"name": "v", "in": "path", "style": style, "explode": explode})

    assert build(to, ("v", "path", value)).target == expected


@pytest.mark.parametrize(
    ("rest", "value", "expected"),
    [
        ({}, "b&c=d#é", "?v=b%26c%3Dd%23%C3%A9"),
        ({}, "", "?v="),
        ({}, LIST, "?v=a&v=b%20c"),
        ({}, OBJECT, "?x=1&y=b%20c"),
        ({"explode": False}, LIST, "?v=a,b%20c"),
        ({"explode": False}, OBJECT, "?v=x,1,y,b%20c"),
        ({"style": "spaceDelimited"}, LIST, "?v=a%20b%20c"),
        ({"style": "pipeDelimited"}, LIST, "?v=a%7Cb%20c"),
        ({"style": "pipeDelimited", "explode": True}, LIST, "?v=a&v=b%20c"),
        ({"style": "deepObject", "explode": True}, OBJECT, "?v%5Bx%5D=1&v%5By%5D=b%20c"),
        ({"style": "deepObject"}, "a", "?v=a"),
        ({"allowReserved": True}, "/a?b=c&d#e+[%2f%", "?v=/a?b=c%26d%23e%2B%5B%2f%25"),
        ({"content": {"application/json": {}}}, {"a": [None]}, "?v=%7B%22a%22%3A%5Bnull%5D%7D"),
        ({"content": {"application/json": {}}}, '{"a":1}', "?v=%7B%22a%22%3A1%7D"),
        ({}, [], ""),
        ({}, [None, "a"], "?v=a"),
        ({}, {"x": None}, ""),
        ({}, None, ""),
        ({}, MISSING, ""),
        ({}, True, "?v=true"),
        ({}, 3.0, "?v=3"),
        ({}, 2.5, "?v=2.5"),
        ({}, 1e300, "?v=1e%2B300"),
        ({}, 12345678901234567890, "?v=12345678901234567890"),
        ({}, 2.0**53, "?v=9007199254740992"),
        ({}, 2.0**54, "?v=1.8014398509481984e%2B16"),
    ],
)
def test_query_styles(rest: dict[str, Any], value: Value, expected: str) -> None:
    to = operation("/a", {"name": "v", "in": "query", **rest})

    assert build(to, ("v", "query", value)).target == f"/a{expected}"


@pytest.mark.parametrize(
    ("explode", "value", "expected"),
    [
        (False, "a", "a"),
        (False, LIST, "a,b c"),
        (False, OBJECT, "x,1,y,b c"),
        (True, OBJECT, "x=1,y=b c"),
        (False, False, "false"),
        (False, "  é ", "é"),
        (False, SecretText((" a ", TOKEN, " ")), SecretText(("a ", TOKEN))),
    ],
)
def test_header_styles(explode: bool, value: Value, expected: Value) -> None:
    to = operation("/a", {"name": "V", "in": "header", "explode": explode})

    assert build(to, ("V", "header", value)).headers == (("V", expected),)


def test_parameters_that_are_not_declared_are_sent_where_the_step_says() -> None:
    request = build(
        operation("/a/{id}"),
        ("id", "path", 7),
        ("other", "path", "not in the template"),
        ("filter[x]", "query", LIST),
        ("X-Trace", "header", LIST),
        ("sid", "cookie", "s%3Aabc=="),
        ("lang", "cookie", "de; x"),
        ("list", "cookie", [1, 2]),
    )

    assert request.target == "/a/7?filter%5Bx%5D=a&filter%5Bx%5D=b%20c"
    assert request.headers == (("X-Trace", "a,b c"), ("Cookie", "sid=s%3Aabc==; lang=de%3B%20x; list=1; list=2"))


def test_cookies_join_a_cookie_header_that_is_given() -> None:
    request = build(operation(), ("cookie", "header", "a=1"), ("b", "cookie", TOKEN))

    assert request.headers == (("Cookie", SecretText(("a=1; b=", TOKEN))),)


def test_a_header_is_sent_once_and_the_last_value_counts() -> None:
    request = build(operation(), ("authorization", "header", "old"), ("Authorization", "header", "new"))

    assert request.headers == (("Authorization", "new"),)


def test_secrets_stay_references_and_say_where_they_are_to_be_encoded() -> None:
    request = build(
        operation("/{id}/x"),
        ("id", "path", SecretText(("k ", TOKEN))),
        ("key", "query", TOKEN),
        ("X-Key", "header", TOKEN),
    )
    encoded = SecretRef("hfToken", "percent")

    assert request.target == SecretText(("/k%20", encoded, "/x?key=", encoded))
    assert request.headers == (("X-Key", SecretText((TOKEN,))),)


@pytest.mark.parametrize(
    ("rest", "value", "expected"),
    [
        ({}, "a=1&b=%20c d#", "?a=1&b=%20c%20d%23"),
        ({}, {"a": "1 2", "b": [1, 2]}, "?a=1%202&b=1&b=2"),
        ({"content": {"no-type": {}}}, {"a": [1, 2]}, "?a=1&a=2"),
        ({"content": {"application/json": {}}}, {"a": "%41&"}, "?%7B%22a%22%3A%22%2541%26%22%7D"),
        ({}, SecretText(("k=", TOKEN)), SecretText(("/a?k=", SecretRef("hfToken", "percent")))),
    ],
)
def test_a_querystring_is_the_whole_query(rest: dict[str, Any], value: Value, expected: Value) -> None:
    to = operation("/a", {"name": "q", "in": "querystring", **rest}) if rest else operation()
    target = build(to, ("q", "querystring", value)).target

    assert target == (f"/a{expected}" if isinstance(expected, str) else expected)


def test_a_querystring_has_the_query_for_itself() -> None:
    assert refused(operation(), ("a", "query", 1), ("q", "querystring", "b=2")).code == "AZM-R003"
    assert refused(operation(), ("p", "querystring", "a=1"), ("q", "querystring", "b=2")).code == "AZM-R003"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/a/", "/a/"),
        ("/a b/{v}.json", "/a%20b/x.json"),
        ("/{v}:clone", "/x:clone"),
        ("/{v}-{v}", "/x-x"),
        ("/a%20b", "/a%20b"),
        ("/a?expire=true", "/a?expire=true&q=1"),
        ("/a?in=b/../c", "/a?in=b/../c"),
        ("/a#first", "/a"),
    ],
)
def test_the_template_is_kept_but_for_its_placeholders(path: str, expected: str) -> None:
    query: list[tuple[str, str, Value]] = [("q", "query", 1)] if "&q" in expected else []

    assert build(operation(path), ("v", "path", "x"), *query).target == expected


@pytest.mark.parametrize("value", [None, MISSING, [], {}, [None]], ids=["null", "missing", "list", "object", "nulls"])
def test_a_path_parameter_without_a_value_is_named(value: Value) -> None:
    error = refused(CREATE, ("namespace", "path", value))

    assert error.code == "AZM-R001"
    assert "'namespace'" in error.message


def test_a_path_parameter_that_is_not_given_is_named() -> None:
    assert "'namespace'" in refused(CREATE).message


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "a/../b",
        "..\\x",
        "a\nb",
        "\0",
        "\x85",
        [".."],
        SecretText(("../", TOKEN)),
        SecretText(("./", TOKEN)),
    ],
    ids=repr,
)
def test_a_value_cannot_lead_to_another_resource(value: Value) -> None:
    assert refused(CREATE, ("namespace", "path", value)).code == "AZM-R002"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/{v}.", "."),
        ("/.{v}", "."),
        ("/%2e%2e/{v}", "a"),
        ("/a/../{v}", "a"),
        ("/{v", "a"),
        ("/a%2f..%2fb/{v}", "a"),
        ("/a%5C..%5Cb/{v}", "a"),
        ("/a/../{v}", TOKEN),
        ("/a\x00/{v}", "a"),
        ("/a\ud800/{v}", "a"),
    ],
    ids=repr,
)
def test_a_template_cannot_lead_to_another_resource(path: str, value: Value) -> None:
    assert refused(operation(path), ("v", "path", value)).code == "AZM-R002"


@pytest.mark.parametrize(
    ("location", "value", "code"),
    [
        ("header", "secret\r\nX-Evil: 1", "AZM-R005"),
        ("header", "secret\n", "AZM-R005"),
        ("header", "secret\0", "AZM-R005"),
        ("header", "secret\t", "AZM-R005"),
        ("header", "secret\x85", "AZM-R005"),
        ("header", "secret €", "AZM-R005"),
        ("header", SecretText((TOKEN, "secret\r\n")), "AZM-R005"),
        ("header", ["a", ["secret"]], "AZM-R003"),
        ("cookie", "secret\r\n", "AZM-R005"),
        ("cookie", [["secret"]], "AZM-R003"),
        ("query", {"a": {"b": "secret"}}, "AZM-R003"),
        ("query", "secret\ud800", "AZM-R008"),
        ("query", float("nan"), "AZM-R008"),
        ("query", 16**5000, "AZM-R008"),
        ("query", {"secret\ud800": 1}, "AZM-R008"),
        ("body", "secret", "AZM-R009"),
        ("", "secret", "AZM-R009"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_a_refused_value_is_named_and_not_shown(location: str, value: Value, code: str) -> None:
    error = refused(operation(), ("v", location, value))

    assert error.code == code
    assert "'v'" in error.message
    assert "secret" not in f"{error} {error.next}"


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é"])
@pytest.mark.parametrize("location", ["header", "cookie"])
def test_header_and_cookie_names_are_tokens(name: str, location: str) -> None:
    assert refused(operation(), (name, location, "x")).code == "AZM-R004"


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Proxy-Authorization", "proxy-x"]
)
def test_a_document_may_not_set_headers_that_steer_the_connection(name: str) -> None:
    assert refused(operation(), (name, "header", "x")).code == "AZM-R006"


def test_a_deep_object_holds_objects_and_no_lists() -> None:
    to = operation("/a", {"name": "v", "in": "query", "style": "deepObject"})

    assert refused(to, ("v", "query", LIST)).code == "AZM-R003"
    assert refused(to, ("v", "query", {"a": ["b"]})).code == "AZM-R003"
    assert build(to, ("v", "query", {"a": {"b": 1, "c": None}})).target == "/a?v%5Ba%5D%5Bb%5D=1"


def test_a_secret_in_a_json_parameter_is_written_as_json_in_a_url() -> None:
    to = operation("/a", {"name": "v", "in": "query", "content": {"application/json": {}}})
    secret = SecretRef("hfToken", "json percent")

    assert build(to, ("v", "query", {"a": TOKEN, "b": [1]})).target == SecretText(  # type: ignore[dict-item]
        ("/a?v=%7B%22a%22%3A%22", secret, "%22%2C%22b%22%3A%5B1%5D%7D")
    )


def test_without_a_body_there_is_no_content_type() -> None:
    request = build(operation(types=("application/json",)), content_type="application/json")

    assert (request.body, request.content_type) == (MISSING, "")


def test_a_content_type_parameter_chooses_the_type_and_is_not_sent_twice() -> None:
    to = operation(types=("application/json", "text/plain"))
    chosen = build(to, ("content-type", "header", "text/plain"), body="x")
    overruled = build(to, ("content-type", "header", "text/plain"), body="x", content_type="application/json")

    assert (chosen.content_type, chosen.headers) == ("text/plain", ())
    assert (overruled.content_type, overruled.headers) == ("application/json", ())


@pytest.mark.parametrize(
    ("method", "redirects", "follows"),
    [("get", False, True), ("head", False, True), ("get", True, False), ("post", False, False), ("put", False, False)],
)
def test_only_a_read_whose_description_knows_no_redirect_may_be_sent_on(
    method: str, redirects: bool, follows: bool
) -> None:
    answers = {"302": {"description": "elsewhere"}} if redirects else {"200": {"description": "here"}}
    source = read_openapi(
        {"openapi": "3.1.0", "paths": {"/a": {method: {"responses": answers}}}}, name="api", uri="", sha256=""
    )

    assert build(source.paths["/a"][method.upper()]).follows is follows


def test_the_encodings_of_a_media_type_count_whatever_its_parameters() -> None:
    kind = "application/x-www-form-urlencoded"
    encoded = {kind: {"encoding": {"a": {"style": "pipeDelimited"}}}, "text/plain": {}}
    item = {"post": {"requestBody": {"content": encoded}}}
    to = read_openapi({"openapi": "3.1.0", "paths": {"/a": item}}, name="api", uri="", sha256="").paths["/a"]["POST"]

    assert build(to, body={"a": [1, 2]}, content_type=f"{kind}; charset=utf-8").body == "a=1%7C2"
    assert build(to, body="a", content_type="text/plain").body == "a"


ANY_TEXT = st.text(st.characters()) | st.text("./\\%2eF?#;& \n\ud800{}", max_size=8)


@given(namespace=ANY_TEXT, name=ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_no_value_changes_the_shape_of_the_path(namespace: str, name: str) -> None:
    to = operation("/endpoint/{namespace}/{name}/pause")
    try:
        target = build(to, ("namespace", "path", namespace), ("name", "path", name)).target
    except RequestError:
        return
    segments = str(target).split("/")

    assert isinstance(target, str)
    assert target.isascii()
    assert [unquote(one) for one in segments] == ["", "endpoint", namespace, name, "pause"]


@given(value=ANY_TEXT)
@settings(max_examples=200, deadline=None)
def test_no_value_adds_a_field_to_the_query(value: str) -> None:
    try:
        target = build(operation(), ("a", "query", value), ("b", "query", "1")).target
    except RequestError:
        return
    fields = str(target).removeprefix("/a?").split("&")

    assert [tuple(map(unquote, field.split("="))) for field in fields] == [("a", value), ("b", "1")]
