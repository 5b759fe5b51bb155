from __future__ import annotations

import gzip
import json
import logging
import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
import urllib3
from responses.registries import OrderedRegistry

from machine.chart.events import CallFailed
from machine.errors import HostError, RequestError
from machine.runtime.hosts import Bases
from machine.runtime.http import Transport
from machine.runtime.runner import Runner
from machine.runtime.secrets import SecretBook
from machine.stores import MemoryStore
from machine.testing.clock import ManualClock
from machine.values import MISSING, SecretRef, SecretText, encode

BEARER = (("Authorization", SecretText(("Bearer ", SecretRef("token")))),)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def chunked(body: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body


def sized(size: int, body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n%s" % (size, body)


def answer_and_leave(raw: bytes) -> Any:
    """A script that answers one request with these bytes and closes the connection."""

    def script(peer: Any) -> None:
        peer.request()
        peer.send(raw)

    return script


# -- what went wrong, and whether anything left ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_connection_means_nothing_was_sent(
    make_transport: Any, make_call: Any, closed_port: int, method: str
) -> None:
    event = make_transport(f"http://127.0.0.1:{closed_port}").perform(make_call(method), 2.0)

    assert (event.fate, event.cause) == ("not_sent", "refused")


def test_a_host_that_has_no_address_means_nothing_was_sent(make_transport: Any, make_call: Any) -> None:
    event = make_transport("http://no-such-host.invalid").perform(make_call("POST"), 5.0)

    assert (event.fate, event.cause) == ("not_sent", "dns")


def test_a_network_that_cannot_be_reached_means_nothing_was_sent(
    make_transport: Any, make_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> Any:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(urllib3.util.connection, "create_connection", unreachable)

    event = make_transport("http://127.0.0.1:9").perform(make_call("POST"), 2.0)

    assert (event.fate, event.cause) == ("not_sent", "refused")


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        pytest.param(lambda peer: (peer.sock.recv(9), peer.send(b"HTTP/1.1 400 Bad\r\n\r\n")), "tls", id="plain-http"),
        pytest.param(lambda peer: (peer.sock.recv(9), peer.reset()), "refused", id="reset-in-the-handshake"),
        pytest.param(lambda peer: peer.hang(), "connect_timeout", id="no-handshake"),
    ],
)
def test_without_a_secure_connection_nothing_was_sent(
    serve: Any, make_transport: Any, make_call: Any, script: Any, cause: str
) -> None:
    url = f"https://127.0.0.1:{serve(script).port}"

    event = make_transport(url).perform(make_call("POST", body={}), 0.3)

    assert (event.fate, event.cause) == ("not_sent", cause)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("script", "cause"),
    [
        pytest.param(lambda peer: (peer.request(), peer.reset()), "reset", id="reset-after-the-request"),
        pytest.param(answer_and_leave(b""), "reset", id="closed-after-the-request"),
        pytest.param(answer_and_leave(sized(50, b'{"a":')), "cut", id="less-than-its-content-length"),
        pytest.param(answer_and_leave(chunked(b"9\r\n{}")), "cut", id="cut-inside-a-chunk"),
        pytest.param(answer_and_leave(chunked(b"2\r\n{}\r\n")), "cut", id="no-last-chunk"),
        pytest.param(answer_and_leave(HEAD), "cut", id="no-end-of-the-head"),
        pytest.param(answer_and_leave(HEAD[:-9]), "cut", id="cut-inside-a-header"),
        pytest.param(answer_and_leave(HEAD[:12]), "cut", id="cut-inside-the-status"),
        pytest.param(answer_and_leave(chunked(b"zz\r\n{}\r\n0\r\n\r\n")), "protocol", id="garbage-for-a-chunk-size"),
        pytest.param(answer_and_leave(b"\x00\x01\x02\r\n\r\n"), "protocol", id="garbage"),
        pytest.param(answer_and_leave(b"HTTP/1.1 abc\r\n\r\n"), "protocol", id="no-status"),
        pytest.param(answer_and_leave(b"SSH-2.0-OpenSSH_9.6\r\n"), "protocol", id="another-protocol"),
        pytest.param(answer_and_leave(HEAD + b"a: " + b"x" * 99_999 + b"\r\n\r\n"), "protocol", id="long-header"),
        pytest.param(answer_and_leave(HEAD + b"a: b\r\n" * 200 + b"\r\n"), "protocol", id="too-many-headers"),
        pytest.param(
            answer_and_leave(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), "protocol", id="two-lengths"
        ),
        pytest.param(
            answer_and_leave(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
            "protocol",
            id="not-the-encoding-it-says",
        ),
    ],
)
def test_after_the_first_byte_the_fate_of_a_failed_call_is_unknown(
    serve: Any, make_transport: Any, make_call: Any, script: Any, cause: str, method: str
) -> None:
    event = make_transport(serve(script).url).perform(make_call(method, body={"a": 1}), 2.0)

    assert (event.fate, event.cause) == ("unknown", cause)


