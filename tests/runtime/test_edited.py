"""A stored run goes on with its edited document, journalled, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.edit import edit_of
from machine.errors import EditError, HostError, IdentityError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.edited import Edited
from machine.runtime.history import recomputed
from machine.sources.description import describe

DOCUMENT = """
arazzo: 1.0.1
info: {title: Things, version: 1.0.0}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: make
  inputs: {type: object, properties: {size: {type: integer}}}
  steps:
  - stepId: make
    operationId: makeThing
    requestBody: {contentType: application/json, payload: {size: 1}}
    outputs: {id: $response.body#/id}
  - stepId: look
    operationId: getThing
    onSuccess:
    - {name: busy, type: goto, stepId: look, criteria: [{condition: $response.body#/state == 'busy'}]}
    - {name: done, type: end, criteria: [{condition: $response.body#/state == 'done'}]}
"""
API = """
openapi: 3.1.0
info: {title: Things, version: 1.0.0}
servers: [{url: 'https://things.example.com'}]
paths:
  /things:
    post:
      operationId: makeThing
      requestBody: {content: {application/json: {}}}
      responses: {'201': {description: made}}
    get: {operationId: getThing, responses: {'200': {description: it}}}
"""
MORE = DOCUMENT + "    - {name: odd, type: end, criteria: [{condition: $response.body#/state == 'odd'}]}\n"
GIVEN = "    parameters: [{{name: X-Of, in: header, value: {}}}]\n"
MADE = 201, {"id": 7}


def looked(state: str) -> Any:
    return 200, {"state": state}


@pytest.fixture(scope="session")
def edit() -> Callable[[str], Edited]:
    """``edit(text)`` -> what a document says that reads so."""

    def made(text: str) -> Edited:
        texts = {"doc.yaml": text.encode(), "api.yaml": API.encode()}
        description = describe("doc.yaml", read=texts.__getitem__)
        return Edited(plan=build_plan(description, workflow=description.document.workflows[0].workflow_id), texts=texts)

    return made


@pytest.fixture
def begun(store: Any, make_runner: Any, scripted: Any, edit: Any) -> Callable[..., Any]:
    """``begun(outcome, ..., later=[...])`` -> a runner whose run ``r`` has stopped after those outcomes."""

    def start(*outcomes: Any, later: Any = (), **options: Any) -> Any:
        runner = make_runner(store, transport=scripted(*outcomes, *later), secret_texts={}, **options)
        before = edit(DOCUMENT)
        runner.start(before.plan, {}, run_id="r", texts=before.texts).result()
        return runner

    return start


def test_what_nothing_applied_to_is_gone_on_with_once_something_does(store: Any, begun: Any, edit: Any) -> None:
    runner = begun(MADE, looked("busy"), looked("odd"), later=[looked("odd")])
    before, after = store.load("r"), edit(MORE)
    assert before.snapshot.stopped.reason == "unmatched"
    result = runner.resume("r", edited=after).result()

    assert (result.exit_code, result.state) == (0, "odd")
    assert [one.outcome for one in result.effects] == ["applied"]
    stored, records = store.load("r"), store.history("r")
    (reopened,) = [one for one in records if edit_of(one) is not None]
    change = edit_of(reopened)
    assert change is not None
    assert (change.before, change.after) == (before.head.plan_sha256, after.plan.sha256)
    assert "@" in reopened.event["by"]
    assert stored.head.plan_sha256 == stored.snapshot.plan_sha256 == after.plan.sha256
    assert stored.head.earlier == ({"plan_sha256": change.before, "documents": dict(before.head.documents)},)
    for digest in stored.head.digests:
        assert store.blob(digest)
    *_, last = recomputed(store, stored.head, records)
    assert last.snapshot.text() == stored.snapshot.text()


def test_the_edit_is_heard_of_like_every_other_event(store: Any, begun: Any, edit: Any) -> None:
    heard: list[Any] = []
    runner = begun(
        *(MADE, looked("odd")),
        later=[looked("odd")],
        observers=[lambda run, record: heard.append(record)],
    )
    moved = list(runner.resume("r", edited=edit(MORE)))

    assert heard == store.history("r")
    assert moved == heard[-2:]
    assert edit_of(moved[0]) is not None


def test_a_call_that_could_never_be_asked_for_may_become_another_one(
    store: Any, make_runner: Any, scripted: Any, edit: Any
) -> None:
    """Its request could not be built of what the create was answered, so nothing was done that could differ."""
    unfit = DOCUMENT.replace(
        "    operationId: getThing\n", "    operationId: getThing\n" + GIVEN.format("$steps.make.outputs.id")
    )
    mended = unfit.replace("outputs.id}", "outputs.id#/0}")
    runner = make_runner(store, transport=scripted((201, {"id": [{"a": 1}]}), looked("done")), secret_texts={})
    runner.start(edit(unfit).plan, {}, run_id="r", texts=edit(unfit).texts).result()
    again = runner.resume("r").result()

    assert (again.exit_code, again.reason, again.calls) == (10, "request", 1)
    assert (again.next.action, again.next.command) == ("fix", "arazzo-machine resume r --use-edited")
    done = runner.resume("r", edited=edit(mended)).result()

    assert (done.exit_code, done.calls, [one.outcome for one in done.effects]) == (0, 2, ["applied"])


def test_a_run_that_waits_goes_on_with_the_edited_document_at_once(store: Any, begun: Any, edit: Any) -> None:
    runner = begun(MADE, looked("busy"), later=[looked("odd")], patience="wait")

    assert runner.resume("r", edited=edit(MORE)).result().state == "odd"


def test_a_death_while_a_create_was_out_is_doubt_before_anything_is_compared(
    store: Any, make_runner: Any, scripted: Any, edit: Any
) -> None:
    runner = make_runner(store, transport=scripted(KeyboardInterrupt()), secret_texts={})
    with pytest.raises(KeyboardInterrupt):
        runner.start(edit(DOCUMENT).plan, {}, run_id="r", texts=edit(DOCUMENT).texts).result()
    result = make_runner(store, transport=scripted(), secret_texts={}).resume("r", edited=edit(MORE)).result()

    assert (result.exit_code, result.state) == (13, "in_doubt")
    assert store.load("r").snapshot.plan_sha256 == edit(MORE).plan.sha256


REFUSED = [
    pytest.param(DOCUMENT.replace("size: 1}", "size: 2}"), "request 'body/size': 1 becomes 2", id="what-was-sent"),
    pytest.param(DOCUMENT.replace("'busy'", "'bzy'"), "it took 'busy' to polling", id="the-way-it-went"),
    pytest.param(
        DOCUMENT.replace("{size: {type: integer}}}", "{size: {type: integer, default: 3}}}"),
        "begun without the inputs size",
        id="an-input-with-a-default",
    ),
    pytest.param(
        DOCUMENT.replace("{size: {type: integer}}}", "{size: {type: integer}}, required: [size]}"),
        "size",
        id="an-input-it-needs",
    ),
]


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_what_the_run_did_otherwise_is_refused_and_nothing_is_stored(
    store: Any, begun: Any, edit: Any, text: str, why: str
) -> None:
    runner = begun(MADE, looked("busy"), looked("odd"))
    before = store.load("r")
    with pytest.raises(EditError) as caught:
        runner.resume("r", edited=edit(text)).result()

    assert caught.value.exit_code == 65
    assert any(why in str(one) for one in caught.value.contradictions)
    assert json.dumps(caught.value.to_json())
    assert (store.load("r"), store.held("r")) == (before, None)
    assert runner.resume("r", edited=edit(DOCUMENT)) is not None


def test_a_document_that_says_the_same_is_no_edit(store: Any, begun: Any, edit: Any) -> None:
    runner = begun(MADE, looked("busy"), looked("odd"), later=[looked("done")])
    result = runner.resume("r", edited=edit(DOCUMENT)).result()

    assert result.state == "done"
    assert [edit_of(one) for one in store.history("r")] == [None] * 6
    assert store.load("r").head.earlier == ()


def test_the_edited_document_is_that_of_the_run_from_then_on(store: Any, begun: Any, edit: Any) -> None:
    runner = begun(MADE, later=[looked("busy"), looked("busy")], patience="call")
    after, before = edit(MORE), edit(DOCUMENT)
    runner.resume("r", edited=after).result()

    assert runner.start(after.plan, {}, run_id="r", texts=after.texts).result().reason == "waiting"
    with pytest.raises(IdentityError, match="another document"):
        runner.start(before.plan, {}, run_id="r", texts=before.texts)


def test_a_later_edit_is_held_against_all_of_the_history(store: Any, begun: Any, edit: Any) -> None:
    runner = begun(MADE, looked("busy"), later=[looked("busy")], patience="wait")
    runner.resume("r", edited=edit(MORE)).result()
    with pytest.raises(EditError) as caught:
        runner.resume("r", edited=edit(MORE.replace("size: 1}", "size: 2}"))).result()

    assert "body/size" in str(caught.value.contradictions[0])


def test_another_name_of_the_file_is_an_edit_that_changes_nothing_else(store: Any, begun: Any, edit: Any) -> None:
    runner = begun(MADE, looked("busy"), looked("odd"), later=[looked("done")])
    same = edit(DOCUMENT)
    moved = Edited(plan=replace(same.plan, document="moved.yaml"), texts={"moved.yaml": same.texts["doc.yaml"]})

    assert moved.difference(same.plan).changes == ()
    assert runner.resume("r", edited=moved).result().document == "moved.yaml"


def test_its_plan_is_checked_for_its_hosts_before_anything_is_stored(
    store: Any, begun: Any, edit: Any, shipped_plan: Plan
) -> None:
    runner = begun(MADE, looked("busy"), looked("odd"))
    near = edit(MORE)
    calls = {
        step: replace(call, operation=replace(call.operation, server="http://127.0.0.1"))
        for step, call in near.plan.calls.items()
    }
    plan = replace(near.plan, calls=calls, servers={"api": ("http://127.0.0.1",)})
    before = store.load("r")

    with pytest.raises(HostError):
        runner.resume("r", edited=Edited(plan=plan, texts=near.texts))

    assert store.load("r") == before


# -- workflows that run workflows --------------------------------------------------------------------------------------

NESTED = DOCUMENT.replace(
    "workflows:\n",
    """workflows:
- workflowId: outer
  steps:
  - {stepId: first, operationId: getThing}
  - stepId: inner
    workflowId: make
    outputs: {id: $outputs.id}
  - {stepId: last, operationId: getThing}
""",
)
CHANGES = [
    pytest.param(NESTED.replace("== 'done'", "== 'fine'"), [], id="ahead-inside"),
    pytest.param(NESTED.replace("stepId: last", "stepId: end"), [], id="ahead-outside"),
    pytest.param(
        NESTED.replace("payload: {size: 1}", "payload: {size: 2}"), ["make/make: request 'body/size'"], id="done-inside"
    ),
    pytest.param(
        NESTED.replace("{stepId: first, operationId: getThing}", "{stepId: zero, operationId: getThing}"),
        ["state first is gone"],
        id="done-outside",
    ),
]


@pytest.mark.parametrize(("text", "why"), CHANGES)
def test_a_run_inside_another_workflow_is_held_to_both(
    store: Any, make_runner: Any, scripted: Any, edit: Any, text: str, why: list[str]
) -> None:
    before, after = edit(NESTED), edit(text)
    finish = [looked("fine" if "'fine'" in text else "done"), looked("any")]
    transport = scripted(looked("any"), MADE, looked("busy"), looked("busy"), *finish)
    runner = make_runner(store, transport=transport, secret_texts={}, patience="wait")
    assert before.plan.workflow == "outer"
    runner.start(before.plan, {}, run_id="r", texts=before.texts).result()
    resumed = make_runner(store, transport=transport, secret_texts={}).resume("r", edited=after)
    if why:
        with pytest.raises(EditError) as caught:
            resumed.result()
        assert str(caught.value.contradictions[0]).startswith(why[0])
        return
    result = resumed.result()

    assert (result.exit_code, len(result.effects)) == (0, 1)
    stored, records = store.load("r"), store.history("r")
    *_, last = recomputed(store, stored.head, records)
    assert last.snapshot.text() == stored.snapshot.text()
