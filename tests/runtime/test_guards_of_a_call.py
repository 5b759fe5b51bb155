"""What a call does not let through, however it comes by: the guards of the sender, each seen from outside."""

from __future__ import annotations

import gzip
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import responses
from requests import exceptions as failed
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NameResolutionError

from machine.errors import HostError, RequestError
from machine.runtime.hosts import Bases
from machine.runtime.http import TooLarge, Transport, read_body
from machine.runtime.secrets import SecretBook
from machine.runtime.wire import Wire, open_session
from machine.testing.clock import ManualClock
from machine.values import FileRef, SecretRef, SecretText

TOKEN = "s3cret-text"
PARTS: dict[str, Any] = {
    "headers": (("Authorization", SecretText(("Bearer ", SecretRef("token")))),),
    "target": SecretText(("/", SecretRef("token", "percent"))),
    "body": {"a": [SecretRef("token")]},
}


@pytest.fixture
def transport_with() -> Iterator[Callable[..., Transport]]:
    """``transport_with(url, book)`` -> a Transport with that book of secrets."""
    made: list[Transport] = []

    def make(url: Any, book: SecretBook, **options: Any) -> Transport:
        base = url if isinstance(url, Bases) else lambda *_: url
        made.append(Transport(base, book, ManualClock(), lambda: 0.5, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_credential_goes_to_the_origin_it_is_bound_to_and_to_no_other(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any, part: str
) -> None:
    own, other = serve(replies(http_reply())), serve(replies(http_reply()))
    book = SecretBook({"token": TOKEN})
    book.bind("token", frozenset({own.url}))
    call = make_call("POST", **{part: PARTS[part]})

    event = transport_with(own.url, book).perform(call, 2.0)
    with pytest.raises(HostError) as caught:
        transport_with(other.url, book).perform(call, 2.0)

    assert event.reply.status == 200
    assert (caught.value.code, caught.value.seen) == ("AZM-C034", other.url)
    assert (own.connections, other.connections) == (1, 0)
    assert book.bound("token") == {own.url}
    assert TOKEN not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("text/plain", f"it was {TOKEN}, wasn't it", id="text"),
        pytest.param("text/html; charset=latin-1", f"<p>{TOKEN}</p>", id="markup"),
        pytest.param("", f"{TOKEN}", id="no-type"),
        pytest.param("application/json", f'["{TOKEN}"]', id="json"),
        pytest.param("application/json", f'["\\u00733cret-text", "{TOKEN}"]', id="json-escaped"),
    ],
)
def test_a_secret_in_an_answer_is_kept_as_its_name(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any, kind: str, body: str
) -> None:
    server = serve(replies(http_reply(body.encode(), type=kind)))

    event = transport_with(server.url, SecretBook({"token": TOKEN})).perform(make_call(), 2.0)

    assert event.reply.form in ("text", "json")
    assert TOKEN not in repr(event)
    assert "SecretRef" in repr(event.reply.body)


