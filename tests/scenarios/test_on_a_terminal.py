"""Somebody watches on a terminal: one line that is rewritten, cut to fit, and obeying nothing a service says."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from typing import Any

import pytest

pytestmark = pytest.mark.slow

COLUMNS = 60
STYLE = re.compile(r"\x1b\[[0-9;]*m")
REWRITE = "\r\x1b[2K"


def watch(shell: Any, *arguments: object) -> tuple[int, str]:
    """The exit code of a command and what a terminal was sent."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    process = shell.start(*arguments, stderr=theirs).process
    os.close(theirs)
    seen = b""
    with open(mine, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(65536)
            except OSError:
                # How Linux says that the other end of a terminal was closed.
                break
            if not piece:
                break
            seen += piece
    process.communicate()
    return process.returncode, seen.decode()


def test_polls_rewrite_one_line_that_always_fits(shell: Any, deploy: Any) -> None:
    code, seen = watch(shell, "run", *deploy, "--simulate", "slow-start", "--poll-interval", "0s")
    lines = seen.replace("\r\n", "\n").split("\n")
    polling = [line for line in lines if "polling" in line]
    drawn = [STYLE.sub("", one) for line in lines for one in line.split(REWRITE)[1:]]

    assert code == 0
    assert len(polling) == 1
    assert polling[0].count(REWRITE) == 39
    assert [one.split()[0] for one in drawn] == ["createEndpoint", "created", *["polling"] * 39, "ready"]
    assert "looked whether it is" in drawn[0]
    assert max(len(one) for one in drawn) < COLUMNS


def test_the_time_left_counts_down_on_that_line(shell: Any, deploy: Any) -> None:
    code, seen = watch(shell, "run", *deploy, "--simulate", "poll-429-retry-after", "--poll-interval", "0s")

    assert code == 0
    assert "next look in 1 s" in seen


def test_a_service_cannot_move_the_cursor_or_name_the_window(shell: Any, told: Any, deploy: Any) -> None:
    told.state = "\x1b]0;mine\x07\x1b[31mrunning\u202e\x9b2J"
    code, seen = watch(shell, "run", *deploy, "--server", told.url, "--id", "one")
    shown = shell("show", "one", "--why")
    as_json = shell("show", "one", "--json")

    assert code == 11
    assert "mine" in seen
    for text in (STYLE.sub("", seen).replace(REWRITE, ""), shown.out, shown.err, as_json.out):
        assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text)
    assert as_json.json["outputs"]["state"] == told.state
