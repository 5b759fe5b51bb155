"""Bytes on the wire: keep-alive, cuts, and what malformed requests get."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from machine.testing.hugging_face import Response
from machine.testing.listener import Listener


@contextmanager
def listening(response: Response, seen: list[tuple[str, str, Mapping[str, str], bytes]] | None = None) -> Iterator[int]:
    """A listener that gives one answer to everything; its port."""

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        if seen is not None:
            seen.append((method, path, headers, body))
        return response

    listener = Listener(("127.0.0.1", 0), answer)
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield int(listener.server_address[1])
    finally:
        listener.close()
        thread.join(5)


@contextmanager
def connected(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def spoken(port: int, request: bytes) -> bytes:
    """Everything that comes back for these bytes until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_twenty_requests_share_one_connection() -> None:
    with listening(Response(status=200, body=b"{}")) as port, connected(port) as connection:
        connection.connect()
        before = connection.sock.getsockname()
        for _ in range(20):
            connection.request("POST", "/x", b"{}")
            reply = connection.getresponse()

            assert (reply.status, reply.read()) == (200, b"{}")
        assert connection.sock.getsockname() == before


def test_an_answer_is_one_write_with_exactly_these_headers() -> None:
    response = Response(status=299, headers=(("X-One", "1"),), body=b"body")
    with listening(response) as port:
        answer = spoken(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer == b"HTTP/1.1 299 \r\nX-One: 1\r\nContent-Length: 4\r\n\r\nbody"


def test_a_204_has_no_content() -> None:
    with listening(Response(status=204, body=b"body")) as port:
        answer = spoken(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_a_reset_is_a_connection_error() -> None:
    with listening(Response(status=200, cut="reset")) as port, connected(port) as connection:
        connection.request("POST", "/x", b"{}")
        with pytest.raises(ConnectionResetError):
            connection.getresponse()


def test_a_reset_is_a_tcp_reset_and_not_an_orderly_end() -> None:
    with (
        listening(Response(status=200, cut="reset")) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_truncated_body_ends_before_its_length() -> None:
    with listening(Response(status=200, body=b"0123456789", cut="truncate")) as port, connected(port) as connection:
        connection.request("GET", "/x")
        with pytest.raises(http.client.IncompleteRead) as caught:
            connection.getresponse().read()

    assert caught.value.partial == b"01234"


def test_headers_of_one_name_arrive_joined() -> None:
    seen: list[tuple[str, str, Mapping[str, str], bytes]] = []
    with listening(Response(status=200), seen) as port:
        spoken(port, b"GET /a?b HTTP/1.1\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n")

    method, path, headers, body = seen[0]

    assert (method, path, body) == ("GET", "/a?b", b"")
    assert "Bearer a, Bearer b" in headers.values()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Content-Length: -1", b"400"),
        (b"Content-Length: 1e3", b"400"),
        (b"Content-Length: 1048577", b"413"),
        (b"Content-Length: " + b"9" * 5000, b"413"),
    ],
    ids=["chunked", "negative", "not-a-number", "large", "very-large"],
)
def test_a_body_that_cannot_be_read_is_refused_and_the_connection_closed(headers: bytes, status: bytes) -> None:
    seen: list[tuple[str, str, Mapping[str, str], bytes]] = []
    with listening(Response(status=200), seen) as port:
        answer = spoken(port, b"POST / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in answer
    assert seen == []


@pytest.mark.parametrize(
    "request_bytes", [b"", b"\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"]
)
def test_nothing_is_printed_whatever_a_client_sends(request_bytes: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with listening(Response(status=200)) as port:
        spoken(port, request_bytes)

    assert capfd.readouterr() == ("", "")


def test_closing_ends_a_connection_that_waits_for_its_next_request() -> None:
    with listening(Response(status=200)) as port:
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(65536)

    with client:
        assert client.recv(1) == b""


def test_closing_does_not_wait_for_a_delay() -> None:
    seen: list[tuple[str, str, Mapping[str, str], bytes]] = []
    with listening(Response(status=200, delay=60), seen) as port:
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while not seen:
            pass

    with client:
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
