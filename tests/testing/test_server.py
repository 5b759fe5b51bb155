"""The simulator as other code uses it: started, asked, killed, started again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.errors import UsageError
from machine.testing.scenarios import Fault, Scenario
from machine.testing.server import Simulator

Call = Callable[..., tuple[int, dict[str, str], bytes]]


def state(reply: tuple[int, dict[str, str], bytes]) -> str:
    return str(json.loads(reply[2])["status"]["state"])


def test_the_log_tells_every_request_in_order(call: Call, create_body: dict[str, Any]) -> None:
    with Simulator() as simulator:
        call(f"{simulator.url}/endpoint/acme", "POST", create_body)
        call(f"{simulator.url}/endpoint/acme/my-endpoint?x=1")
        call(f"{simulator.url}/endpoint/acme/my-endpoint", token=None)
        log = simulator.requests

    bearer = {"scheme": "Bearer", "token": "present"}
    path = "/v2/endpoint/acme/my-endpoint"
    assert log == [
        {"n": 1, "method": "POST", "path": "/v2/endpoint/acme", "status": 201, "body": create_body, "auth": bearer},
        {"n": 2, "method": "GET", "path": f"{path}?x=1", "status": 200, "body": None, "auth": bearer},
        {"n": 3, "method": "GET", "path": path, "status": 401, "body": None, "auth": {"scheme": "", "token": "absent"}},
    ]
    assert (simulator.creates, simulator.create_requests) == (1, 1)
    assert (simulator.count("GET"), simulator.count("GET", "/v2/endpoint/acme"), simulator.count("PUT")) == (2, 2, 0)


def test_the_token_is_nowhere_to_be_found(
    call: Call, create_body: dict[str, Any], token: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    create_body["model"]["env"] = {"HF_TOKEN": token}
    with Simulator(token=token, state_file=tmp_path / "state", log_file=tmp_path / "log") as simulator:
        call(f"{simulator.url}/endpoint/acme", "POST", create_body)
        call(f"{simulator.url}/endpoint/acme/my-endpoint?token={token}")
        call(f"{simulator.url}/endpoint/acme", "POST", f"not json {token}".encode())
        call(f"{simulator.url}/endpoint/acme", token=f"{token}-wrong")
        shown = [json.dumps(simulator.requests), call(f"{simulator.origin}/_simulator/requests")[2].decode()]
    shown += [file.read_text() for file in tmp_path.iterdir()]
    shown += [*capfd.readouterr(), repr(simulator)]

    assert [simulator.requests[n]["status"] for n in range(4)] == [201, 200, 400, 401]
    assert not [text for text in shown if token in text]
    assert sum("[token]" in text for text in shown) == 4


def test_an_ambiguous_create_was_really_applied(call: Call, create_body: dict[str, Any]) -> None:
    with Simulator("ambiguous-create") as simulator:
        with pytest.raises(ConnectionResetError):
            call(f"{simulator.url}/endpoint/acme", "POST", create_body)
        polled = call(f"{simulator.url}/endpoint/acme/my-endpoint")
        again = call(f"{simulator.url}/endpoint/acme", "POST", create_body)

    assert (polled[0], state(polled)) == (200, "pending")
    assert again[0] == 409
    assert (simulator.creates, simulator.create_requests) == (1, 2)


@pytest.mark.parametrize("profile", ["published", "live", "legacy"])
def test_url_and_health_route_lead_to_a_live_health_check(
    profile: str, call: Call, create_body: dict[str, Any]
) -> None:
    with Simulator(profile=profile) as simulator:
        call(f"{simulator.url}/endpoint/acme", "POST", create_body)
        polls = [json.loads(call(f"{simulator.url}/endpoint/acme/my-endpoint")[2]) for _ in range(5)]
        health = f"{simulator.origin}/health/my-endpoint/health"
        before = call(health)[0]
        running = json.loads(call(f"{simulator.url}/endpoint/acme/my-endpoint")[2])
        after = call(running["status"]["url"] + running["healthRoute"])[0]

    assert (before, after) == (503, 200)
    assert polls[0]["status"]["url"] == (None if profile == "legacy" else f"{simulator.origin}/health/my-endpoint")


@pytest.mark.parametrize(
    ("scenario", "number", "status", "headers", "start"),
    [
        ("poll-429-retry-after", 2, 429, {"retry-after": "1"}, b'{"error": "Too Many'),
        ("503-html-body", 2, 503, {"content-type": "text/html; charset=utf-8"}, b"<html>"),
        ("token-expired-401-mid-poll", 4, 401, {"content-type": "application/json"}, b'{"error": "A valid'),
        ("happy", 1, 200, {"content-type": "application/json"}, b'{"name": "my-endpoint"'),
    ],
)
def test_faults_come_with_their_headers_and_body(
    scenario: str,
    number: int,
    status: int,
    headers: dict[str, str],
    start: bytes,
    call: Call,
    create_body: dict[str, Any],
) -> None:
    with Simulator(scenario) as simulator:
        call(f"{simulator.url}/endpoint/acme", "POST", create_body)
        replies = [call(f"{simulator.url}/endpoint/acme/my-endpoint") for _ in range(number)]

    assert replies[-1][0] == status
    assert headers.items() <= replies[-1][1].items()
    assert replies[-1][2].startswith(start)


def test_timestamps_can_have_nine_digits(call: Call, create_body: dict[str, Any]) -> None:
    with Simulator("nanosecond-timestamps") as simulator:
        _, _, content = call(f"{simulator.url}/endpoint/acme", "POST", create_body)

    assert json.loads(content)["status"]["createdAt"] == "2026-10-02T12:41:53.263078506Z"


def test_a_simulator_on_an_existing_state_file_goes_on_where_the_last_one_was(
    call: Call, create_body: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "state.json"
    with Simulator("poll-502-burst", state_file=file) as first:
        call(f"{first.url}/endpoint/acme", "POST", create_body)
        early = [call(f"{first.url}/endpoint/acme/my-endpoint")[0] for _ in range(3)]
    with Simulator("poll-502-burst", state_file=file) as second:
        late = [call(f"{second.url}/endpoint/acme/my-endpoint") for _ in range(3)]
        again = call(f"{second.url}/endpoint/acme", "POST", create_body)[0]

    assert (early, [reply[0] for reply in late], again) == ([200, 502, 502], [502, 200, 200], 409)
    assert [state(late[1]), state(late[2])] == ["pending", "initializing"]
    assert [entry["n"] for entry in second.requests] == list(range(1, 9))
    assert (second.creates, second.create_requests, second.url) == (1, 2, first.url)
    assert list(tmp_path.iterdir()) == [file]


def test_the_state_is_on_disk_before_a_reset_is_felt(call: Call, create_body: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with Simulator("ambiguous-create", state_file=file) as simulator:
        with pytest.raises(ConnectionResetError):
            call(f"{simulator.url}/endpoint/acme", "POST", create_body)

        assert json.loads(file.read_text())["creates"] == 1


@pytest.mark.slow
def test_a_killed_process_leaves_a_state_that_another_one_continues(
    call: Call, create_body: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "state.json"
    program = (
        "import sys; from pathlib import Path; from machine.testing.server import Simulator\n"
        "simulator = Simulator(state_file=Path(sys.argv[1])).start()\n"
        "print(simulator.url, flush=True); simulator.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        call(f"{url}/endpoint/acme", "POST", create_body)
        call(f"{url}/endpoint/acme/my-endpoint")
        process.kill()
    with Simulator(state_file=file) as simulator:
        states = [state(call(f"{simulator.url}/endpoint/acme/my-endpoint")) for _ in range(2)]

    assert states == ["pending", "initializing"]
    assert simulator.creates == 1


@pytest.mark.parametrize("how", ["argument", "method", "admin"])
def test_a_renewed_token_ends_the_401s_for_good(
    how: str, call: Call, create_body: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "state.json"
    name = "token-expired-401-mid-poll"
    with Simulator(name, state_file=file) as simulator:
        call(f"{simulator.url}/endpoint/acme", "POST", create_body)
        before = [call(f"{simulator.url}/endpoint/acme/my-endpoint")[0] for _ in range(5)]
        if how == "method":
            simulator.renew_token()
        elif how == "admin":
            call(f"{simulator.origin}/_simulator/renew-token", "POST")
    with Simulator(name, state_file=file, renewed=how == "argument") as simulator:
        after = [state(call(f"{simulator.url}/endpoint/acme/my-endpoint")) for _ in range(3)]

    assert before == [200, 200, 200, 401, 401]
    assert after == ["initializing", "initializing", "running"]


def test_other_processes_can_look_at_it(call: Call, create_body: dict[str, Any]) -> None:
    with Simulator() as simulator:
        call(f"{simulator.url}/endpoint/acme", "POST", create_body)
        call(f"{simulator.url}/endpoint/acme/my-endpoint")
        log = json.loads(call(f"{simulator.origin}/_simulator/requests", token=None)[2])
        summary = json.loads(call(f"{simulator.origin}/_simulator/summary", token=None)[2])
        unknown = call(f"{simulator.origin}/_simulator/nothing")[0]

        assert log == simulator.requests
        assert len(log) == 2
    assert summary == {
        "creates": 1,
        "create_requests": 1,
        "polls": 1,
        "endpoints": {"acme/my-endpoint": "pending"},
    }
    assert unknown == 404


def test_other_processes_can_stop_it(call: Call) -> None:
    with Simulator() as simulator:
        assert not simulator.wait(0)
        assert call(f"{simulator.origin}/_simulator/shutdown", "POST")[0] == 200
        assert simulator.wait(10)
        with pytest.raises(ConnectionRefusedError):
            call(f"{simulator.url}/provider")


def test_a_stopped_simulator_starts_again_on_its_port_with_its_memory(call: Call, create_body: dict[str, Any]) -> None:
    simulator = Simulator()
    with simulator:
        call(f"{simulator.url}/endpoint/acme", "POST", create_body)
        url = simulator.url
        assert simulator.start() is simulator
    simulator.stop()
    with simulator:
        assert (simulator.url, state(call(f"{url}/endpoint/acme/my-endpoint"))) == (url, "pending")


def test_a_port_that_is_taken_is_refused_if_it_was_asked_for_and_else_another_is_found(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with Simulator(state_file=file) as first:
        port = int(first.origin.rpartition(":")[2])
        with pytest.raises(UsageError) as caught:
            Simulator(port=port).start()
        with Simulator(state_file=file) as second:
            assert second.url != first.url

    assert caught.value.code == "AZM-U705"
    assert str(port) in caught.value.seen


@pytest.mark.parametrize("content", ["", "not json", "[]", "{}", '{"format": "other"}', "[" * 100_000])
def test_a_file_that_is_no_state_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        Simulator(state_file=file)

    assert (caught.value.code, caught.value.seen) == ("AZM-U704", str(file))


def test_the_state_of_another_profile_is_refused(tmp_path: Path) -> None:
    with Simulator(state_file=tmp_path / "state.json"):
        pass
    with pytest.raises(UsageError, match="profile published; asked for happy, live"):
        Simulator(profile="live", state_file=tmp_path / "state.json")


def test_an_unknown_scenario_is_refused_before_anything_listens() -> None:
    with pytest.raises(UsageError, match="did you mean happy"):
        Simulator("hapy")


def test_a_log_file_gets_one_line_per_request(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "log"
    with Simulator(log_file=file) as simulator:
        call(f"{simulator.url}/provider")
        call(f"{simulator.url}/provider")

    assert [json.loads(line)["n"] for line in file.read_text().splitlines()] == [1, 2]


def test_of_many_creates_at_once_exactly_one_creates(call: Call, create_body: dict[str, Any]) -> None:
    statuses: list[int] = []
    with Simulator() as simulator:

        def create() -> None:
            statuses.append(call(f"{simulator.url}/endpoint/acme", "POST", create_body)[0])

        threads = [threading.Thread(target=create) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(statuses) == [201] + [409] * 15
    assert [entry["n"] for entry in simulator.requests] == list(range(1, 17))


def test_a_delay_comes_after_the_effect_and_holds_nobody_else_up(call: Call, create_body: dict[str, Any]) -> None:
    slow = Scenario(name="slow", summary="", faults=(Fault(route="create", effect=True, delay=60),))
    with Simulator(slow) as simulator:
        thread = threading.Thread(target=call, args=(f"{simulator.url}/endpoint/acme", "POST", create_body))
        thread.start()
        while not simulator.creates:
            pass
        polled = call(f"{simulator.url}/endpoint/acme/my-endpoint")
    thread.join(10)

    assert state(polled) == "pending"
    assert not thread.is_alive()


@pytest.mark.slow
def test_importing_the_scenarios_and_the_simulator_loads_no_http_server() -> None:
    program = (
        "import sys, machine.testing.scenarios, machine.testing.server\n"
        "print(sorted({'http.server', 'http.client', 'requests', 'ssl', 'email'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
