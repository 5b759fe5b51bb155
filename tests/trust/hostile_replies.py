"""Answers that are cut, lie, never end, or are no HTTP; a server that gives them byte for byte; and what each is.

A trial makes one call, a create or a look, to a server on loopback that answers with these bytes, and compares what
the transport says with the one class the answer belongs to: a status and the form of its body, or the fate of the
request and the word for what went wrong.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from machine.chart.effects import Call
from machine.chart.events import CallFailed
from machine.runtime.http import Transport
from machine.runtime.secrets import SecretBook
from machine.sources.model import Request
from machine.testing.clock import ManualClock
from machine.values import MISSING

__all__ = ["REPLIES", "trial"]

TIMEOUT: Final = 0.4
LARGEST: Final = 1 << 20

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def sized(body: bytes, *, head: bytes = HEAD, size: int | None = None) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % (len(body) if size is None else size) + body


def chunked(body: bytes, *, more: bytes = b"") -> bytes:
    return HEAD + more + b"Transfer-Encoding: chunked\r\n\r\n" + body


def packed(body: bytes, name: bytes = b"gzip") -> bytes:
    return sized(body, head=HEAD + b"Content-Encoding: " + name + b"\r\n")


def _deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _drip(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for byte in sized(b" " * 1000):
            peer.sendall(bytes([byte]))
            time.sleep(0.02)


def _flood(peer: socket.socket) -> None:
    """A body without an end."""
    with contextlib.suppress(OSError):
        peer.sendall(HEAD + b"\r\n")
        while True:
            peer.sendall(b" " * 65536)


def _interim(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


def _headers(peer: socket.socket) -> None:
    """A head without an end."""
    with contextlib.suppress(OSError):
        peer.sendall(HEAD)
        while True:
            peer.sendall(b"x: " + b"y" * 1000 + b"\r\n")


def _hang(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.recv(1)


def _half_and_hang(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.sendall(sized(b'{"a":', size=50))
        peer.recv(1)


def _reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


REPLIES: Final[dict[str, tuple[bytes | Callable[[socket.socket], None], str]]] = {
    # -- nothing, or not to the end
    "closed at once": (b"", "unknown reset"),
    "reset": (_reset, "unknown reset"),
    "silence": (_hang, "unknown timeout"),
    "a byte now and then": (_drip, "unknown timeout"),
    "half a body, then silence": (_half_and_hang, "unknown timeout"),
    "interim answers without an end": (_interim, "unknown timeout"),
    "half a status": (HEAD[:12], "unknown cut"),
    "half a header": (HEAD[:-9], "unknown cut"),
    "no end of the head": (HEAD, "unknown cut"),
    "a shorter body than announced": (sized(b'{"a":', size=50), "unknown cut"),
    "a chunk that is cut": (chunked(b"9\r\n{}"), "unknown cut"),
    "no last chunk": (chunked(b"2\r\n{}\r\n"), "unknown cut"),
    "packed and cut": (packed(gzip.compress(b'{"a": 1}' * 99)[:-20]), "200 undecodable"),
    # -- no HTTP
    "garbage": (b"\x00\x01\x02\r\n\r\n", "unknown protocol"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", "unknown protocol"),
    "http 0.9": (b"<p>hello</p>", "unknown protocol"),
    "a status that is no number": (b"HTTP/1.1 abc OK\r\n\r\n", "unknown protocol"),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", "unknown protocol"),
    "a negative status": (b"HTTP/1.1 -20 OK\r\n\r\n", "unknown protocol"),
    "a chunk size that is none": (chunked(b"zz\r\n{}\r\n0\r\n\r\n"), "unknown protocol"),
    "a negative chunk size": (chunked(b"-5\r\n{}\r\n0\r\n\r\n"), "unknown protocol"),
    "a huge chunk size": (chunked(b"fffffffffffffffffffff\r\n{}"), "unknown cut"),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "unknown protocol"),
    "a length that is none": (HEAD + b"Content-Length: two\r\n\r\n{}", "200 json"),
    "a negative length": (HEAD + b"Content-Length: -2\r\n\r\n{}", "200 json"),
    "a long header": (HEAD + b"a: " + b"x" * 99_999 + b"\r\n\r\n", "unknown protocol"),
    "many headers": (HEAD + b"a: b\r\n" * 200 + b"\r\n", "unknown protocol"),
    "headers without an end": (_headers, "unknown protocol"),
    "packed as it is not": (packed(b"abc"), "unknown protocol"),
    "deflated as it is not": (packed(b"\xff\xff\xff", b"deflate"), "unknown protocol"),
    # -- too much
    "more than is read": (sized(b" " * (LARGEST + 2)), "unknown too_large"),
    "more than is read, in chunks": (
        chunked(b"20000\r\n" + b" " * 0x20000 + b"\r\n" + (b"20000\r\n" + b" " * 0x20000 + b"\r\n") * 9),
        "unknown too_large",
    ),
    "a body without an end": (_flood, "unknown too_large"),
    "a bomb": (packed(gzip.compress(b" " * (16 << 20), 9)), "unknown too_large"),
    "a deflated bomb": (packed(zlib.compress(b" " * (16 << 20), 9), b"deflate"), "unknown too_large"),
    "a bomb in a bomb": (
        packed(gzip.compress(gzip.compress(b" " * (16 << 20), 9), 9), b"gzip, gzip"),
        "unknown too_large",
    ),
    # -- JSON that is none
    "nan": (sized(b'{"a": NaN}'), "200 undecodable"),
    "infinity": (sized(b"[Infinity]"), "200 undecodable"),
    "a number beyond all": (sized(b"1e999"), "200 undecodable"),
    "an integer of 5000 digits": (sized(b"9" * 5000), "200 undecodable"),
    "200000 levels": (sized(_deep(200_000)), "200 undecodable"),
    "201 levels": (sized(_deep(201)), "200 undecodable"),
    "half a surrogate pair": (sized(b'"\\ud800"'), "200 undecodable"),
    "no utf-8": (sized(b'{"a": "\xff"}'), "200 undecodable"),
    "utf-16": (sized('{"a": 1}'.encode("utf-16")), "200 undecodable"),
    "a comma too many": (sized(b"[1,]"), "200 undecodable"),
    "two values": (sized(b"{}{}"), "200 undecodable"),
    "half a value": (sized(b'{"a":'), "200 undecodable"),
    "single quotes": (sized(b"{'a': 1}"), "200 undecodable"),
    "a comment": (sized(b"{} // x"), "200 undecodable"),
    "a byte of zero": (sized(b'"\x00"'), "200 undecodable"),
    "html that says it is json": (sized(b"<html>"), "200 undecodable"),
    "nothing that says it is json": (sized(b""), "200 empty"),
    "keys twice": (sized(b'{"a": 1, "a": 2}'), "200 undecodable"),
    "a prototype": (sized(b'{"__proto__": {"a": 1}, "constructor": 1}'), "200 json"),
    # -- more than was asked for
    "an answer and another": (sized(b"{}") + sized(b"[]"), "200 json"),
    "an interim answer first": (b"HTTP/1.1 102 Processing\r\n\r\n" + sized(b"{}"), "200 json"),
    "a body with a 204": (sized(b"{}", head=b"HTTP/1.1 204 No Content\r\n"), "204 empty"),
    "a redirect to another host": (
        sized(b"", head=b"HTTP/1.1 307 There\r\nLocation: http://169.254.169.254/\r\n"),
        "307 empty",
    ),
    "a redirect to nowhere": (sized(b"", head=b"HTTP/1.1 302 There\r\nLocation: http://[::\r\n"), "302 empty"),
    "a cookie": (sized(b"{}", head=HEAD + b"Set-Cookie: a=b; Domain=127.0.0.1\r\n"), "200 json"),
    "a header that folds": (sized(b"{}", head=HEAD + b"X: a\r\n b\r\n"), "200 json"),
    "a header without a colon": (HEAD + b"no header\r\nContent-Length: 2\r\n\r\n{}", "200 json"),
    "control characters in a header": (sized(b"{}", head=HEAD + b"X: \x1b]0;owned\x07\r\n"), "200 json"),
}
"""Name to the bytes, or who writes them, and the class of it."""


@contextlib.contextmanager
def _serving(answer: bytes | Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that gives every request the same answer."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(5)
    peers: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                peers.append(peer)
                threading.Thread(target=speak, args=(peer,), daemon=True).start()

    def speak(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = peer.recv(65536)
                if not piece:
                    return
                data += piece
            if callable(answer):
                answer(peer)
            else:
                peer.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        # A thread that waits in accept() is not woken by close().
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def trial(name: str, method: str, *, late: float = 0.5) -> list[str]:
    """What is wrong with how one answer was taken; nothing where all is well. ``late`` in seconds."""
    answer, expected = REPLIES[name]
    request = Request(source="api", method=method, target="/things", headers=(), body=MISSING, content_type="")
    call: Any = Call(step="a", request=request, kind="create" if method == "POST" else "safe", not_before=0.0)
    with _serving(answer) as url:
        transport = Transport(lambda *_: url, SecretBook({}), ManualClock(), lambda: 0.5, largest=LARGEST)
        began = time.monotonic()
        try:
            event = transport.perform(call, TIMEOUT)
        except Exception as error:
            return [f"{type(error).__name__} was raised"]
        finally:
            transport.close()
        took = time.monotonic() - began
    if isinstance(event, CallFailed):
        seen = f"{event.fate} {event.cause}"
    else:
        seen = f"{event.reply.status} {event.reply.form}"
    problems = [] if seen == expected else [f"taken for {seen}, is {expected}"]
    return problems + ([f"took {took:.2f} s"] if took > TIMEOUT + late else [])
