from __future__ import annotations

import json
from typing import Any

import pytest

from machine.sources import read_openapi
from machine.sources.model import Operation
from machine.sources.security import left_open

SCHEMES: dict[str, Any] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "Key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "basic": {"type": "http", "scheme": "Basic"},
    "oauth": {
        "type": "oauth2",
        "flows": {"implicit": {"authorizationUrl": "/a"}, "clientCredentials": {"tokenUrl": "/token"}},
    },
}


def operation_of(security: Any, root: Any = None) -> Operation:
    value = {
        "openapi": "3.1.0",
        **({"security": root} if root is not None else {}),
        "paths": {"/": {"get": {"security": security} if security is not None else {}}},
        "components": {"securitySchemes": SCHEMES},
    }
    operation = read_openapi(value, name="api", uri="", sha256="").paths["/"]["GET"]
    again = Operation.from_json(json.loads(json.dumps(operation.to_json())))
    assert (again.security, again.alternatives) == (operation.security, operation.alternatives)
    return operation


@pytest.mark.parametrize(
    ("security", "sent", "expected"),
    [
        pytest.param([], set(), (), id="an-empty-list-demands-nothing"),
        pytest.param([{}], set(), (), id="an-empty-requirement-demands-nothing"),
        pytest.param([{"key": []}], set(), (("key",),), id="one"),
        pytest.param([{"key": []}, {"basic": []}], set(), (("key",), ("basic",)), id="or"),
        pytest.param([{"key": [], "basic": []}], set(), (("key", "basic"),), id="and"),
        pytest.param([{"key": []}, {}], set(), (("key",), ()), id="optional"),
        pytest.param([{"key": []}], {("header", "x-key")}, (), id="met-by-a-header"),
        pytest.param([{"query": []}], {("query", "Key")}, (), id="met-by-a-field"),
        pytest.param([{"query": []}], {("query", "key")}, (("query",),), id="names-of-fields-have-a-case"),
        pytest.param([{"cookie": []}], {("cookie", "sid")}, (), id="met-by-a-cookie"),
        pytest.param([{"cookie": []}], {("header", "cookie")}, (), id="met-by-a-whole-cookie-header"),
        pytest.param([{"basic": []}], {("header", "authorization")}, (), id="met-by-authorization"),
        pytest.param([{"key": [], "basic": []}], {("header", "x-key")}, (("basic",),), id="half-met"),
        pytest.param([{"key": []}, {"basic": []}], {("header", "authorization")}, (), id="one-of-two-met"),
        pytest.param([{"key": []}, {}], {("header", "x-key")}, (), id="optional-and-met"),
        pytest.param([{"unknown": []}], set(), (), id="not-described"),
        pytest.param([{"unknown": [], "key": []}], set(), (("key",),), id="half-described"),
        pytest.param([{"unknown": []}, {"key": []}], set(), ((), ("key",)), id="one-of-two-described"),
    ],
)
def test_what_the_document_sends_itself_is_not_added(
    security: Any, sent: set[tuple[str, str]], expected: tuple[tuple[str, ...], ...]
) -> None:
    assert left_open(operation_of(security), sent) == expected


def test_the_root_speaks_where_the_operation_is_silent() -> None:
    assert operation_of(None, [{"key": []}]).alternatives == (("key",),)
    assert operation_of([], [{"key": []}]).alternatives == ()


def test_a_scheme_knows_its_token_endpoint_and_the_scopes_of_every_alternative() -> None:
    (scheme,) = operation_of([{"oauth": ["read"]}, {"oauth": ["write", "read"]}]).security

    assert (scheme.token_url, scheme.scopes) == ("/token", ("read", "write"))


FLOW = {"tokenUrl": "/token"}


@pytest.mark.parametrize(
    ("flows", "token", "refresh"),
    [
        pytest.param({"clientCredentials": FLOW}, "/token", "/token", id="one-place-for-all"),
        pytest.param({"clientCredentials": {**FLOW, "refreshUrl": "/renew"}}, "/token", "/renew", id="two-places"),
        pytest.param(
            {"clientCredentials": FLOW, "authorizationCode": {"tokenUrl": "/code", "refreshUrl": "/renew"}},
            "/token",
            "/renew",
            id="of-another-flow",
        ),
        pytest.param(
            {"clientCredentials": FLOW, "authorizationCode": {"tokenUrl": "/code"}},
            "/token",
            "/code",
            id="where-it-came",
        ),
        pytest.param({"password": {"tokenUrl": "/pass"}}, "/pass", "/pass", id="no-flow-of-its-own"),
        pytest.param({"implicit": {"authorizationUrl": "/a"}}, "", "", id="nowhere"),
        pytest.param([], "", "", id="no-flows"),
    ],
)
def test_where_a_token_is_had_and_where_it_is_renewed(flows: Any, token: str, refresh: str) -> None:
    value = {
        "openapi": "3.1.0",
        "paths": {"/a": {"get": {"operationId": "a", "security": [{"o": []}]}}},
        "components": {"securitySchemes": {"o": {"type": "oauth2", "flows": flows}}},
    }
    (scheme,) = read_openapi(value, name="a", uri="a", sha256="").operations["a"].security

    assert (scheme.token_url, scheme.refresh_url) == (token, refresh)
    assert type(scheme).from_json(scheme.to_json()) == scheme
