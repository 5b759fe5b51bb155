"""A look for vulnerabilities that was not made is never taken for a clean one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from audit import UNASKED, Answer, main, read, told

CLEAN: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
BAD: dict[str, Any] = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
SKIPPED: dict[str, Any] = {"name": "c", "skip_reason": "no version"}


@pytest.mark.parametrize(
    ("packages", "dependencies", "found", "unasked"),
    [
        (["a==1"], [CLEAN], (), {}),
        (["a==1", "b==2"], [CLEAN, BAD], ("b 2: PYSEC-1, mended in 3",), {}),
        (["a==1", "c==3"], [CLEAN, SKIPPED], (), {"c==3": "PyPI: no version"}),
        (["a==1", "d==4"], [CLEAN], (), {"d==4": "PyPI: it says nothing of it"}),
    ],
)
def test_what_was_found_and_what_was_not_asked_is_read(
    packages: list[str], dependencies: list[Any], found: Any, unasked: Any
) -> None:
    out = json.dumps({"dependencies": dependencies})

    assert read("pypi", packages, 0, out, "") == Answer(found=found, unasked=unasked)


@pytest.mark.parametrize("out", ["", "[]", "{}", "<html>", '{"dependencies": [{}]}'])
def test_an_answer_that_cannot_be_read_is_no_clean_bill(out: str) -> None:
    answer = read("osv", ["a==1"], 1, out, "a\nConnectionError: no route")

    assert answer == Answer(unasked={"a==1": "OSV: pip-audit ended with 1: ConnectionError: no route"})


@pytest.mark.parametrize(
    ("answers", "code", "lines"),
    [
        ([Answer()], 0, ["2 packages, no known vulnerability"]),
        ([Answer(unasked={"a==1": "PyPI: x"}), Answer()], 0, ["2 packages, no known vulnerability"]),
        ([Answer(found=("b",), unasked={"a==1": "PyPI: x"}), Answer()], 1, ["b"]),
        (
            [Answer(unasked={"a==1": "PyPI: x", "b==2": "PyPI: y"}), Answer(unasked={"a==1": "OSV: z"})],
            UNASKED,
            [
                "NOT ASKED: 1 of 2 packages, so nothing is known about them",
                "  2 packages, such as a==1: PyPI: x",
                "  1 packages, such as a==1: OSV: z",
                "  they are: a==1",
            ],
        ),
    ],
)
def test_what_was_not_asked_is_said_with_its_reasons(answers: list[Answer], code: int, lines: list[str]) -> None:
    assert told(2, answers) == (code, lines)


@pytest.fixture
def osv() -> Iterator[str]:
    """The URL of an OSV that knows of one flaw, in the package ``bad``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["package"]["name"]
            affected = {"package": asked["package"], "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "2"}]}]}
            flaw = {"id": "PYSEC-7", "modified": "2020-01-01T00:00:00Z", "affected": [affected]}
            body = json.dumps({"vulns": [flaw]} if name == "bad" else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.mark.slow
def test_a_service_that_answers_is_believed(osv: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--osv-url", osv, "--only-osv", "good==1.0", "bad==1.0"])

    assert (code, capsys.readouterr().out) == (1, "bad 1.0: PYSEC-7, mended in 2\n")


@pytest.mark.slow
def test_a_service_that_does_not_answer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    # The port of the service "discard", which nobody runs.
    code = main(["--osv-url", "http://127.0.0.1:9", "--only-osv", "good==1.0"])

    assert code == UNASKED
    assert "NOT ASKED: 1 of 1 packages" in capsys.readouterr().out