def test_a_kept_connection_that_is_reset_is_not_called_refused(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any
) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(http_reply())
        peer.request()
        peer.reset()

    transport = make_transport(serve(script).url)
    transport.perform(make_call(), 2.0)

    event = transport.perform(make_call(), 2.0)

    assert (event.fate, event.cause) == ("unknown", "reset")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda peer: peer.hang(), id="silence"),
        pytest.param(lambda peer: (peer.request(), peer.drip(HEAD + b"x" * 500)), id="one-header-byte-at-a-time"),
        pytest.param(
            lambda peer: (peer.request(), peer.send(sized(500, b"")), peer.drip(b"x" * 500)),
            id="one-body-byte-at-a-time",
        ),
        pytest.param(
            lambda peer: (peer.request(), peer.send(chunked(b"")), peer.drip(b"1\r\nx\r\n" * 99)),
            id="one-chunk-byte-at-a-time",
        ),
    ],
)
def test_no_server_outlasts_the_deadline_of_a_call(
    serve: Any, make_transport: Any, make_call: Any, script: Any
) -> None:
    transport = make_transport(serve(script).url)
    began = time.monotonic()

    event = transport.perform(make_call("POST", body={}), 0.5)

    assert (event.fate, event.cause) == ("unknown", "timeout")
    assert 0.4 < time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(sized(3000, b"x" * 3000), 200, id="with-a-length"),
        pytest.param(chunked(b"bb8\r\n" + b"x" * 3000 + b"\r\n0\r\n\r\n"), 200, id="chunked"),
        pytest.param(HEAD + b"\r\n" + b"x" * 3000, 200, id="until-it-closes"),
        pytest.param(
            b"HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000, 302, id="redirect"
        ),
    ],
)
def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    serve: Any, make_transport: Any, make_call: Any, raw: bytes, status: int
) -> None:
    url = serve(answer_and_leave(raw)).url

    small = make_transport(url, largest=2999).perform(make_call("POST", body={}), 2.0)
    large = make_transport(url, largest=3000).perform(make_call("POST", body={}), 2.0)

    assert (small.fate, small.cause) == ("unknown", "too_large")
    assert large.reply.status == status


def test_a_redirect_that_is_too_large_is_not_waited_for(serve: Any, make_transport: Any, make_call: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 100_000)
        peer.hang()

    event = make_transport(serve(script).url, largest=1000).perform(make_call(), 2.0)

    assert (event.fate, event.cause) == ("unknown", "too_large")


def test_what_counts_is_the_size_after_decompression(serve: Any, make_transport: Any, make_call: Any) -> None:
    bomb = gzip.compress(b"0" * (20 << 20))
    raw = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb

    event = make_transport(serve(answer_and_leave(raw)).url, largest=1 << 20).perform(make_call(), 5.0)

    assert len(bomb) < 1 << 20
    assert (event.fate, event.cause) == ("unknown", "too_large")


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        pytest.param(b"HTTP/1.1 201 X\r\nConnection: close\r\nContent-Length: 100002\r\n\r\n", "x" * 100_000, id="1.1"),
        pytest.param(b"HTTP/1.0 201 X\r\n\r\n", "x" * 100_000, id="1.0"),
    ],
)
def test_an_answer_after_which_the_connection_closes_is_read_to_its_end(
    serve: Any, make_transport: Any, make_call: Any, raw: bytes, body: str
) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(raw)
        peer.server.stopped.wait(0.05)
        peer.send(json.dumps(body).encode())

    event = make_transport(serve(script).url).perform(make_call("POST", body={}), 2.0)

    assert (event.reply.status, event.reply.body) == (201, body)


