"""``run`` and ``resume``: how inputs, servers, secrets, stores, policies and tokens are given and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from machine.stores.sqlite import SqliteStore
from machine.testing.server import Simulator


@pytest.fixture
def made(machine: Any, things: Callable[..., str], closed_port: int) -> Callable[..., Any]:
    """``made("-i", "size=3")`` -> the inputs a run of the small document began with; its server is down."""

    def run(*arguments: object) -> Any:
        server = f"http://127.0.0.1:{closed_port}"
        done = machine("run", things(), "-w", "make", "--server", server, *arguments, "--json")
        assert done.code == 10, done.err
        history = machine("show", done.json["run"], "--why", "--json").json["history"]
        return history[0]["event"]["inputs"]

    return run


# -- inputs ------------------------------------------------------------------------------------------------------------


def test_inputs_come_as_texts_variables_files_and_commands(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZE", "3")
    (tmp_path / "label.txt").write_text("from a file\n")

    assert made("-i", "label=plain", "-i", "size=@env:SIZE") == {"label": "plain", "size": 3}
    assert made("-i", "label=@file:label.txt") == {"label": "from a file"}
    assert made("-i", "label=@cmd:echo from; echo a command") == {"label": "from\na command"}
    assert made("-i", "label=@@env:SIZE") == {"label": "@env:SIZE"}
    assert made("-i", "label=") == {"label": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("size=-7", {"size": -7}, id="integer"),
        pytest.param("fast=true", {"fast": True}, id="boolean"),
        pytest.param('parts=["a", {"b": 1}]', {"parts": ["a", {"b": 1}]}, id="array"),
        pytest.param("label=7", {"label": "7"}, id="a-string-of-digits"),
    ],
)
def test_a_text_becomes_what_the_document_declares(made: Any, text: str, value: Any) -> None:
    assert made("-i", text) == value


@pytest.mark.parametrize("text", ["size=many", "size=1.5", "fast=perhaps", "parts=a,b"])
def test_a_text_that_cannot_become_that_is_refused(machine: Any, things: Any, tmp_path: Path, text: str) -> None:
    done = machine("run", things(), "-w", "make", "-i", text, "--json")

    assert done.code == 65
    assert done.json["error"]["code"].startswith("AZM-I")
    assert text.partition("=")[0] in done.json["error"]["message"]
    assert not (tmp_path / "runs.db").exists()


def test_a_file_of_inputs_is_read_and_the_line_wins(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL", "from the environment")
    (tmp_path / "inputs.yaml").write_text("size: 3\nfast: false\nlabel: '@env:LABEL'\nparts: ['@env:LABEL']\n")
    (tmp_path / "inputs.json").write_text('{"size": 4, "label": "@@x"}')

    assert made("--inputs", "inputs.yaml", "-i", "size=5") == {
        "size": 5,
        "fast": False,
        "label": "from the environment",
        "parts": ["@env:LABEL"],
    }
    assert made("--inputs", "inputs.json") == {"size": 4, "label": "@x"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(None, 64, id="missing"),
        pytest.param("- 1", 64, id="a-list"),
        pytest.param("a: 1\na: 2", 65, id="a-name-twice"),
        pytest.param("a: [", 65, id="no-yaml"),
    ],
)
def test_a_file_that_is_no_file_of_inputs_is_refused(
    machine: Any, things: Any, tmp_path: Path, content: str | None, code: int
) -> None:
    if content is not None:
        (tmp_path / "inputs.yaml").write_text(content)
    done = machine("run", things(), "-w", "make", "--inputs", "inputs.yaml", "--json")

    assert done.code == code
    assert "inputs" in json.dumps(done.json["error"])


def test_a_missing_input_is_named_with_the_flag_that_gives_it(machine: Any) -> None:
    done = machine("run", "deploy-inference-endpoint", "--simulate", "-i", "namespace=acme")

    assert done.code == 65
    assert "missing inputs: name, repository" in done.err
    assert "-i name=VALUE -i repository=VALUE" in done.err


def test_an_undeclared_input_is_passed_on_with_a_warning(machine: Any, deploy: Any) -> None:
    done = machine(*deploy, "-i", "nmae=demo")

    assert done.code == 0
    assert "warning: input 'nmae' is not declared" in done.err


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_the_text_of_a_secret_is_refused_with_the_corrected_line(machine: Any, deploy: Any, tmp_path: Path) -> None:
    (tmp_path / "inputs.yaml").write_text("hfToken: hf_a-token\n")
    for arguments in (["-i", "hfToken=hf_a-token"], ["--inputs", "inputs.yaml"]):
        done = machine(*deploy, "happy", *arguments)

        assert done.code == 64
        assert "give a reference: -i hfToken=@env:HF_TOKEN" in done.err
        assert "hf_a-token" not in done.out + done.err


def test_a_secret_that_cannot_be_had_stops_everything_before_a_run_exists(machine: Any, deploy: Any) -> None:
    done = machine(*deploy[:-1], "-i", "hfToken=@env:UNSET", "--json")

    assert done.code == 78
    assert done.json["error"]["code"] == "AZM-C020"
    assert machine("runs", "--json").json == {"runs": []}


def test_a_run_whose_secret_has_gone_stays_resumable_and_takes_another_reference(
    machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Simulator("token-expired-401-mid-poll") as simulator:
        monkeypatch.setenv("ONE", "a token of tests")
        begun = machine(*deploy[:-1], "--server", simulator.url, "-i", "hfToken=@env:ONE", "--json")
        monkeypatch.delenv("ONE")
        unset = machine("resume", "--json")
        still = machine("runs", "--json").json["runs"]
        literal = machine("resume", "-i", "hfToken=hf_a-token")
        other = machine("resume", "-i", "name=other")
        simulator.renew_token()
        monkeypatch.setenv("TWO", "another token of tests")
        resumed = machine("resume", "-i", "hfToken=@env:TWO", "--json")

    assert begun.code == 14
    assert "was refused" in begun.json["message"]
    assert unset.code == 14
    assert unset.json["error"]["code"] == "AZM-C020"
    assert [one["resumable"] for one in still] == [True]
    assert literal.code == 64
    assert "-i hfToken=@env:" in literal.err
    assert "hf_a-token" not in literal.err
    assert other.code == 64
    assert "'name' is not a secret input" in other.err
    assert resumed.code == 0
    assert simulator.creates == 1


def test_nobody_is_asked_where_there_is_no_terminal(machine: Any, deploy: Any) -> None:
    for name in ("hfToken", "region"):
        done = machine(*deploy[:-1], "-i", "hfToken=@env:HOME", "-i", f"{name}=@prompt", "--json")

        assert done.code == 78
        assert done.json["error"]["code"] == "AZM-C022"
        assert f"-i {name}=@env:VARIABLE" in done.json["error"]["next"]


def test_a_secret_is_asked_for_by_name(machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def prompt(name: str, **how: object) -> str:
        asked.append((name, how))
        return "a token of tests"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", prompt)
    with Simulator("happy", token="a token of tests") as simulator:
        done = machine(*deploy[:-1], "--server", simulator.url, "-i", "hfToken=@prompt")

    assert done.code == 0
    assert asked == [("hfToken", {"hide_input": True, "err": True})]
    assert "secret hfToken (@prompt) goes to 127.0.0.1:" in done.err


# -- where calls go ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:9", "http://localhost:9", "http://10.0.0.7", "http://169.254.169.254/latest"]
)
def test_an_inward_server_of_a_description_is_refused_until_it_is_named(machine: Any, things: Any, server: str) -> None:
    done = machine("run", things(server), "-w", "make", "--json")

    assert done.code == 78
    assert done.json["error"]["code"] == "AZM-C031"
    assert f"--server things={server}" in done.json["error"]["next"]


def test_an_inward_server_is_called_once_its_host_is_allowed(machine: Any, things: Any, closed_port: int) -> None:
    document = things(f"http://127.0.0.1:{closed_port}")
    done = machine("run", document, "-w", "make", "--allow-host", "127.0.0.1", "--json")
    other = machine("run", document, "-w", "make", "--allow-host", "127.0.0.2")

    assert done.code == 10
    assert "the connection could not be made" in done.json["message"]
    assert other.code == 78


def test_a_server_is_named_for_a_source_that_is_called(machine: Any, things: Any, closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    command = ["run", things(), "-w", "make", "--server"]

    assert machine(*command, f"things={url}").code == 10
    assert machine(*command, url).code == 10
    assert machine(*command, f"other={url}").code == 64
    assert machine(*command, "ftp://things.example.com").code == 78


# -- documents ---------------------------------------------------------------------------------------------------------


def test_several_workflows_are_listed_and_one_is_to_be_chosen(machine: Any, things: Any) -> None:
    unnamed = machine("run", things(), "--json")
    unknown = machine("run", things(), "-w", "mkae", "--json")

    assert (unnamed.code, unknown.code) == (64, 64)
    for done in (unnamed, unknown):
        assert {"make", "remake"} <= set(json.dumps(done.json).replace(",", " ").replace('"', " ").split())


def test_an_unknown_source_is_refused_with_those_there_are(machine: Any, things: Any) -> None:
    done = machine("run", things(), "-w", "make", "--source", "thigns=things.yaml")

    assert done.code == 64
    assert "its source descriptions are: things" in done.err


def test_what_a_document_is_read_as_is_noted_unless_json_or_quiet(
    machine: Any, users_arguments: Any, deploy: Any
) -> None:
    inputs = [*deploy[2:], "failed-image", "-i", "instanceType=intel-spr", "-i", "instanceSize=x2"]
    command = ["run", *users_arguments, *inputs]

    assert "note: " in machine(*command).err
    assert "note: " not in machine(*command, "--json").err
    quiet = machine(*command, "-q").err
    assert "note: " not in quiet
    assert "polling" not in quiet
    assert "createEndpoint sends POST /endpoint/acme" in quiet


# -- simulating --------------------------------------------------------------------------------------------------------


def test_a_scenario_or_profile_that_does_not_exist_leaves_nothing_behind(machine: Any, deploy: Any) -> None:
    scenario = machine(*deploy, "hapy", "--json")
    profile = machine(*deploy, "happy", "--profile", "liev", "--json")

    assert (scenario.code, profile.code) == (64, 64)
    assert "did you mean happy" in scenario.json["error"]["message"]
    assert "did you mean live" in profile.json["error"]["message"]
    assert machine("runs", "--json").json == {"runs": []}


def test_a_simulation_needs_no_token_and_does_not_wait(machine: Any, deploy: Any, tmp_path: Path) -> None:
    pace = deploy.index("--poll-interval") + 1
    for given, used in (("1h", 0.45), ("10ms", 0.01)):
        deploy[pace] = given
        done = machine(*deploy, "ambiguous-create", "--on-doubt", "hold", "--json")
        with SqliteStore(tmp_path / "runs.db", read_only=True) as store:
            stored = store.load(done.json["run"])

        assert done.code == 13
        assert stored.snapshot.settings.poll_interval == used
        assert stored.head.options["secrets"] == {"hfToken": "@env:SIMULATED_HFTOKEN"}


def test_a_simulation_whose_state_cannot_be_kept_is_refused(machine: Any, deploy: Any, tmp_path: Path) -> None:
    (tmp_path / "runs.db.simulator").write_text("in the way")
    done = machine(*deploy, "--json")

    assert done.code == 74
    assert done.json["error"]["code"] == "AZM-T082"


def test_a_run_is_not_moved_from_the_simulator_to_the_service(
    machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "a token of tests")
    machine(*deploy, "failed-image", "--id", "one")
    done = machine(*deploy[:-1], "--id", "one", "--server", "http://127.0.0.1:9", "--json")

    assert done.code == 65
    assert "against the simulator" in done.json["error"]["message"]
    assert "arazzo-machine resume one" in done.json["error"]["next"]


# -- ids, stores and logs ----------------------------------------------------------------------------------------------


def test_a_profile_without_the_simulator_is_refused_because_it_would_cost_money(machine: Any, deploy: Any) -> None:
    done = machine(*deploy[:-1], "--profile", "live", "--json")

    assert done.code == 64
    assert "the real service" in done.json["error"]["message"]


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "x" * 129, "a b"])
def test_an_id_that_is_empty_or_no_file_name_is_refused(machine: Any, deploy: Any, run_id: str) -> None:
    assert machine(*deploy, "happy", "--id", run_id).code == 64


def test_commands_that_are_printed_name_the_store_they_need(machine: Any, deploy: Any, tmp_path: Path) -> None:
    done = machine(*deploy, "ambiguous-create", "--on-doubt", "hold", "--id", "one", "--store", "other.db")
    shown = machine("show", "one", "--store", "other.db", "--json").json

    assert done.code == 13
    assert "arazzo-machine resume one --store other.db" in done.err
    assert "resolve: arazzo-machine resolve one --store other.db\n" in done.err
    assert "--store other.db" in shown["next"]["command"]
    assert not (tmp_path / "runs.db").exists()


def test_a_log_is_one_line_of_json_per_record(machine: Any, deploy: Any, tmp_path: Path) -> None:
    machine(*deploy, "happy", "--log", "run.log", "--json")
    to_stderr = machine(*deploy, "happy", "--log", "-", "-q").err
    logged = [json.loads(line) for line in (tmp_path / "run.log").read_text().splitlines()]

    assert [one["event"] for one in logged] == ["run.started", *["call.replied"] * 8]
    assert logged[-1]["stop"] == "ended"
    assert sum(line.startswith("{") for line in to_stderr.splitlines()) == 9


def test_a_log_that_cannot_be_written_stops_the_command_before_anything_is_sent(machine: Any, deploy: Any) -> None:
    done = machine(*deploy, "happy", "--log", "missing/run.log", "--json")

    assert done.code == 74
    assert done.json["error"]["code"] == "AZM-T081"
    assert machine("runs", "--json").json == {"runs": []}


# -- resume ------------------------------------------------------------------------------------------------------------


def test_a_bare_resume_takes_the_only_run_that_can_go_on(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "ready")
    machine(*deploy, "ambiguous-create", "--on-doubt", "hold", "--id", "doubtful")
    machine(*deploy, "happy", "--profile", "live", "--id", "later")

    assert machine("resume", "--json").json["run"] == "doubtful"


def test_a_bare_resume_asks_which_of_several(machine: Any, deploy: Any) -> None:
    for number in range(2):
        machine(*deploy, "failed-image", "--id", f"run{number}")
    done = machine("resume", "--json")

    assert done.code == 64
    assert done.json["error"]["message"] == "2 runs can be resumed"
    assert set(done.json["error"]["seen"].split(", ")) == {"run0 (failed)", "run1 (failed)"}
    assert done.json["error"]["next"].startswith("name one: arazzo-machine resume run")


def test_a_bare_resume_with_nothing_to_resume_repeats_the_latest_result(machine: Any, deploy: Any) -> None:
    first = machine(*deploy, "happy", "--json").json
    again = machine("resume", "--json")
    machine(*deploy, "duplicate-409", "--id", "refused")
    refused = machine("resume", "--json")

    assert (again.code, again.json) == (0, first)
    assert (refused.code, refused.json["run"], refused.json["resumable"]) == (10, "refused", False)


def test_a_bare_resume_of_an_empty_store_is_refused(machine: Any) -> None:
    done = machine("resume", "--json")

    assert done.code == 64
    assert done.json["error"]["next"]


def test_a_run_is_named_by_the_beginning_of_its_id(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "alpha-1")
    machine(*deploy, "happy", "--id", "alpha-2")

    assert machine("resume", "alpha-1", "--json").json["run"] == "alpha-1"
    assert machine("resume", "alpha", "--json").code == 64
    assert machine("resume", "beta", "--json").code == 64
    # Not the same as no id: a variable that was not set names no run.
    assert machine("resume", "", "--json").code == 64


def test_limits_can_be_raised_when_a_run_is_resumed(machine: Any, deploy: Any) -> None:
    stopped = machine(*deploy, "slow-start", "--visits", "3", "--json")
    resumed = machine("resume", "--visits", "100", "--deadline", "5m", "--json")

    assert (stopped.code, stopped.json["reason"]) == (12, "visits")
    assert resumed.code == 0


# -- policies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "what"), [("probe", "a probe"), ("reissue", "an idempotency key")])
def test_a_policy_the_document_declares_nothing_for_is_refused_before_anything_is_sent(
    machine: Any, users_arguments: Any, deploy: Any, policy: str, what: str
) -> None:
    sizes = ["-i", "instanceType=intel-spr", "-i", "instanceSize=x2"]
    command = ["run", *users_arguments, *deploy[2:], "ambiguous-create", *sizes, "--id", "one", "--json"]
    refused = machine(*command, "--on-doubt", policy)
    none = machine("runs", "--json").json["runs"]
    held = machine(*command)
    resumed = machine("resume", "one", "--on-doubt", policy, "--json")

    assert (refused.code, resumed.code, held.code) == (64, 64, 13)
    for done in (refused, resumed):
        assert done.json["error"]["code"] == "AZM-U077"
        assert f"declares {what}" in done.json["error"]["message"]
        assert "--overlay" in done.json["error"]["next"]
    assert none == []
    assert machine("show", "one", "--json").json == held.json


def test_a_held_doubt_is_settled_by_a_resume_that_may_look(machine: Any, deploy: Any) -> None:
    held = machine(*deploy, "ambiguous-create", "--on-doubt", "hold", "--id", "one", "--json")
    still = machine("resume", "--json")
    looked = machine("resume", "--on-doubt", "probe", "--json")

    assert (held.code, still.code, looked.code) == (13, 13, 0)
    assert still.json["calls"] == held.json["calls"]
    assert [one["outcome"] for one in looked.json["effects"]] == ["applied"]


# -- tokens ------------------------------------------------------------------------------------------------------------


INSIDE = ["--allow-host", "127.0.0.1"]
"""A token names no host inside, and the simulator is on one."""


@pytest.fixture
def token(machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The simulator of a run that polls, and the file with its token."""
    monkeypatch.setenv("HF_TOKEN", "a token of tests")
    with Simulator("happy", token="a token of tests") as simulator:
        command = [*deploy[:-1], "--server", simulator.url, "--once", "--id", "one"]
        while machine("show", "one", "--json").json.get("phase") != "polling":
            assert machine(*command).code == 16
        (tmp_path / "run.token").write_text(machine("show", "one", "--token").out)
        yield simulator


