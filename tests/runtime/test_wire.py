"""What the sockets report; the calls made through them are in ``test_http.py``."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from machine.runtime.wire import QUIET, Wire, open_session


def test_the_time_of_a_call_runs_out() -> None:
    wire = Wire()
    wire.begin(60.0)
    left = wire.left()
    wire.begin(-1.0)

    assert 59.0 < left <= 60.0
    with pytest.raises(TimeoutError):
        wire.left()


def test_a_session_tells_when_it_tried_connected_and_sent(serve: Any, replies: Any, http_reply: Any) -> None:
    wire = Wire()
    server = serve(replies(http_reply()))
    with open_session(wire) as session:
        wire.begin(5.0)
        before = (wire.tried, wire.connected, wire.sent)
        session.get(server.url, timeout=5).close()

        assert before == (False, False, False)
        assert (wire.tried, wire.connected, wire.sent) == (True, True, True)


def test_a_session_without_a_listener_tried_and_no_more(closed_port: int) -> None:
    wire = Wire()
    with open_session(wire) as session:
        wire.begin(5.0)
        with pytest.raises(OSError, match="refused"):
            session.get(f"http://127.0.0.1:{closed_port}", timeout=5)

    assert (wire.tried, wire.connected, wire.sent) == (True, False, False)


def test_a_session_takes_nothing_from_the_environment_and_keeps_no_cookie(
    serve: Any, replies: Any, http_reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = serve(replies(http_reply(more=b"Set-Cookie: a=1\r\n"), http_reply()))
    wire = Wire()
    with open_session(wire) as session:
        wire.begin(5.0)
        session.get(server.url, timeout=5).close()
        session.get(server.url, timeout=5).close()

    assert b"cookie" not in server.requests[1].lower()


def test_a_quiet_call_is_not_logged(
    serve: Any, replies: Any, http_reply: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(replies(http_reply()))
    wire = Wire()
    token = QUIET.set(True)
    try:
        with open_session(wire) as session:
            wire.begin(5.0)
            session.get(server.url, timeout=5).close()
    finally:
        QUIET.reset(token)

    assert caplog.text == ""


def test_a_write_past_the_deadline_is_not_begun(serve: Any, replies: Any, http_reply: Any) -> None:
    server = serve(replies(http_reply()))
    wire = Wire()
    with open_session(wire) as session:
        wire.begin(0.0)
        time.sleep(0)
        with pytest.raises(OSError, match="deadline"):
            session.get(server.url, timeout=5)

    assert not wire.sent


def test_no_time_left_is_over_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    wire.begin(0.0)

    with pytest.raises(TimeoutError):
        wire.left()


def test_a_wire_that_nobody_began_has_no_time_and_saw_nothing() -> None:
    wire = Wire()

    assert (wire.tried, wire.connected, wire.sent, wire.refused_peer) == (False, False, False, False)
    with pytest.raises(TimeoutError):
        wire.left()