# -- what is sent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["elsewhere", "http://[", "//x\xff"], ids=["another-port", "no-url", "no-ascii"])
def test_a_redirect_is_an_answer_and_is_not_followed(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any, status: int, where: str
) -> None:
    other = serve(replies(http_reply()))
    location = other.url if where == "elsewhere" else where
    more = f"Location: {location}\r\n".encode("latin-1")
    server = serve(replies(http_reply(b"", status, more=more)))

    event = make_transport(server.url, {"token": "s3cret-text"}).perform(make_call("POST", headers=BEARER), 2.0)

    assert (event.reply.status, event.reply.form) == (status, "empty")
    assert (other.connections, len(server.requests)) == (0, 1)


def moved(where: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} X\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")


@pytest.mark.parametrize(
    ("hops", "follows", "expected", "targets"),
    [
        pytest.param(["/b"], True, 200, ["/a", "/b"], id="one"),
        pytest.param(["b?x=1#y", "../c"], True, 200, ["/a", "/b?x=1", "/c"], id="relative"),
        pytest.param(["/b"] * 5, True, 200, ["/a", *["/b"] * 5], id="five"),
        pytest.param(["/b"] * 6, True, 302, ["/a", *["/b"] * 5], id="six-are-too-many"),
        pytest.param(["/b"], False, 302, ["/a"], id="a-redirect-is-an-answer-of-the-document"),
        pytest.param(["http://127.0.0.1:9/b"], True, 302, ["/a"], id="another-port"),
        pytest.param(["https://127.0.0.1/b"], True, 302, ["/a"], id="another-scheme"),
        pytest.param(["//other.example/b"], True, 302, ["/a"], id="another-host"),
        pytest.param(["http://["], True, 302, ["/a"], id="no-url"),
        pytest.param(["/b\xff"], True, 302, ["/a"], id="no-ascii"),
        pytest.param(["/b\\@other.example"], True, 200, ["/a", "/b%5C@other.example"], id="backslash"),
    ],
)
def test_a_safe_call_follows_a_few_redirects_on_its_own_origin(
    serve: Any,
    make_transport: Any,
    make_call: Any,
    http_reply: Any,
    replies: Any,
    hops: list[str],
    follows: bool,
    expected: int,
    targets: list[str],
) -> None:
    server = serve(replies(*map(moved, hops), http_reply()))
    call = make_call(target="/a", headers=BEARER)
    call = replace(call, request=replace(call.request, follows=follows))

    event = make_transport(server.url, {"token": "s3cret-text"}).perform(call, 2.0)

    assert event.reply.status == expected
    assert [request.split(b" ")[1].decode() for request in server.requests] == targets
    assert all(b"Bearer s3cret-text" in request for request in server.requests)
    assert str(event.reply.url).startswith(server.url + targets[-1].partition("%")[0])


@pytest.mark.parametrize("kind", ["create", "unknown", "idempotent"])
def test_a_call_that_changes_something_follows_no_redirect(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any, kind: Any
) -> None:
    server = serve(replies(moved("/b"), http_reply()))
    call = make_call("GET", kind=kind)
    call = replace(call, request=replace(call.request, follows=True))

    assert make_transport(server.url).perform(call, 2.0).reply.status == 302
    assert len(server.requests) == 1


def test_an_answer_that_unpacks_too_well_is_refused(serve: Any, make_transport: Any, make_call: Any) -> None:
    bomb = gzip.compress(b"0" * (3 << 20))
    raw = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    url = serve(answer_and_leave(raw)).url

    refused = make_transport(url).perform(make_call(), 5.0)
    allowed = make_transport(url, ratio=2000).perform(make_call(), 5.0)

    assert (refused.fate, refused.cause) == ("unknown", "too_large")
    assert "--max-ratio" in refused.message
    assert allowed.reply.form == "undecodable"