def test_bytes_that_hold_a_secret_are_not_kept_and_others_are(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    bad, good = b"\x00\xff" + TOKEN.encode(), b"\x00\xff"
    server = serve(replies(*(http_reply(one, type=kind) for one, kind in [(bad, ""), (good, ""), (good, "image/png")])))
    transport = transport_with(server.url, SecretBook({"token": TOKEN}))

    held, kept, named = (transport.perform(make_call(), 2.0).reply for _ in range(3))

    assert (held.form, held.body) == ("undecodable", None)
    assert kept.form == named.form == "binary"
    assert isinstance(kept.body, FileRef)
    assert (kept.body.type, named.body.type) == ("application/octet-stream", "image/png")


def test_a_secret_in_the_type_of_an_answer_or_in_where_it_came_from_is_a_name(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    moved = f"Location: /{TOKEN}\r\nX-Echo: {TOKEN}\r\n".encode()
    server = serve(
        replies(
            http_reply(b"\x00\xff", type=f"image/{TOKEN}", more=moved), http_reply(b"", 302, more=moved), http_reply()
        )
    )
    transport = transport_with(f"{server.url}/{TOKEN}", SecretBook({"token": TOKEN}))
    call = make_call(target="/a")
    following = replace(call, request=replace(call.request, follows=True))

    named, further = (transport.perform(one, 2.0).reply for one in (call, following))

    assert (named.status, named.form, further.status) == (200, "binary", 200)
    assert server.requests[0].startswith(f"GET /{TOKEN}/a ".encode())
    assert server.requests[2].startswith(f"GET /{TOKEN} ".encode())
    assert TOKEN not in repr((named, further))
    assert named.body.type == "image/[secret token]"
    assert [SecretRef("token") in one.url.parts for one in (named, further)] == [True, True]


def test_a_text_nobody_has_checked_is_checked_when_it_is_sent(serve: Any, transport_with: Any, make_call: Any) -> None:
    server = serve(lambda peer: peer.hang())
    book = SecretBook({})
    book.note("token", TOKEN + "\r\nX-Evil: 1")

    with pytest.raises(RequestError) as caught:
        transport_with(server.url, book).perform(make_call(headers=PARTS["headers"]), 1.0)

    assert caught.value.code == "AZM-R024"
    assert TOKEN not in f"{caught.value!r} {caught.value}"
    assert server.connections == 0


def test_only_during_a_call_of_ours_is_nothing_logged(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(replies(http_reply(), http_reply()), replies(http_reply()))

    transport_with(server.url, SecretBook({})).perform(make_call(target="/ours"), 2.0)
    requests.get(server.url + "/theirs", timeout=2.0).close()

    assert "/ours" not in caplog.text
    assert "/theirs" in caplog.text


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_bodies_that_are_equal_and_not_the_same_are_each_sent_as_they_are(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    server = serve(replies(*[http_reply()] * 3))
    transport = transport_with(server.url, SecretBook({}))

    for body in ([True], [1], [1.0]):
        transport.perform(make_call("PUT", body=body, kind="idempotent"), 2.0)

    assert [one.partition(b"\r\n\r\n")[2] for one in server.requests] == [b"[true]", b"[1]", b"[1.0]"]


def test_a_request_says_who_asks_and_that_json_is_preferred(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    server = serve(replies(http_reply()))

    transport_with(server.url, SecretBook({})).perform(make_call(), 2.0)

    assert b"\r\nUser-Agent: arazzo-machine\r\nAccept: application/json, */*;q=0.5\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("status", "followed"),
    [(300, False), (301, True), (302, True), (303, True), (304, False), (307, True), (308, True)],
)
def test_a_safe_call_goes_where_an_answer_says_the_resource_is(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any, status: int, followed: bool
) -> None:
    server = serve(replies(http_reply(b"", status, more=b"Location: /b\r\n"), http_reply()))
    call = make_call(target="/a")
    call = replace(call, request=replace(call.request, follows=True))

    event = transport_with(server.url, SecretBook({})).perform(call, 2.0)

    assert (event.reply.status, len(server.requests)) == ((200, 2) if followed else (status, 1))


def test_what_stands_behind_a_hash_is_not_part_of_where_an_answer_is_from(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, replies: Any
) -> None:
    server = serve(replies(http_reply(b"", 302, more=b"Location: /b?x=1#y\r\n"), http_reply()))
    call = make_call(target="/a")
    call = replace(call, request=replace(call.request, follows=True))

    event = transport_with(server.url, SecretBook({})).perform(call, 2.0)

    assert (event.reply.status, event.reply.url) == (200, f"{server.url}/b?x=1")


def test_a_transport_that_is_closed_keeps_no_connection(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any
) -> None:
    left = []

    def script(peer: Any) -> None:
        peer.request()
        peer.send(http_reply())
        left.append(peer.sock.recv(1))

    server = serve(script)
    transport = transport_with(server.url, SecretBook({}))
    transport.perform(make_call(), 2.0)
    transport.close()
    server._threads[-1].join(2.0)

    assert left == [b""]


# -- whom is talked to -------------------------------------------------------------------------------------------------


def test_nothing_was_sent_to_a_public_name_that_leads_inside(
    transport_with: Any, serve: Any, make_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda peer: peer.hang())
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    bases = Bases(lambda *_: f"http://public.example:{server.port}", lambda *_: False)

    event = transport_with(bases, SecretBook({})).perform(make_call("POST", body={}), 2.0)

    assert (event.fate, event.cause) == ("not_sent", "inward")
    assert event.message == "its name leads to an address that is not public; --allow-host allows that"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_peer_is_asked_about_by_its_address_and_the_name_it_was_reached_by(
    serve: Any, http_reply: Any, replies: Any, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    server = serve(replies(http_reply()))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    asked = []
    wire = Wire(peer_is_allowed=lambda *who: asked.append(who) or allowed)  # type: ignore[func-returns-value]
    wire.begin(5.0)

    with open_session(wire) as session:
        if allowed:
            session.get(f"http://Public.Example.:{server.port}", timeout=5).close()
        else:
            with pytest.raises(requests.RequestException):
                session.get(f"http://Public.Example.:{server.port}", timeout=5)

    assert asked == [("127.0.0.1", "public.example")]
    assert (wire.refused_peer, wire.sent) == (not allowed, allowed)


def test_a_socket_to_a_peer_that_is_not_allowed_is_closed(serve: Any) -> None:
    server = serve(lambda peer: peer.hang())

    with (
        socket.create_connection(("127.0.0.1", server.port)) as sock,
        pytest.raises(PermissionError),
    ):
        Wire(peer_is_allowed=lambda *_: False).check_peer(sock, "name")

    assert sock.fileno() == -1
    assert server.requests == []


# -- what is read ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interim", "status"),
    [
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 200, id="103"),
        pytest.param(b"HTTP/1.1 102 Processing\r\nContent-Type: text/plain\r\n\r\n" * 2, 200, id="102-twice"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", 200, id="100"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 X\r\nA: b\r\n\r\n", 200, id="100-and-199"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, id="101-is-the-answer"),
    ],
)
def test_what_comes_before_an_answer_is_not_taken_for_it(
    serve: Any, transport_with: Any, make_call: Any, http_reply: Any, interim: bytes, status: int
) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(interim + http_reply(b"[1]"))

    event = transport_with(serve(script).url, SecretBook({})).perform(make_call("POST", body={}), 2.0)

    assert event.reply.status == status
    assert status == 101 or (event.reply.form, event.reply.body) == ("json", [1])


class Unpacked:
    """An answer that came to so many bytes on the wire, and unpacks to these pieces."""

    def __init__(self, wire: int, *sizes: int) -> None:
        self.raw = SimpleNamespace(tell=lambda: wire)
        self.sizes = sizes

    def __enter__(self) -> Unpacked:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def iter_content(self, size: int) -> Iterator[bytes]:
        yield from (b"x" * one for one in self.sizes)


FREE = 1 << 20


@pytest.mark.parametrize(
    ("wire", "sizes", "flag"),
    [
        pytest.param(10, [FREE], "", id="a-mebibyte-of-nothing"),
        pytest.param(10, [FREE, 1], "--max-ratio", id="a-byte-more"),
        pytest.param(FREE // 2, [FREE, FREE // 2], "", id="at-the-ratio"),
        pytest.param(FREE // 2, [FREE, FREE // 2, 1], "--max-ratio", id="over-the-ratio"),
        pytest.param(FREE, [FREE, FREE], "", id="at-the-size"),
        pytest.param(FREE, [FREE, FREE, 1], "--max-reply", id="over-the-size"),
    ],
)
def test_an_answer_over_its_size_or_its_ratio_is_refused(wire: int, sizes: list[int], flag: str) -> None:
    answer: Any = Unpacked(wire, *sizes)

    if flag:
        with pytest.raises(TooLarge, match=flag):
            read_body(answer, 2 * FREE, 3)
    else:
        assert len(read_body(answer, 2 * FREE, 3)) == sum(sizes)


def test_an_answer_that_is_gzip_is_read_as_what_is_in_it(serve: Any, transport_with: Any, make_call: Any) -> None:
    packed = gzip.compress(b'{"a": 1}')
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"

    def script(peer: Any) -> None:
        peer.request()
        peer.send(head % len(packed) + packed)

    event = transport_with(serve(script).url, SecretBook({})).perform(make_call(), 2.0)

    assert event.reply.body == {"a": 1}


# -- what is known of a call that failed -------------------------------------------------------------------------------


def in_a_ring() -> Exception:
    one, two = failed.ConnectionError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    return one


@pytest.mark.parametrize(
    ("error", "fate", "cause", "message"),
    [
        pytest.param(failed.SSLError(), "not_sent", "tls", "the secure connection could not be made", id="tls"),
        pytest.param(
            failed.ConnectionError(NameResolutionError("h", HTTPConnection("h"), socket.gaierror())),
            *("not_sent", "dns", "the host's name could not be resolved"),
            id="dns",
        ),
        pytest.param(
            failed.ConnectionError(ConnectionRefusedError()),
            *("not_sent", "refused", "the connection could not be made"),
            id="refused",
        ),
        pytest.param(
            failed.ConnectTimeout(), "not_sent", "connect_timeout", "connecting took too long", id="connect-timeout"
        ),
        pytest.param(failed.Timeout(), "unknown", "timeout", "the answer took too long", id="timeout"),
        pytest.param(failed.ChunkedEncodingError(), "unknown", "cut", "the answer ended in the middle", id="cut"),
        pytest.param(failed.ConnectionError(), "unknown", "protocol", "the answer was not HTTP", id="protocol"),
        pytest.param(ValueError(), "not_sent", "unsendable", "the request could not be written", id="unsendable"),
        pytest.param(in_a_ring(), "unknown", "protocol", "the answer was not HTTP", id="causes-in-a-ring"),
    ],
)
@responses.activate
def test_where_no_socket_was_seen_what_failed_is_told_by_its_kind(
    transport_with: Any, make_call: Any, error: Exception, fate: str, cause: str, message: str
) -> None:
    responses.post("https://api.example.com/", body=error)

    event = transport_with("https://api.example.com", SecretBook({})).perform(make_call("POST", body={}), 1.0)

    assert (event.fate, event.cause) == (fate, cause)
    assert event.message.startswith(message)


def test_a_connection_that_ends_before_an_answer_says_so(serve: Any, transport_with: Any, make_call: Any) -> None:
    server = serve(lambda peer: (peer.request(), peer.reset()))

    event = transport_with(server.url, SecretBook({})).perform(make_call("POST", body={}), 2.0)

    assert (event.fate, event.cause) == ("unknown", "reset")
    assert event.message == "the connection was closed before an answer came"