def test_a_token_is_one_json_object_with_references_where_secrets_stand(
    machine: Any, token: Any, tmp_path: Path
) -> None:
    text = (tmp_path / "run.token").read_text()

    assert machine("show", "one", "--token", "--json").json == json.loads(text)
    assert text.count("\n") == 1
    assert "a token of tests" not in text
    assert "@env:HF_TOKEN" in text


def test_a_token_says_where_its_secrets_go_and_which_run_it_became(machine: Any, token: Any) -> None:
    done = machine("resume", "--token", "run.token", "--store", "other.db", "-i", "hfToken=@env:HF_TOKEN", *INSIDE)
    (made,) = machine("runs", "--store", "other.db", "--json").json["runs"]

    assert done.code == 0
    assert "secret hfToken (@env:HF_TOKEN) goes to 127.0.0.1:" in done.err
    assert f"run {made['run']}, deploy-inference-endpoint, is in polling" in done.err
    assert made["run"] != "one"
    assert token.creates == 1


def test_what_is_given_with_a_token_is_obeyed(
    machine: Any, token: Any, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HERE", "a token of tests")
    resume = ["resume", "--token", "run.token", "--json", *INSIDE]
    unset = machine(*resume, "-i", "hfToken=@env:HF_TOKEN")
    elsewhere = machine(*resume, "-i", "hfToken=@env:HERE", "--server", f"http://127.0.0.1:{closed_port}", "--once")
    done = machine(*resume, "-i", "hfToken=@env:HERE")

    assert (unset.code, unset.json["error"]["code"]) == (14, "AZM-C020")
    assert elsewhere.code == 16
    assert "refused" in elsewhere.err
    assert done.code == 0


@pytest.mark.parametrize(
    ("given", "exit_code", "code", "advice"),
    [
        pytest.param(INSIDE, 64, "AZM-U095", "say it: -i hfToken=@env:HF_TOKEN", id="no-variable"),
        pytest.param(["-i", "hfToken=@env:HF_TOKEN"], 78, "AZM-C031", "--allow-host 127.0.0.1", id="no-host-inside"),
    ],
)
def test_a_token_names_nothing_of_this_machine(
    machine: Any, token: Any, given: list[str], exit_code: int, code: str, advice: str
) -> None:
    before = len(token.requests)
    done = machine("resume", "--token", "run.token", "--json", *given)

    assert (done.code, done.json["error"]["code"]) == (exit_code, code)
    assert advice in done.json["error"]["next"]
    assert len(token.requests) == before


def test_a_token_chooses_no_program_and_no_file_of_this_machine(
    machine: Any, deploy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = f"@cmd:touch {tmp_path / 'called'}; echo a token of tests"
    with Simulator("happy", token="a token of tests") as simulator:
        command = [*deploy[:-1], "--server", simulator.url, "-i", f"hfToken={reference}", "--once", "--id", "one"]
        while machine("show", "one", "--json").json.get("phase") != "polling":
            assert machine(*command).code == 16
        (tmp_path / "run.token").write_text(machine("show", "one", "--token").out)
        (tmp_path / "called").unlink()
        refused = machine("resume", "--token", "run.token", "--json")
        called = (tmp_path / "called").exists()
        allowed = machine("resume", "--token", "run.token", "-i", f"hfToken={reference}", "--json", *INSIDE)

    assert (refused.code, refused.json["error"]["code"]) == (64, "AZM-U095")
    assert not called
    assert allowed.code == 0


def test_an_input_that_equals_a_secret_leaves_nothing_behind(
    machine: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "a token of tests")
    with Simulator("happy", token="a token of tests") as simulator:
        done = machine(*deploy[:-1], "--server", simulator.url, "-i", "region=@env:HF_TOKEN", "--json")

    assert (done.code, done.json["error"]["code"]) == (65, "AZM-I014")
    assert machine("runs", "--json").json["runs"] == []
    assert simulator.requests == []


def test_a_store_chooses_no_program_either(
    machine: Any, deploy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = f"@cmd:touch {tmp_path / 'called'}; echo a token of tests"
    with Simulator("happy", token="a token of tests") as simulator:
        command = [*deploy[:-1], "--server", simulator.url, "-i", f"hfToken={reference}", "--id", "one"]
        begun = machine(*command, "--once", "--json")
        (tmp_path / "called").unlink()
        refused = machine("resume", "one", "--json")
        called = (tmp_path / "called").exists()
        again = machine("resume", "one", "--once", "-i", f"hfToken={reference}")
        same = machine(*command)

    assert (begun.code, begun.json["next"]["command"]) == (16, "arazzo-machine resume one -i hfToken=@cmd:LINE")
    assert (refused.code, refused.json["error"]["code"]) == (14, "AZM-C024")
    assert refused.json["error"]["next"].startswith("give it again: resume RUN -i hfToken=@cmd:LINE")
    assert not called
    assert (again.code, same.code) == (16, 0)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        pytest.param(["one", "--token", "run.token"], 64, "AZM-U093", id="a-run-too"),
        pytest.param(["--token", "missing.token"], 64, "AZM-U066", id="no-such-file"),
        pytest.param(["--token", "binary"], 64, "AZM-U094", id="no-text"),
        pytest.param(["--token", "empty"], 65, "AZM-T091", id="empty"),
        pytest.param(["--token", "changed"], 65, "AZM-T091", id="changed"),
    ],
)
def test_what_is_no_token_is_refused(
    machine: Any, token: Any, tmp_path: Path, arguments: list[str], exit_code: int, code: str
) -> None:
    text = (tmp_path / "run.token").read_text()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_text("")
    (tmp_path / "changed").write_text(text.replace("127.0.0.1", "127.0.0.2", 1))
    done = machine("resume", *arguments, "--json")

    assert done.code == exit_code
    assert done.json["error"]["code"] == code
    assert done.json["error"]["next"]
    assert len(machine("runs", "--json").json["runs"]) == 1