def test_what_the_document_accepts_is_not_overruled(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    server = serve(replies(http_reply()))

    make_transport(server.url).perform(make_call(headers=(("accept", "text/csv"),)), 2.0)

    assert [line for line in server.requests[0].lower().split(b"\r\n") if line.startswith(b"accept:")] == [
        b"accept: text/csv"
    ]


def test_nothing_of_the_environment_is_sent_or_called(
    serve: Any,
    make_transport: Any,
    make_call: Any,
    http_reply: Any,
    replies: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    proxy = serve(replies(http_reply()))
    server = serve(replies(http_reply()))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login netrc-user password netrc-password\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")

    make_transport(server.url).perform(make_call(), 2.0)

    assert proxy.connections == 0
    assert b"authorization" not in server.requests[0].lower()


def test_a_cookie_is_not_sent_back(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    server = serve(replies(http_reply(more=b"Set-Cookie: session=1; Path=/\r\n"), http_reply()))
    transport = make_transport(server.url)

    first = transport.perform(make_call(), 2.0)
    transport.perform(make_call(), 2.0)

    assert first.reply.headers["set-cookie"] == "session=1; Path=/"
    assert b"cookie" not in server.requests[1].lower()


def test_polls_share_a_connection_and_a_call_that_must_not_be_repeated_gets_its_own(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    server = serve(replies(*[http_reply()] * 9))
    transport = make_transport(server.url)
    counts = []

    for method, kind in [("GET", "safe")] * 3 + [("POST", "create"), ("GET", "safe"), ("PATCH", "unknown")]:
        transport.perform(make_call(method, kind=kind), 2.0)
        counts.append(server.connections)

    assert counts == [1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    "target",
    ["/a/%2E%2E/b", "/a%2Fb", "/a/./b", "//a", "/a%5C..%5Cb?q=%2F&r=a%20b", "/%7Etilde/~", "/a;b=c,d", "/?x=%23"],
)
def test_the_path_that_is_sent_is_the_one_that_was_planned(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any, target: str
) -> None:
    server = serve(replies(http_reply()))

    event = make_transport(server.url + "/v2").perform(make_call(target=target), 2.0)

    assert server.requests[0].split(b" ")[1].decode() == "/v2" + target
    assert event.reply.url == f"{server.url}/v2{target}"


def test_the_planned_authorization_is_the_only_one(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any, secret: str
) -> None:
    server = serve(replies(http_reply()))
    url = server.url.replace("http://", "http://user:password@")

    make_transport(url, {"token": secret}).perform(make_call(headers=BEARER), 2.0)

    fields = [line for line in server.requests[0].split(b"\r\n") if line.lower().startswith(b"authorization")]
    assert fields == [b"Authorization: Bearer " + secret.encode()]


@pytest.mark.parametrize(
    ("body", "content_type", "sent"),
    [
        pytest.param({"a": [1, None, "é"]}, "application/json", b'{"a": [1, null, "\\u00e9"]}', id="json"),
        pytest.param(None, "application/json", b"null", id="null-is-a-body"),
        pytest.param(MISSING, "", b"", id="no-body"),
        pytest.param("a=1&b=2", "application/x-www-form-urlencoded", b"a=1&b=2", id="form"),
        pytest.param("é", "text/plain", "é".encode(), id="text"),
        pytest.param({"k": [SecretText(("x", SecretRef("token")))]}, "a/b+json", b'{"k": ["xs3cret"]}', id="secret"),
    ],
)
def test_a_body_is_sent_as_its_type_says(
    serve: Any,
    make_transport: Any,
    make_call: Any,
    http_reply: Any,
    replies: Any,
    body: Any,
    content_type: str,
    sent: bytes,
) -> None:
    server = serve(replies(http_reply()))
    call = make_call("POST", body=body, content_type=content_type)

    make_transport(server.url, {"token": "s3cret"}).perform(call, 2.0)

    head, _, seen = server.requests[0].partition(b"\r\n\r\n")
    assert seen == sent
    assert (f"Content-Type: {content_type}".encode() in head) == (body is not MISSING)


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        pytest.param((("X-Key", SecretText((SecretRef("token"),))),), MISSING, " begins-with-a-blank", id="blank"),
        pytest.param((("X-Key", SecretText((SecretRef("token"),))),), MISSING, "s3cret-\u20ac", id="not-latin-1"),
        pytest.param((), float("inf"), "unused-text", id="infinite"),
        pytest.param((), "\ud800", "unused-text", id="half-a-surrogate-pair-in-text"),
    ],
)
def test_what_cannot_be_written_is_not_sent_and_not_quoted(
    serve: Any, make_transport: Any, make_call: Any, replies: Any, headers: Any, body: Any, text: str
) -> None:
    server = serve(replies())
    content_type = "text/plain" if isinstance(body, str) else "application/json"
    call = make_call("POST", headers=headers, body=body, content_type=content_type)

    event = make_transport(server.url, {"token": text}).perform(call, 0.3)

    assert (event.fate, event.cause) == ("not_sent", "unsendable")
    assert text not in repr(event)
    assert server.connections == 0


# -- proxies, certificates, addresses ----------------------------------------------------------------------------------

PEM = str(Path(__file__).parent / "loopback.pem")


def over_tls(sock: Any) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context.wrap_socket(sock, server_side=True)


def test_a_certificate_is_checked_against_the_bundle_that_is_named(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any
) -> None:
    def script(peer: Any) -> None:
        with over_tls(peer.sock) as peer.sock:
            peer.request()
            peer.send(http_reply())

    server = serve(script)
    url = f"https://127.0.0.1:{server.port}"

    refused = make_transport(url).perform(make_call("POST", body={}), 2.0)
    trusted = make_transport(url, {"token": "s3cret-text"}, ca_bundle=PEM).perform(make_call(headers=BEARER), 2.0)

    assert (refused.fate, refused.cause) == ("not_sent", "tls")
    assert trusted.reply.status == 200
    assert b"Bearer s3cret-text" in server.requests[0]


@pytest.mark.parametrize(
    ("scheme", "cause", "flag"),
    [("http", "timeout", "--call-timeout"), ("https", "connect_timeout", "--connect-timeout")],
)
def test_a_call_that_ran_into_a_limit_names_its_flag(
    serve: Any, make_transport: Any, make_call: Any, scheme: str, cause: str, flag: str
) -> None:
    silent = serve(lambda peer: peer.hang())

    event = make_transport(f"{scheme}://127.0.0.1:{silent.port}", connect_timeout=0.2).perform(make_call(), 0.4)

    assert event.cause == cause
    assert flag in event.message


def test_a_call_goes_through_the_proxy_that_is_named(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    proxy = serve(replies(http_reply()))

    event = make_transport("http://api.example/v1", proxy=proxy.url).perform(make_call(target="/a?b=%2F"), 2.0)

    assert event.reply.status == 200
    assert proxy.requests[0].startswith(b"GET http://api.example/v1/a?b=%2F HTTP/1.1\r\n")


def test_a_secure_call_is_a_tunnel_through_the_proxy(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any
) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        with over_tls(peer.sock) as peer.sock:
            peer.request()
            peer.send(http_reply())

    proxy = serve(script)
    url = proxy.url.replace("//", "//me:word@")
    transport = make_transport("https://localhost.example", {"token": "s3cret-text"}, proxy=url, ca_bundle=PEM)

    # The certificate is not of that name, so the tunnel is where it ends: nothing of the call was sent.
    event = transport.perform(make_call("POST", headers=BEARER, body={}), 2.0)

    assert proxy.requests[0].startswith(b"CONNECT localhost.example:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic bWU6d29yZA==" in proxy.requests[0]
    assert (event.fate, event.cause) == ("not_sent", "tls")
    assert not [one for one in proxy.requests if b"s3cret-text" in one]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n", b""], ids=["refuses", "leaves"])
def test_a_proxy_that_lets_nothing_through_means_nothing_was_sent(
    serve: Any, make_transport: Any, make_call: Any, answer: bytes
) -> None:
    proxy = serve(answer_and_leave(answer))

    event = make_transport("https://api.example", proxy=proxy.url).perform(make_call("POST", body={}), 2.0)

    assert event.fate == "not_sent"


def test_calls_to_this_machine_go_around_the_proxy(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    proxy, server = serve(replies(http_reply())), serve(replies(http_reply()))

    make_transport(server.url, proxy=proxy.url).perform(make_call(), 2.0)

    assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.parametrize("inward", [False, True])
def test_a_public_name_that_leads_inside_is_not_followed_there(
    serve: Any, make_call: Any, http_reply: Any, replies: Any, monkeypatch: pytest.MonkeyPatch, inward: bool
) -> None:
    server = serve(replies(http_reply()))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    bases = Bases(lambda *_: f"http://public.example:{server.port}", lambda *_: inward)
    transport = Transport(bases, SecretBook({}), ManualClock(), lambda: 0.5)

    event = transport.perform(make_call("POST", body={}), 2.0)
    transport.close()

    assert (getattr(event, "cause", ""), len(server.requests)) == (("", 1) if inward else ("inward", 0))


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_secrets_are_text_on_the_wire_and_names_everywhere_else(
    serve: Any,
    make_transport: Any,
    make_call: Any,
    http_reply: Any,
    replies: Any,
    secret: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "k/ y&%+" + secret
    # The last header is none: urllib3 would warn of it, and quote the URL.
    odd = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header\r\n\r\n{}"
    server = serve(replies(http_reply()), answer_and_leave(odd))
    target = SecretText(("/things/", SecretRef("key", "percent"), "?k=", SecretRef("key", "percent")))
    call = make_call("POST", target=target, headers=BEARER, body={"env": {"TOKEN": SecretRef("token")}})
    transport = make_transport(server.url, {"token": secret, "key": key})

    events = [transport.perform(call, 2.0), transport.perform(call, 2.0)]

    quoted = "k%2F%20y%26%25%2B" + secret
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == f"/things/{quoted}?k={quoted}".encode()
    assert f"Authorization: Bearer {secret}".encode() in head
    assert json.loads(body) == {"env": {"TOKEN": secret}}
    shown = "".join(f"{one!r}{one}" for one in [*events, call, transport]) + json.dumps([e.to_json() for e in events])
    assert secret not in shown
    assert secret not in caplog.text
    assert str(events[0].reply.url) == f"{server.url}/things/[secret key]?k=[secret key]"


def test_what_other_programs_log_of_their_calls_is_left_alone(
    serve: Any, http_reply: Any, replies: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(replies(http_reply()))

    requests.get(server.url + "/theirs", timeout=2.0).close()

    assert "/theirs" in caplog.text


def test_a_secret_that_is_echoed_comes_back_as_a_reference(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    secret = "se cret/text"
    echo = {"you sent": f"Bearer {secret}!", "list": [secret, 1, None], secret: {"deep": "se%20cret%2Ftext"}}
    more = f"X-Echo: <{secret}>\r\nLocation: /a?k=se%20cret%2Ftext\r\n".encode()
    server = serve(replies(http_reply(json.dumps(echo).encode(), more=more)))

    reply = make_transport(server.url, {"token": secret}).perform(make_call(headers=BEARER), 2.0).reply

    assert reply.body == {
        "you sent": SecretText(("Bearer ", SecretRef("token"), "!")),
        "list": [SecretText((SecretRef("token"),)), 1, None],
        "[secret token]": {"deep": SecretText((SecretRef("token", "percent"),))},
    }
    assert reply.headers["x-echo"] == SecretText(("<", SecretRef("token"), ">"))
    assert reply.headers["location"] == SecretText(("/a?k=", SecretRef("token", "percent")))
    assert secret not in json.dumps(encode(reply.to_json()))


@pytest.mark.parametrize("part", ["headers", "target", "body"])
def test_a_secret_does_not_leave_over_plain_http(
    make_transport: Any, make_call: Any, monkeypatch: pytest.MonkeyPatch, secret: str, part: str
) -> None:
    def connect(*args: Any, **kwargs: Any) -> Any:
        pytest.fail("a connection was made")

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
    values = {
        "headers": BEARER,
        "target": SecretText(("/", SecretRef("token", "percent"))),
        "body": {"a": SecretRef("token")},
    }
    transport = make_transport("http://api.example.com", {"token": secret})

    with pytest.raises(HostError) as caught:
        transport.perform(make_call("POST", **{part: values[part]}), 1.0)

    assert caught.value.code == "AZM-C032"
    assert secret not in f"{caught.value!r} {caught.value}"


def test_a_secret_that_would_climb_the_path_is_refused_before_anything_is_sent(
    serve: Any, make_transport: Any, make_call: Any, replies: Any
) -> None:
    server = serve(replies())
    call = make_call(target=SecretText(("/", SecretRef("token", "percent"), "/x")))

    with pytest.raises(RequestError):
        make_transport(server.url, {"token": "a/../../secret"}).perform(call, 1.0)

    assert server.connections == 0


# -- how an answer is read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "form", "value"),
    [
        pytest.param(b'{"a": [1, 2.5, "\\u00e9"]}', "application/json", "json", {"a": [1, 2.5, "é"]}, id="json"),
        pytest.param(b"[]", "application/problem+json; charset=utf-8", "json", [], id="json-suffix"),
        pytest.param(b"\xef\xbb\xbf1", "application/json", "json", 1, id="byte-order-mark"),
        pytest.param(b'"\\ud83d\\ude00"', "application/json", "json", "\U0001f600", id="surrogate-pair"),
        pytest.param(b"null", "application/json", "json", None, id="null"),
        pytest.param(b'{"a": 1}', "", "json", {"a": 1}, id="no-type-and-json"),
        pytest.param(b"plain", "", "text", "plain", id="no-type-and-no-json"),
        pytest.param(b'{"a": 1}', "text/plain", "text", '{"a": 1}', id="text-stays-text"),
        pytest.param(b"caf\xe9", "text/html", "text", "café", id="text-in-latin-1"),
        pytest.param(b"", "application/json", "empty", None, id="empty"),
        pytest.param(b"", "", "empty", None, id="empty-without-a-type"),
        pytest.param(b"NaN", "application/json", "undecodable", None, id="nan"),
        pytest.param(b"[-Infinity]", "application/json", "undecodable", None, id="infinity"),
        pytest.param(b"[1e999]", "application/json", "undecodable", None, id="a-number-that-overflows"),
        pytest.param(b"1" * 5000, "application/json", "undecodable", None, id="a-number-without-end"),
        pytest.param(b'{"a": "\xff"}', "application/json", "undecodable", None, id="not-utf-8"),
        pytest.param(b'{"a": "\\ud800"}', "application/json", "undecodable", None, id="half-a-surrogate-pair"),
        pytest.param(b'{"\\uDC00": 1}', "application/json", "undecodable", None, id="in-a-name"),
        pytest.param(b"[" * 300 + b"]" * 300, "application/json", "undecodable", None, id="300-deep"),
        pytest.param(b"[" * 100_000, "application/json", "undecodable", None, id="100000-deep"),
        pytest.param(b'{"a": 1', "application/json", "undecodable", None, id="half"),
        pytest.param(b"{'a': 1}", "application/json", "undecodable", None, id="python"),
    ],
)
def test_an_answer_is_read_strictly(
    serve: Any,
    make_transport: Any,
    make_call: Any,
    http_reply: Any,
    replies: Any,
    body: bytes,
    content_type: str,
    form: str,
    value: Any,
) -> None:
    server = serve(replies(http_reply(body, type=content_type)))

    reply = make_transport(server.url).perform(make_call(), 2.0).reply

    assert (reply.form, reply.body) == (form, value)


def test_header_names_are_lower_case_and_several_values_are_one(
    serve: Any, make_transport: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    server = serve(replies(http_reply(more=b"X-A: 1\r\nx-a: 2\r\nRETRY-AFTER: 7\r\n")))

    reply = make_transport(server.url).perform(make_call(), 2.0).reply

    assert (reply.headers["x-a"], reply.headers["retry-after"]) == ("1, 2", "7")


# -- a whole run -------------------------------------------------------------------------------------------------------


@responses.activate(registry=OrderedRegistry, assert_all_requests_are_fired=True)
def test_a_run_makes_the_planned_calls_and_waits_in_order(
    shipped_plan: Any, deploy_inputs: dict[str, Any], secret: str
) -> None:
    api = "https://api.endpoints.huggingface.cloud/v2/endpoint/acme"
    states = ["pending", "initializing", "running"]
    responses.post(api, json={"name": "my-endpoint", "status": {"state": "pending"}}, status=201)
    for state in states:
        responses.get(f"{api}/my-endpoint", json={"status": {"state": state, "url": "https://x.example"}})
    clock = ManualClock()
    runner = Runner(MemoryStore(), clock=clock, chance=lambda: 0.5, secret_texts={"hfToken": secret})

    result = runner.start(shipped_plan, deploy_inputs).result()

    sent = [(call.request.method, call.request.headers["Authorization"]) for call in responses.calls]
    assert sent == [("POST", f"Bearer {secret}"), *[("GET", f"Bearer {secret}")] * 3]
    assert (result.exit_code, result.state, result.calls) == (0, "ready", 4)
    assert result.outputs == {"endpointName": "my-endpoint", "state": "running", "inferenceUrl": "https://x.example"}
    assert clock.waits == [5.0, 7.5]


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        pytest.param(requests.exceptions.ReadTimeout(), "unknown", id="read-timeout"),
        pytest.param(requests.exceptions.ConnectionError(), "unknown", id="connection-error"),
        pytest.param(requests.exceptions.ConnectionError(ConnectionRefusedError()), "not_sent", id="refused"),
    ],
)
@responses.activate
def test_where_no_socket_was_seen_only_a_failure_to_connect_is_proof(
    make_transport: Any, make_call: Any, error: Exception, fate: str
) -> None:
    responses.post("https://api.example.com/", body=error)

    event = make_transport("https://api.example.com").perform(make_call("POST", body={}), 1.0)

    assert isinstance(event, CallFailed)
    assert event.fate == fate
