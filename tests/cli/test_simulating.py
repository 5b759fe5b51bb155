"""``simulate``: the simulator as a process of its own."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

OPEN = build_opener(ProxyHandler({})).open


def visit(port: int, calls: list[tuple[str, str]]) -> list[Any]:
    """Make each call once the server is up; the last one shuts it down."""
    answers: list[Any] = []
    end = time.monotonic() + 20
    while len(answers) < len(calls) and time.monotonic() < end:
        method, path = calls[len(answers)]
        body = b"{}" if method == "POST" else None
        request = Request(f"http://127.0.0.1:{port}{path}", data=body, method=method)
        try:
            with OPEN(request, timeout=5) as answer:
                answers.append(json.load(answer))
        except (URLError, ConnectionError):
            threading.Event().wait(0.01)
    return answers


def test_it_serves_until_it_is_told_to_stop_and_prints_its_url_first(
    machine: Any, closed_port: int, tmp_path: Path
) -> None:
    answers: list[Any] = []
    calls = [("GET", "/v2/provider"), ("GET", "/_simulator/summary"), ("POST", "/_simulator/shutdown")]
    client = threading.Thread(target=lambda: answers.extend(visit(closed_port, calls)))
    client.start()
    options = ["--port", closed_port, "--scenario", "slow-start", "--state", "state.json", "--log", "requests.log"]
    done = machine("simulate", "hugging-face", *options)
    client.join()
    logged = [json.loads(line) for line in (tmp_path / "requests.log").read_text().splitlines()]

    assert done.code == 0
    assert done.out == f"http://127.0.0.1:{closed_port}/v2\n"
    assert answers[1]["creates"] == 0
    assert [one["path"] for one in logged] == ["/v2/provider"]
    assert json.loads((tmp_path / "state.json").read_text())["port"] == closed_port


@pytest.mark.parametrize("service", [[], ["hugging-face"]], ids=["alone", "with-the-service"])
def test_the_scenarios_are_listed_each_with_a_sentence(machine: Any, service: list[str]) -> None:
    done = machine("simulate", *service, "--list")
    names = [line.split()[0] for line in done.out.splitlines()]

    assert done.code == 0
    assert {"happy", "failed-image", "ambiguous-create", "slow-start"} <= set(names)
    assert all(len(line.split()) > 2 for line in done.out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["another-service"], 64, id="service"),
        pytest.param(["hugging-face", "--scenario", "hapy"], 64, id="scenario"),
        pytest.param(["hugging-face", "--profile", "old"], 64, id="profile"),
        pytest.param(["hugging-face", "--port", "70000"], 64, id="port"),
        pytest.param(["hugging-face", "--state", "missing/state.json"], 74, id="state"),
        pytest.param(["hugging-face", "--log", "missing/requests.log"], 74, id="log"),
    ],
)
def test_what_cannot_be_simulated_is_refused(machine: Any, arguments: list[str], code: int) -> None:
    done = machine("simulate", *arguments)

    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("error: ")


def test_a_port_that_is_taken_is_refused(machine: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = machine("simulate", "hugging-face", "--port", taken.getsockname()[1])

    assert done.code == 64
    assert "AZM-U705" in done.err


def test_as_json_its_first_line_is_one_object(machine: Any, closed_port: int) -> None:
    calls = [("POST", "/_simulator/shutdown")]
    client = threading.Thread(target=visit, args=(closed_port, calls))
    client.start()
    done = machine("simulate", "--scenario", "slow-start", "--profile", "live", "--port", closed_port, "--json")
    client.join()
    listed = machine("simulate", "--list", "--json").json["scenarios"]

    assert done.code == 0
    assert done.json == {"url": f"http://127.0.0.1:{closed_port}/v2", "scenario": "slow-start", "profile": "live"}
    assert listed["happy"]
