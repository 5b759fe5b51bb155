"""What a server receives, byte for byte: every cell of the style table, every way out a value might try, every body."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from machine.chart.effects import Call
from machine.errors import Place, RequestError
from machine.runtime.files import refer
from machine.runtime.http import Transport
from machine.runtime.secrets import SecretBook
from machine.sources import Operation, build_request, read_openapi
from machine.testing.clock import ManualClock
from machine.values import SecretRef, SecretText

PLACE = Place(document="flow.arazzo.yaml", line=7, column=3)
TABLE = json.loads((Path(__file__).parents[1] / "sources/style_table.json").read_text())
ROWS = [pytest.param(row, id=f"{row['in']}-{row['style']}{'*' if row['explode'] else ''}") for row in TABLE["rows"]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def described(path: str, operation: dict[str, Any], method: str = "get") -> Operation:
    source = read_openapi({"openapi": "3.2.0", "paths": {path: {method: operation}}}, name="api", uri="", sha256="")
    return source.paths[path][method.upper()]


class Recorder:
    """A server that answers everything, and a transport to it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.book = SecretBook({"key": "k&y /%2e"})
        self.transport = Transport(lambda *_: server.url + "/v1", self.book, ManualClock(), lambda: 0.5)

    def sent(
        self, operation: Operation, *parameters: tuple[str, str, Any], **rest: Any
    ) -> tuple[str, list[str], bytes]:
        """Request target, header lines, body, as received; raises RequestError for what is refused."""
        request = build_request(operation, parameters, place=PLACE, **rest)
        kind: Any = "safe" if request.method == "GET" else "idempotent"
        self.transport.perform(Call(step="step", request=request, kind=kind, not_before=0.0), 5.0)
        head, _, body = self.server.requests[-1].partition(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").split("\r\n")
        method, target, version = line.split(" ")
        assert (method, version) == (request.method, "HTTP/1.1")
        return target, headers, body


@pytest.fixture
def recorder(serve: Callable[..., Any]) -> Iterator[Recorder]:
    def script(peer: Any) -> None:
        while peer.request():
            peer.send(OK)

    made = Recorder(serve(script))
    yield made
    made.transport.close()


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_style_table_arrives_as_the_table_says(recorder: Recorder, row: dict[str, Any]) -> None:
    path = "/{color}" if row["in"] == "path" else "/"
    spec = {"content": {row["style"]: {}}} if row["in"] == "querystring" else {k: row[k] for k in ("style", "explode")}
    to = described(path, {"parameters": [{"name": "color", "in": row["in"], **spec}]})
    usual = {"host", "user-agent", "accept", "accept-encoding", "connection"}
    seen = {}
    for kind, value in TABLE["values"].items():
        try:
            target, headers, _ = recorder.sent(to, ("color", row["in"], value))
        except RequestError as error:
            seen[kind] = f"refused {error.code}"
            continue
        own = [line for line in headers if line.partition(":")[0].lower() not in usual]
        bare = target.removeprefix("/v1")
        seen[kind] = own[0] if own else bare.removeprefix("/") if "?" in bare else bare
        assert len(own) <= 1

    default = "refused AZM-R001" if row["in"] == "path" else "/"
    assert seen == {kind: row.get(kind, default) for kind in TABLE["values"]}


ESCAPES = [
    "..", ".", "../..", "a/../b", "%2e%2e", "%2E%2E%2F", "..%2f", "..\\", "a\\b", "/", "//evil.example", "?x=1", "#x",
    "a?b#c", "%00", "\0", "\r\nX-Evil: 1", "%0d%0aX-Evil: 1", "a b", "é", "日本", "\u202e", "\ufeff", "a;b=c",
    "@evil.example", "a:b@c", "[::1]", "{x}", "|", "\"'<>", "%", "%zz", "%25", "\x7f", "\u2028", "&x=1", "a=b", "+",
    "\ud800",
]  # fmt: skip


def test_no_value_leaves_its_place_on_the_wire(recorder: Recorder) -> None:
    to, refused = described("/a/{v}/b", {}), []
    for value in ESCAPES:
        before = len(recorder.server.requests)
        try:
            target, headers, _ = recorder.sent(to, ("v", "path", value), ("q", "query", value), ("z", "query", "end"))
        except RequestError as error:
            refused.append((value, error.code))
            assert len(recorder.server.requests) == before
            continue
        path, _, query = target.partition("?")

        assert [unquote(one) for one in path.split("/")] == ["", "v1", "a", value, "b"], value
        assert [tuple(map(unquote, field.split("="))) for field in query.split("&")] == [("q", value), ("z", "end")]
        assert target.isascii()
        assert not [line for line in headers if "evil" in line.lower()]

    steps = {"..", ".", "../..", "a/../b", "..\\", "\0", "\r\nX-Evil: 1", "\x7f"}
    assert dict(refused) == {**dict.fromkeys(steps, "AZM-R002"), "\ud800": "AZM-R008"}


@pytest.mark.parametrize("location", ["header", "cookie"])
def test_no_value_adds_a_header(recorder: Recorder, location: str) -> None:
    names = [line.partition(":")[0] for line in recorder.sent(described("/", {}), ("X-V", location, "x"))[1]]
    refused = {}
    for value in ESCAPES:
        try:
            _, headers, _ = recorder.sent(described("/", {}), ("X-V", location, value))
        except RequestError as error:
            refused[value] = error.code
            continue

        assert [line.partition(":")[0] for line in headers] == names, value
        assert not [line for line in headers if line.startswith("Cookie") and ";" in line]

    controls = dict.fromkeys(("\0", "\r\nX-Evil: 1", "\x7f"), "AZM-R005") | {"\ud800": "AZM-R008"}
    foreign = dict.fromkeys(("日本", "\u202e", "\ufeff", "\u2028"), "AZM-R005")
    assert refused == (controls | foreign if location == "header" else controls)


def test_a_secret_is_encoded_like_every_other_value(recorder: Recorder) -> None:
    key: Any = SecretRef("key")
    target, headers, body = recorder.sent(
        described("/{k}", {"requestBody": {"content": {"application/x-www-form-urlencoded": {}}}}, "put"),
        ("k", "path", key),
        ("q", "query", key),
        ("X-Key", "header", key),
        body={"k": key},
    )

    assert target == "/v1/k%26y%20%2F%252e?q=k%26y%20%2F%252e"
    assert "X-Key: k&y /%2e" in headers
    assert body == b"k=k%26y%20%2F%252e"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        pytest.param("application/json", {"a": [1, None, "é"]}, b'{"a": [1, null, "\\u00e9"]}', id="json"),
        pytest.param("application/vnd.x+json", "t", b'"t"', id="a-text-as-json"),
        pytest.param(
            "application/x-www-form-urlencoded", {"a b": ["x&y", "é"]}, b"a%20b=x%26y&a%20b=%C3%A9", id="form"
        ),
        pytest.param("application/xml", "<a>é</a>", "<a>é</a>".encode(), id="xml"),
        pytest.param("text/plain; charset=iso-8859-1", "é", b"\xe9", id="text-in-its-charset"),
        pytest.param("application/octet-stream", "é", "é".encode(), id="bytes-from-text"),
    ],
)
def test_every_kind_of_body_arrives_as_its_type_says(
    recorder: Recorder, content_type: str, body: Any, expected: bytes
) -> None:
    _, headers, seen = recorder.sent(described("/", {}, "put"), body=body, content_type=content_type)

    assert seen == expected
    assert f"Content-Type: {content_type}" in headers
    assert f"Content-Length: {len(expected)}" in headers


