"""``show`` tells one run in as much detail as is asked for, and changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from machine.cli.app import main

STATES = ["createEndpoint", "created", "polling"]


def test_a_run_is_shown_with_what_it_left_and_what_to_do(machine: Any, deploy: Any) -> None:
    machine(*deploy, "failed-image", "--id", "one")
    lines = machine("show", "one").out.partition("\n\n")[0].splitlines()
    told = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in lines}

    assert told["run"] == "one"
    assert told["state"] == "failed, phase failed"
    assert told["reason"].startswith("broke: pollStatus failed")
    assert "ended" in told["started"]
    assert told["calls"] == "8"
    assert "output    state: failed" in lines
    assert told["effect"].startswith("createEndpoint was applied")
    assert told["next"] == "resume: arazzo-machine resume one"


def test_an_output_that_is_not_known_yet_is_said_to_be(machine: Any, deploy: Any) -> None:
    machine(*deploy, "ambiguous-create", "--on-doubt", "hold", "--id", "one")

    assert "output    endpointName: not known" in machine("show", "one").out.splitlines()


def test_a_run_is_shown_with_how_long_it_stayed_where_and_what_was_answered(machine: Any, deploy: Any) -> None:
    machine(*deploy, "slow-start", "--id", "one")
    head, *rows = machine("show", "one").out.partition("\n\n")[2].splitlines()

    assert head.split() == ["AT", "FOR", "STATE", "SENT", "ANSWER"]
    assert [name for row in rows for name in row.split()[:3] if name in (*STATES, "ready")] == [*STATES, "ready"]
    assert " x 200 in " in rows[3]


def test_why_tells_equal_answers_once_and_what_would_have_moved_it(machine: Any, deploy: Any) -> None:
    machine(*deploy, "scaled-to-zero-mid-wait", "--id", "one")
    done = machine("show", "one", "--why")
    shown = machine("show", "one", "--why", "--json").json

    assert done.code == 0
    assert "polling -> failed, by unmatched" in done.out
    assert "not stillStarting (to polling), which needs $response.body#/status/state == 'pending'" in done.out
    assert "$response.body#/status/state was 'scaledToZero'" in done.out
    assert list(shown) == [*machine("show", "one", "--json").json, "timeline", "history"]
    assert sum(len(stay["answers"]) for stay in shown["timeline"]) < len(shown["history"])
    assert shown["timeline"][-1]["state"] == "failed"


def test_two_ways_to_show_a_run_at_once_are_refused(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "one")

    assert machine("show", "one", "--why", "--token", "--json").json["error"]["code"] == "AZM-U120"


def test_a_run_that_is_not_there_is_refused(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "one")
    done = machine("show", "two", "--json")

    assert done.code == 64
    assert "arazzo-machine runs" in done.json["error"]["next"]


# -- what an answer would do -------------------------------------------------------------------------------------------


def test_what_an_answer_would_do_is_told_and_changes_nothing(machine: Any, deploy: Any, tmp_path: Path) -> None:
    machine(*deploy, "slow-start", "--once", "--id", "one")
    before = machine("show", "one", "--json").json
    (tmp_path / "answer.json").write_text('{"status": 200, "body": {"status": {"state": "running"}}}')
    text = machine("show", "one", "--if-state", "failed")
    from_file = machine("show", "one", "--if", "answer.json", "--json")
    status = machine("show", "one", "--if-status", "404", "--json")

    assert (text.code, from_file.code, status.code) == (0, 0, 0)
    assert text.out.startswith("if GET /endpoint/acme/demo is answered 200 with /status/state failed:\n")
    assert (from_file.json["run"], from_file.json["state"], from_file.json["exit_code"]) == ("one", "ready", 0)
    assert status.json["reason"] == "broke"
    assert machine("show", "one", "--json").json == before


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--if", "answer.json"], "AZM-U124"),
        (["--if", "missing.json"], "AZM-U066"),
        (["--if", "answer.json", "--if-status", "200"], "AZM-U120"),
        (["--why", "--if-status", "200"], "AZM-U120"),
        (["--if-status", "20"], "AZM-U001"),
    ],
    ids=" ".join,
)
def test_an_answer_that_is_none_is_refused(
    machine: Any, deploy: Any, tmp_path: Path, flags: list[str], code: str
) -> None:
    machine(*deploy, "happy", "--once", "--id", "one")
    (tmp_path / "answer.json").write_text('{"status": true}')

    assert machine("show", "one", *flags, "--json").json["error"]["code"] == code


# -- one output --------------------------------------------------------------------------------------------------------

PICTURE = b"\x89PNG\r\n\x00\xff\x1b[2J"


@pytest.fixture
def pictures() -> Iterator[str]:
    """A server that answers every POST with a picture."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(PICTURE)))
            self.end_headers()
            self.wfile.write(PICTURE)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_output_alone_is_printed_as_it_is(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "one")

    assert machine("show", "one", "--print", "endpointName").out == "demo\n"
    assert machine("show", "one", "--print", "state", "--json").json == {
        "run": "one",
        "output": "state",
        "value": "running",
    }
    refused = machine("show", "one", "--print", "nothing", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (64, "AZM-U141")


def test_a_body_that_is_no_text_is_printed_as_its_bytes_and_not_to_a_terminal(
    things: Any, pictures: str, capfdbinary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    main_of = ["run", things(pictures), "-w", "make", "--server", pictures, "--id", "one"]
    with pytest.raises(SystemExit) as ran:
        main(main_of)
    capfdbinary.readouterr()
    with pytest.raises(SystemExit) as shown:
        main(["show", "one", "--print", "thing"])

    assert (ran.value.code, shown.value.code, capfdbinary.readouterr().out) == (0, 0, PICTURE)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(SystemExit) as refused:
        main(["show", "one", "--print", "thing"])

    assert (refused.value.code, b"AZM-U142" in capfdbinary.readouterr().err) == (64, True)
