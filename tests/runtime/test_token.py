"""A run as a text: what it carries, what is refused, and that anybody may use it any number of times."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.errors import CredentialError, DamageError, HostError, UsageError, VersionError
from machine.plan.model import Plan
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.runtime.token import Token, export_token
from machine.stores import MemoryStore, SqliteStore
from machine.testing.server import Simulator

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
PENDING = 200, {"status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running", "url": "https://x.example"}}
LOST = "unknown", "reset"
DOCUMENT = {"d.yaml": b"arazzo: 1.0.1\n"}


@pytest.fixture
def exported(make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any) -> Callable[..., str]:
    """``exported(outcome, ...)`` -> the token of a run that stopped after them (a look and a create come first)."""

    def export(*outcomes: Any, store: Any = None, settings: Settings | None = None, **options: Any) -> str:
        store = store or MemoryStore()
        runner = make_runner(store, transport=scripted(*outcomes))
        run = runner.start(probing_plan, deploy_inputs, run_id="r", settings=settings, options=options, texts=DOCUMENT)
        with run:
            records = iter(run)
            for _ in range(len(outcomes) + 1):
                next(records)
        stored = store.load("r")
        return export_token(store, stored, runner.plan_of(stored))

    return export


def sealed(body: dict[str, Any]) -> str:
    """A token with another body and the digest that fits."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "token": body})


# -- what it carries ---------------------------------------------------------------------------------------------------


def test_a_token_holds_the_run_and_its_documents_and_no_secret(exported: Any, probing_plan: Plan, secret: str) -> None:
    text = exported(404, CREATED, PENDING)

    token = Token.read(text)
    assert (token.run, token.plan.text()) == ("r", probing_plan.text())
    assert token.snapshot.pending is not None
    assert token.texts == DOCUMENT
    assert (token.described, token.secrets) == ({}, {"hfToken": "@env:HF_TOKEN"})
    assert secret not in text
    assert base64.b64encode(secret.encode()).decode() not in text
    assert "\n" not in text


def test_servers_come_along_and_what_only_holds_here_does_not(exported: Any) -> None:
    servers = {"inferenceEndpointsApi": "https://stored.example"}

    text = exported(404, CREATED, servers=servers, allow_hosts=["10.0.0.1"], here="/only")

    assert Token.read(text).described == servers
    assert json.loads(text)["token"]["options"].keys() == {"described", "secrets"}