def test_what_a_charset_does_not_have_is_refused_before_anything_is_sent(recorder: Recorder) -> None:
    with pytest.raises(RequestError) as caught:
        recorder.sent(described("/", {}, "put"), body="\u2603", content_type="text/plain; charset=iso-8859-1")

    assert (caught.value.code, caught.value.__context__) == ("AZM-R025", None)
    assert "iso8859-1" in caught.value.message
    assert recorder.server.connections == 0


def test_files_are_parts_of_a_multipart_body(recorder: Recorder, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(bytes(range(256)) * 2000)
    body: Any = {"title": "é", "photo": refer(str(file), "photo"), "meta": {"a": 1}, "key": SecretRef("key")}

    _, headers, seen = recorder.sent(described("/", {}, "put"), body=body, content_type="multipart/form-data")

    boundary = next(line for line in headers if line.startswith("Content-Type: multipart/form-data; boundary="))
    mark = b"--" + boundary.partition("boundary=")[2].encode()
    part = b'\r\nContent-Disposition: form-data; name="%s"'
    assert seen == b"".join(
        [
            *(mark, part % b"title", b"\r\n\r\n\xc3\xa9\r\n"),
            *(mark, part % b"photo", b'; filename="photo.png"\r\nContent-Type: image/png\r\n\r\n'),
            *(file.read_bytes(), b"\r\n"),
            *(mark, part % b"meta", b'\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n'),
            *(mark, part % b"key", b"\r\n\r\nk&y /%2e\r\n"),
            mark + b"--\r\n",
        ]
    )
    assert f"Content-Length: {len(seen)}" in headers
    assert not [line for line in headers if line.lower().startswith("transfer-encoding")]


def test_a_file_alone_is_the_whole_body(recorder: Recorder, tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"\x00\xff" * 100_000)

    _, headers, seen = recorder.sent(described("/", {}, "put"), body=refer(str(file), "a"))

    assert seen == file.read_bytes()
    assert "Content-Type: application/octet-stream" in headers


def test_a_file_that_has_changed_is_refused_before_anything_is_sent(recorder: Recorder, tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"first")
    ref: Any = refer(str(file), "a")
    file.write_bytes(b"other")

    with pytest.raises(RequestError) as caught:
        recorder.sent(described("/", {}, "put"), body={"a": ref}, content_type="multipart/form-data")

    assert caught.value.code == "AZM-R021"
    assert recorder.server.connections == 0


AWKWARD = 'k"&y\\ /é%2e+'
JSON = {"content": {"application/json": {}}}
FIELDS = {"content": {"application/x-www-form-urlencoded": {}}}


@pytest.mark.parametrize(
    ("location", "spec", "read"),
    [
        pytest.param("query", JSON, lambda line: json.loads(parse_qs(urlsplit(line).query)["v"][0]), id="query"),
        pytest.param("querystring", JSON, lambda line: json.loads(unquote(urlsplit(line).query)), id="querystring"),
        pytest.param(
            "querystring", FIELDS, lambda line: {"a": parse_qs(urlsplit(line).query)["a"][0], "b": [1]}, id="fields"
        ),
        pytest.param("header", JSON, lambda line: json.loads(line.removeprefix("v: ")), id="header"),
        pytest.param("cookie", JSON, lambda line: json.loads(unquote(line.removeprefix("Cookie: v="))), id="cookie"),
    ],
)
def test_a_secret_inside_a_structured_parameter_arrives_whole(
    recorder: Recorder, location: str, spec: Any, read: Callable[[str], Any]
) -> None:
    recorder.book.learn({"awkward": AWKWARD})
    to = described("/", {"parameters": [{"name": "v", "in": location, **spec}]})
    target, headers, _ = recorder.sent(to, ("v", location, {"a": SecretRef("awkward"), "b": [1]}))

    lines = [line for line in headers if line.startswith(("v: ", "Cookie: "))]
    assert read(lines[0] if lines else target) == {"a": AWKWARD, "b": [1]}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_secret_inside_a_part_that_is_json_arrives_whole(recorder: Recorder, kind: str) -> None:
    recorder.book.learn({"awkward": AWKWARD})
    _, _, seen = recorder.sent(described("/", {}, "put"), body={"meta": {"a": SecretRef("awkward")}}, content_type=kind)

    text = parse_qs(seen.decode())["meta"][0] if kind != "multipart/form-data" else seen.decode().split("\r\n")[4]
    assert json.loads(text) == {"a": AWKWARD}


def test_a_secret_is_found_where_a_json_parameter_is_quoted_back() -> None:
    book = SecretBook({"awkward": AWKWARD})
    url = book.join(SecretText(("/?v=", SecretRef("awkward", "json percent"), "&x=1")))

    assert AWKWARD not in url
    assert book.conceal(url) == SecretText(("/?v=", SecretRef("awkward", "json percent"), "&x=1"))
