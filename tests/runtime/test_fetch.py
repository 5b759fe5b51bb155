from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.runtime.fetch import Fetcher

PEM = str(Path(__file__).parent / "loopback.pem")
TEXT = b"openapi: 3.1.0\n"


def ok(body: bytes = TEXT, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (more, len(body), body)


def moved(where: str) -> bytes:
    return f"HTTP/1.1 302 X\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()


def secure(*raws: bytes) -> Callable[[Any], None]:
    """A script that answers over TLS."""

    def script(peer: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PEM)
        with context.wrap_socket(peer.sock, server_side=True) as peer.sock:
            for raw in raws:
                if not peer.request():
                    return
                peer.send(raw)
            peer.hang()

    return script


def test_a_source_is_fetched_from_a_host_that_is_named(serve: Any, replies: Any) -> None:
    server = serve(replies(ok()))

    assert Fetcher(["127.0.0.1"]).read(server.url + "/api.yaml?x=1") == TEXT
    head = server.requests[0].lower()
    assert head.startswith(b"get /api.yaml?x=1 ")
    assert b"authorization" not in head
    assert b"cookie" not in head


def test_a_source_is_fetched_over_tls_with_certificates_that_are_named(serve: Any) -> None:
    server = serve(secure(ok()))
    url = f"https://127.0.0.1:{server.port}/api.yaml"

    with pytest.raises(OSError, match="SSLError"):
        Fetcher(["127.0.0.1"]).read(url)
    assert Fetcher(["127.0.0.1"], ca_bundle=PEM).read(url) == TEXT


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:9/a", "--allow-source 127.0.0.1"),
        ("https://other.example/a", "--allow-source other.example"),
        ("http://allowed.example/a", "only https"),
        ("https://allowed.example.evil.example/a", "--allow-source"),
        ("https://allowed.example@evil.example/a", "name or password"),
        ("https://user:word@allowed.example/a", "name or password"),
        ("https://[", "not a URL"),
        ("https:///a", "not a URL"),
        ("ftp://allowed.example/a", "not a URL"),
        ("file:///etc/passwd", "not a URL"),
    ],
)
def test_other_urls_are_refused_before_anything_is_sent(url: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **rest: pytest.fail("a name was resolved"))

    with pytest.raises(OSError, match=why):
        Fetcher(["allowed.example"]).read(url)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"]
)
def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(
    serve: Any, replies: Any, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    fetcher = Fetcher(["public.example"])

    assert not fetcher._peer_is_allowed(address, "public.example")
    assert fetcher._peer_is_allowed("93.184.216.34", "public.example")


def test_a_name_that_was_public_a_moment_ago_is_refused_at_the_socket(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(secure(ok()))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))

    with pytest.raises(OSError, match="not a public one"):
        Fetcher(["public.example"], ca_bundle=PEM).read(f"https://public.example:{server.port}/a")

    assert server.requests == []


def test_a_redirect_stays_on_its_host(serve: Any, replies: Any) -> None:
    other = serve(replies(ok()))
    good, bad = serve(replies(moved("/b"), ok())), serve(replies(moved(other.url + "/b")))
    endless = serve(replies(*[moved("/b")] * 9))
    fetcher = Fetcher(["127.0.0.1"])

    assert fetcher.read(good.url + "/a") == TEXT
    with pytest.raises(OSError, match="redirects to another host"):
        fetcher.read(bad.url + "/a")
    with pytest.raises(OSError, match="too often"):
        fetcher.read(endless.url + "/a")
    assert other.requests == []


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        pytest.param(ok(b"x" * 2000), "larger than 1000", id="large"),
        pytest.param(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", "answered 404", id="not-there"),
        pytest.param(b"garbage\r\n\r\n", "cannot be fetched", id="garbage"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", "cannot be fetched", id="cut"),
    ],
)
def test_what_does_not_arrive_whole_is_an_error_with_a_sentence(serve: Any, raw: bytes, why: str) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(raw)

    with pytest.raises(OSError, match=why):
        Fetcher(["127.0.0.1"], largest=1000).read(serve(script).url + "/a")


def test_a_server_that_says_nothing_is_given_up(serve: Any) -> None:
    with pytest.raises(OSError, match="cannot be fetched"):
        Fetcher(["127.0.0.1"], timeout=0.2).read(serve(lambda peer: peer.hang()).url + "/a")