def test_the_same_run_gives_the_same_text(exported: Any, make_runner: Any) -> None:
    store = MemoryStore()
    text = exported(404, CREATED, store=store)
    stored = store.load("r")

    assert export_token(store, stored, make_runner(store).plan_of(stored)) == text


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "settings", "options", "code"),
    [
        pytest.param([], None, {}, "AZM-U091", id="the-create-lies-ahead"),
        pytest.param([404], None, {}, "AZM-U091", id="the-create-is-pending"),
        pytest.param([404, LOST], None, {}, "AZM-U091", id="probing"),
        pytest.param([404, LOST], Settings(on_doubt="hold"), {}, "AZM-U091", id="in-doubt"),
        pytest.param([404, 401], None, {}, "AZM-U091", id="refused-token-before-the-create"),
        pytest.param([404, CREATED, RUNNING], None, {}, "AZM-U090", id="ended"),
        pytest.param([404, CREATED], None, {"simulate": {"scenario": "happy"}}, "AZM-U092", id="simulated"),
    ],
)
def test_a_run_with_more_than_safe_calls_ahead_is_not_handed_on(
    exported: Any, outcomes: Any, settings: Any, options: Any, code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        exported(*outcomes, settings=settings, **options)

    assert caught.value.code == code


def test_a_run_that_stopped_behind_its_create_is_handed_on(exported: Any) -> None:
    for outcome in (401, 404, (200, {"status": {"state": "paused"}})):
        assert Token.read(exported(404, CREATED, outcome)).snapshot.stopped is not None


def flow(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    at = [{"name": "id", "in": "path", "value": "one"}]
    return {"workflowId": name, "parameters": at, "steps": [{"stepId": f"{name}{n}", **s} for n, s in enumerate(steps)]}


@pytest.mark.parametrize(
    ("behind", "refused"),
    [("getThing", False), ("putThing", True), ("deleteThing", True), ("makeThing", True), ("child", True)],
)
def test_a_run_inside_a_workflow_is_handed_on_where_only_safe_calls_are_left(
    composed: Callable[..., Plan], make_runner: Any, scripted: Any, behind: str, refused: bool
) -> None:
    """What the workflow has done before is behind it, unless the way leads there again."""
    last = {"workflowId": behind} if behind == "child" else {"operationId": behind}
    child = flow("child", {"operationId": "makeThing"}, {"operationId": "getThing"})
    plan = composed(flow("root", {"workflowId": "child"}, last), child)
    store = MemoryStore()
    runner = make_runner(store, transport=scripted((201, {})))
    with runner.start(plan, {}, run_id="r") as run:
        records = iter(run)
        next(records), next(records)
    stored = store.load("r")

    assert [state.step for state in run.chart.path(stored.snapshot)] == ["root0", "child1"]
    with pytest.raises(UsageError, match="must not be made twice") if refused else contextlib.nullcontext():
        export_token(store, stored, runner.plan_of(stored))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("not json", id="no-json"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("[]", id="a-list"),
        pytest.param("7", id="a-number"),
        pytest.param("{}", id="no-parts"),
        pytest.param('{"token": 5, "sha256": "x"}', id="no-body"),
        pytest.param('{"token": [], "sha256": "x"}', id="a-body-that-is-a-list"),
        pytest.param('{"token": {"v": 1}, "sha256": "x"}', id="another-digest"),
        pytest.param(sealed({"v": 1}), id="nothing-in-it"),
        pytest.param('{"token": {"v": 1, "x": "\\ud800"}, "sha256": "x"}', id="a-lone-surrogate"),
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(DamageError) as caught:
        Token.read(text)

    assert caught.value.code == "AZM-T091"


def test_a_text_beyond_any_run_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("machine.runtime.token.LARGEST_TOKEN", 10)

    with pytest.raises(DamageError):
        Token.read(" " * 11)


def test_a_token_of_a_newer_release_says_so(exported: Any) -> None:
    body = json.loads(exported(404, CREATED))["token"]

    with pytest.raises(VersionError) as caught:
        Token.read(sealed({**body, "v": 2}))

    assert caught.value.code == "AZM-T090"


def test_one_changed_character_anywhere_is_seen(exported: Any) -> None:
    text = exported(404, CREATED)
    for at in range(0, len(text), 997):
        other = "x" if text[at] != "x" else "y"

        with pytest.raises((DamageError, VersionError)):
            Token.read(text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize("part", ["run", "plan", "snapshot", "documents", "options", "inputs_sha256"])
@pytest.mark.parametrize("value", [None, 5, "text", [1], {"a": 1}, {"a": "\ud800"}], ids=repr)
def test_a_token_somebody_sealed_anew_is_read_or_refused_and_never_breaks(exported: Any, part: str, value: Any) -> None:
    body = json.loads(exported(404, CREATED))["token"]
    text = json.dumps({**body, part: value}, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()

    with contextlib.suppress(DamageError, VersionError, UsageError):
        Token.read(json.dumps({"sha256": digest, "token": {**body, part: value}}))


def test_a_token_sealed_anew_around_an_unsafe_call_is_refused_on_the_way_in(
    exported: Any, store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    make_runner(store, transport=scripted(404)).start(probing_plan, deploy_inputs, run_id="early").close()
    body = json.loads(exported(404, CREATED))["token"]

    with pytest.raises(UsageError) as caught:
        Token.read(sealed({**body, "snapshot": store.load("early").snapshot.to_json()}))

    assert caught.value.code == "AZM-U091"


@pytest.mark.parametrize("place", [("state", "s_99"), ("workflow", "another")], ids=["state", "workflow"])
def test_a_snapshot_that_stands_nowhere_is_refused(exported: Any, place: tuple[str, str]) -> None:
    body = json.loads(exported(404, CREATED))["token"]
    body["snapshot"]["frames"][0][place[0]] = place[1]
    with pytest.raises(DamageError) as refused:
        Token.read(sealed(body))

    assert refused.value.code == "AZM-T091"


def test_a_stack_whose_lower_frames_wait_for_nothing_is_refused(exported: Any) -> None:
    body = json.loads(exported(404, CREATED))["token"]
    body["snapshot"]["frames"] *= 2
    with pytest.raises(DamageError) as refused:
        Token.read(sealed(body))

    assert refused.value.code == "AZM-T091"


def test_a_snapshot_of_another_plan_is_refused(exported: Any, shipped_plan: Plan) -> None:
    body = json.loads(exported(404, CREATED))["token"]

    with pytest.raises(DamageError):
        Token.read(sealed({**body, "plan": shipped_plan.to_json()}))


@pytest.mark.parametrize(
    "options",
    [{"secrets": [1]}, {"secrets": {"hfToken": 5}}, {"described": "x"}, {"described": {"a": None}}, 5],
    ids=repr,
)
def test_options_of_another_kind_are_refused(exported: Any, options: Any) -> None:
    body = json.loads(exported(404, CREATED))["token"]

    with pytest.raises(DamageError):
        Token.read(sealed({**body, "options": {**body["options"], **options} if options != 5 else options}))


def test_an_option_that_does_not_travel_is_dropped_on_the_way_in(exported: Any) -> None:
    body = json.loads(exported(404, CREATED))["token"]

    given = {"simulate": {"scenario": "happy"}, "servers": {"a": "b"}, "described": {}, "secrets": {}}
    here = {"hfToken": "@env:HERE"}
    assert Token.read(sealed({**body, "options": given})).options({}, here, ()) == {"described": {}, "secrets": here}


# -- using it ----------------------------------------------------------------------------------------------------------


def test_a_token_is_taken_up_on_another_machine_and_there_is_still_one_create(
    store: Any, make_runner: Any, probing_plan: Plan, deploy_inputs: Any, secret: str, tmp_path: Path
) -> None:
    with Simulator("happy", token=secret) as simulator, SqliteStore(tmp_path / "elsewhere.db") as elsewhere:
        runner = make_runner(store, simulator.url, patience="wait")
        assert runner.start(probing_plan, deploy_inputs, run_id="r", texts=DOCUMENT).result().reason == "waiting"
        stored = store.load("r")
        token = Token.read(export_token(store, stored, runner.plan_of(stored)))

        runs = [make_runner(elsewhere, simulator.url).adopt_token(token) for _ in range(3)]
        results = [run.result() for run in runs]
        here = make_runner(store, simulator.url).resume("r").result()

        assert [one.exit_code for one in (*results, here)] == [0, 0, 0, 0]
        assert len({one.run for one in results}) == 3
        assert {one.outputs["endpointName"] for one in results} == {"my-endpoint"}
        assert (simulator.creates, simulator.create_requests) == (1, 1)

        head = elsewhere.load(results[0].run).head
        assert (head.origin["run"], head.origin["token"]) == ("r", token.sha256)
        assert elsewhere.blob(head.documents["d.yaml"]) == DOCUMENT["d.yaml"]
        first = elsewhere.history(head.id)[0]
        assert (first.seq, first.kind) == (1, "run.reopened")
        assert first.event["by"].endswith("by token")


def test_a_run_of_a_token_can_itself_be_stopped_and_resumed(
    exported: Any, store: Any, make_runner: Any, scripted: Any
) -> None:
    token = Token.read(exported(404, CREATED, PENDING))
    run = make_runner(store, transport=scripted(PENDING), patience="call").adopt_token(token)
    left = run.result()

    result = make_runner(store, transport=scripted(RUNNING)).resume(run.id).result()

    assert (left.reason, result.exit_code) == ("waiting", 0)
    assert [one.seq for one in store.history(run.id)] == [1, 2, 3]


def test_a_token_of_a_run_out_of_time_goes_on_with_a_new_deadline(
    exported: Any, store: Any, make_runner: Any, scripted: Any
) -> None:
    token = Token.read(exported(404, CREATED, 401))
    runner = make_runner(store, transport=scripted(RUNNING))

    assert runner.adopt_token(token, changes={"deadline": 60.0}).result().exit_code == 0


def test_a_token_without_its_secret_or_with_a_bad_server_leaves_nothing_behind(
    exported: Any, store: Any, make_runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    token = Token.read(exported(404, CREATED))
    here = {"hfToken": Reference("@env:HF_TOKEN")}

    with pytest.raises(CredentialError) as caught:
        make_runner(store, secret_texts={}).adopt_token(token, references=here)
    with pytest.raises(HostError):
        make_runner(store, servers={"inferenceEndpointsApi": "http://x.example"}).adopt_token(token)

    assert caught.value.exit_code == 14
    assert store.runs() == []


def test_a_token_names_no_variable_of_this_machine(
    exported: Any, store: Any, make_runner: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "another token")
    token = Token.read(exported(404, CREATED))

    with pytest.raises(UsageError) as caught:
        make_runner(store, secret_texts={}).adopt_token(token)
    run = make_runner(store, transport=scripted(PENDING), patience="call").adopt_token(token)
    run.result()

    assert (caught.value.code, caught.value.next) == ("AZM-U095", "say it: -i hfToken=@env:HF_TOKEN")
    assert store.load(run.id).head.options["secrets"] == {"hfToken": "@prompt"}


def test_a_token_that_leaves_out_a_secret_it_needs_is_asked_for_it(exported: Any, store: Any, make_runner: Any) -> None:
    body = json.loads(exported(404, CREATED))["token"]
    token = Token.read(sealed({**body, "options": {**body["options"], "secrets": {}}}))

    with pytest.raises(UsageError) as caught:
        make_runner(store, secret_texts={}).adopt_token(token)

    assert (caught.value.code, caught.value.next) == ("AZM-U095", "say it: -i hfToken=@env:VARIABLE")
    assert store.runs() == []


def test_a_server_of_a_token_is_no_more_than_a_description_says(exported: Any, store: Any, make_runner: Any) -> None:
    inside = {"inferenceEndpointsApi": "http://127.0.0.1:9"}
    token = Token.read(exported(404, CREATED, servers=inside, allow_hosts=["127.0.0.1"]))

    with pytest.raises(HostError) as caught:
        make_runner(store).adopt_token(token)

    assert caught.value.code == "AZM-C031"
    assert store.runs() == []
    allowed = make_runner(store, patience="call").adopt_token(token, options={"allow_hosts": ["127.0.0.1"]})
    assert allowed.result().reason == "waiting"
    again = store.load(allowed.id)
    assert Token.read(export_token(store, again, make_runner(store).plan_of(again))).described == inside


def test_a_command_is_run_where_it_is_given_and_not_because_it_is_stored(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    def runner(*outcomes: Any) -> Runner:
        made: Runner = make_runner(store, transport=scripted(*outcomes), secret_texts={}, patience="call")
        return made

    command = {"hfToken": Reference("@cmd:echo a token of tests")}
    started = runner(404, CREATED).start(probing_plan, {**deploy_inputs, **command}, run_id="r").result()
    with pytest.raises(CredentialError) as refused:
        runner().resume("r")
    resumed = runner(PENDING).resume("r", references=command).result()
    stored = store.load("r")
    token = Token.read(export_token(store, stored, runner().plan_of(stored)))
    adopted = runner(PENDING).adopt_token(token, references=command).result()

    assert refused.value.code == "AZM-C024"
    assert [one.reason for one in (started, resumed, adopted)] == ["waiting"] * 3
