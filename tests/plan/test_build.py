from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.chart.chart import Chart
from machine.chart.snapshot import EXIT_CODES
from machine.errors import DamageError, DocumentError, UsageError, VersionError
from machine.plan.build import build_plan
from machine.plan.model import FACTS, Plan, Transition
from machine.sources.description import Description, describe

Steps = list[dict[str, Any]]


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def goto(name: str, target: str, *conditions: str) -> dict[str, Any]:
    return {"name": name, "type": "goto", "stepId": target, **criteria(*conditions)}


def end(name: str, *conditions: str) -> dict[str, Any]:
    return {"name": name, "type": "end", **criteria(*conditions)}


def retry(name: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": "retry", **fields, **criteria(*conditions)}


def criteria(*conditions: str) -> dict[str, Any]:
    return {"criteria": [{"condition": one} for one in conditions]} if conditions else {}


def rows(plan: Plan, name: str, event: str = "replied") -> list[tuple[str, str, str]]:
    """(label, target, stop) of what can happen in the state of that name."""
    names = {one.id: one.name for one in plan.states}
    return [(one.label, names[one.target], one.stop) for one in plan.leaving(plan.named(name).id) if event in one.on]


def edge(plan: Plan, name: str, label: str, event: str = "replied") -> Transition:
    return next(one for one in plan.leaving(plan.named(name).id) if event in one.on and one.label == label)


def findings(refused: pytest.ExceptionInfo[DocumentError]) -> list[tuple[str, int]]:
    return [(one.code, one.place.line) for one in refused.value.findings]


# -- the user's document -----------------------------------------------------------------------------------------------

USER_STATES = [
    ("createEndpoint", "starting", "call"),
    ("created", "created", "call"),
    ("polling", "polling", "call"),
    ("in_doubt", "created", "doubt"),
    ("failed", "failed", "final"),
    ("ready", "ready", "final"),
]

POLL_ROWS = [
    ("stillStarting", "polling", ""),
    ("ready", "ready", "ended"),
    ("tolerated", "{here}", ""),
    ("tolerance used up", "{here}", "tolerance"),
    ("credential refused", "{here}", "credential"),
    ("unmatched", "failed", "unmatched"),
    ("broke", "failed", "broke"),
]

DOUBT_ROWS = [
    ("not sent", "createEndpoint", ""),
    ("send again", "createEndpoint", ""),
    ("created", "created", ""),
    ("still in doubt", "in_doubt", "in_doubt"),
]


def check_user_plan(plan: Plan) -> None:
    assert [(one.name, one.phase, one.kind) for one in plan.states] == USER_STATES
    assert plan.initial.name == "createEndpoint"
    assert rows(plan, "createEndpoint") == [
        ("in doubt", "in_doubt", "in_doubt"),
        ("created", "created", ""),
        ("credential refused", "createEndpoint", "credential"),
        ("broke", "failed", "broke"),
    ]
    assert rows(plan, "createEndpoint", "started") == [("start", "createEndpoint", "")]
    assert rows(plan, "createEndpoint", "reopened") == [
        ("in doubt", "in_doubt", "in_doubt"),
        ("look again", "createEndpoint", ""),
    ]
    for here in ("created", "polling"):
        assert rows(plan, here) == [(label, to.format(here=here), stop) for label, to, stop in POLL_ROWS]
        assert rows(plan, here, "call_failed") == rows(plan, here)
        assert rows(plan, here, "reopened") == [("look again", here, "")]
        assert rows(plan, here, "resolved") == []
    for here in ("createEndpoint", "in_doubt"):
        assert rows(plan, here, "resolved") == DOUBT_ROWS
    assert rows(plan, "in_doubt") == []
    assert rows(plan, "in_doubt", "reopened") == [("still in doubt", "in_doubt", "in_doubt")]
    for here in ("createEndpoint", "created", "polling", "in_doubt"):
        assert rows(plan, here, "cancelled") == [("cancelled", here, "cancelled")]
    for here in ("failed", "ready"):
        assert list(plan.leaving(plan.named(here).id)) == []
    assert edge(plan, "created", "stillStarting").pace == "poll"
    assert edge(plan, "createEndpoint", "created").pace == "now"


def test_the_users_document_compiles_to_these_states_and_transitions(user_plan: Plan) -> None:
    check_user_plan(user_plan)

    assert [edge(user_plan, here, "created", "resolved").guard.facts for here in ("createEndpoint", "in_doubt")] == [
        ("adopted", "held"),
        ("adopted", "held"),
    ]
    assert edge(user_plan, "created", "stillStarting").guard.text == (
        "$.status.state == 'pending' || $.status.state == 'initializing'"
    )


def test_the_real_document_compiles_to_the_same_table(shared: Path, described: Callable[..., Description]) -> None:
    (document,) = (shared / "seed/arazzo").glob("*.yaml")

    check_user_plan(build_plan(described(document)))


def test_the_shipped_document_compiles_to_the_same_states_and_looks_for_what_may_be_its_own(shipped_plan: Plan) -> None:
    assert shipped_plan.notices == ()
    assert [(one.name, one.phase, one.kind) for one in shipped_plan.states] == USER_STATES
    assert rows(shipped_plan, "createEndpoint") == [
        ("looked before", "createEndpoint", ""),
        ("conflict", "in_doubt", ""),
        ("in doubt", "in_doubt", ""),
        ("in doubt", "in_doubt", "in_doubt"),
        ("created", "created", ""),
        ("credential refused", "createEndpoint", "credential"),
        ("broke", "failed", "broke"),
    ]
    assert rows(shipped_plan, "in_doubt") == [
        ("created", "created", ""),
        ("broke", "failed", "broke"),
        ("broke", "failed", "broke"),
        ("not there", "createEndpoint", ""),
        ("still in doubt", "in_doubt", "in_doubt"),
        ("not there yet", "in_doubt", ""),
        ("tolerated", "in_doubt", ""),
        ("tolerance used up", "in_doubt", "in_doubt"),
        ("credential refused", "in_doubt", "credential"),
        ("still in doubt", "in_doubt", "in_doubt"),
    ]
    assert rows(shipped_plan, "in_doubt", "reopened") == [
        ("look again", "in_doubt", ""),
        ("still in doubt", "in_doubt", "in_doubt"),
    ]
    for here in ("created", "polling"):
        assert rows(shipped_plan, here) == [(label, to.format(here=here), stop) for label, to, stop in POLL_ROWS]


def test_what_was_tolerated_in_the_users_document_is_noted_with_code_and_line(user_plan: Plan) -> None:
    noted = [(one.code, one.place.line) for one in user_plan.notices]

    assert [code for code, _ in noted] == ["C4", "C4", "C1", "C1"]
    assert all(line > 0 for _, line in noted)
    assert len(set(noted)) == 4


def test_strict_refuses_every_tolerance_of_the_users_document_at_once(
    user_document: Path, described: Callable[..., Description]
) -> None:
    with pytest.raises(DocumentError) as refused:
        build_plan(described(user_document), strict=True)

    assert [one.code for one in refused.value.findings] == ["C4", "C4", "C1", "C1"]
    assert all(one.place.line > 0 for one in refused.value.findings)


def test_strict_leaves_out_the_tolerance_of_polling(shipped_plan: Plan, described: Callable[..., Description]) -> None:
    document = Path(shipped_plan.document)
    plan = build_plan(described(document), strict=True)

    assert {one.rule for one in shipped_plan.transitions} - {one.rule for one in plan.transitions} == {"tolerance"}


# -- the stored form ---------------------------------------------------------------------------------------------------

EVERYTHING: Steps = [
    step(
        "a",
        "makeThing",
        requestBody={
            "contentType": "application/json",
            "payload": {"n": "$inputs.n", "t": ["x {$inputs.n}", 1.5, None]},
        },
        outputs={"id": "$response.body#/id", "fixed": "text"},
        onFailure=[
            retry("again", "$statusCode == 503", retryAfter=2.5, retryLimit=4),
            end("bad", "$statusCode == 404"),
        ],
    ),
    step(
        "b",
        parameters=[{"name": "id", "in": "path", "value": "$steps.a.outputs.id"}],
        successCriteria=[{"condition": "$statusCode == 200"}],
        onSuccess=[goto("more", "b", "$response.body#/state == 'busy'"), end("done")],
        **{"x-machine": {"poll": {"interval": "1s", "wait": [{"condition": "$statusCode == 404"}]}}},
    ),
]


def test_a_plan_read_back_is_the_same_to_the_byte(
    user_plan: Plan, shipped_plan: Plan, built: Callable[..., Plan]
) -> None:
    other = built(EVERYTHING, inputs={"n": {"type": "integer", "default": 1, "x-machine": {"secret": False}}})
    for plan in (user_plan, shipped_plan, other):
        again = Plan.from_json(json.loads(plan.text()))

        assert again.text() == plan.text()
        assert again.sha256 == plan.sha256
        assert again.states == plan.states
        assert again.transitions == plan.transitions
        assert again.inputs == plan.inputs


def test_compiling_twice_gives_the_same_bytes(user_plan: Plan, user_document: Path, described: Any) -> None:
    assert build_plan(described(user_document)).text() == user_plan.text()


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_a_plan_of_another_format_is_refused_by_name(user_plan: Plan, version: object) -> None:
    with pytest.raises(VersionError) as refused:
        Plan.from_json({**user_plan.to_json(), "v": version})

    assert refused.value.code == "AZM-T010"


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"states": 5}, id="states-of-another-kind"),
        pytest.param({"states": [{"id": "s_0"}]}, id="half-a-state"),
        pytest.param({"transitions": [{"id": "t_0"}]}, id="half-a-transition"),
        pytest.param({"calls": []}, id="calls-of-another-kind"),
        pytest.param({"notices": [{}]}, id="half-a-notice"),
    ],
)
def test_what_is_no_plan_is_called_damaged(user_plan: Plan, damage: dict[str, Any]) -> None:
    with pytest.raises(DamageError) as refused:
        Plan.from_json({**user_plan.to_json(), **damage})

    assert refused.value.code == "AZM-T011"


# -- what happens when no success action applies (ambiguity A1) --------------------------------------------------------

LOOP_ONLY = [goto("more", "p", "$response.body#/s == 'busy'")]
LOOP_AND_EXIT = [*LOOP_ONLY, end("done", "$response.body#/s == 'ok'")]
GUARDED = [goto("skip", "z", "$statusCode == 200")]

A1: list[tuple[str, Steps, tuple[str, str, str] | None]] = [
    (
        "a polling step that names only its loop falls through to the next step",
        [step("p", onSuccess=LOOP_ONLY), step("z", "makeThing")],
        ("unmatched", "z", ""),
    ),
    ("and to the end where it is the last", [step("p", onSuccess=LOOP_ONLY)], ("unmatched", "completed", "completed")),
    (
        "a polling step that names an exit fails",
        [step("p", onSuccess=LOOP_AND_EXIT), step("z")],
        ("unmatched", "failed", "unmatched"),
    ),
    (
        "a polling step whose exit is a goto fails too",
        [step("p", onSuccess=[*LOOP_ONLY, goto("on", "z", "$statusCode == 200")]), step("z")],
        ("unmatched", "failed", "unmatched"),
    ),
    (
        "an ordinary step goes on where the next one is safe",
        [step("p", onSuccess=GUARDED), step("y"), step("z")],
        ("unmatched", "y", ""),
    ),
    (
        "and fails where the next one is not",
        [step("p", onSuccess=GUARDED), step("y", "deleteThing"), step("z")],
        ("unmatched", "failed", "unmatched"),
    ),
    (
        "and where there is none",
        [step("z", "putThing"), step("p", onSuccess=[goto("back", "z", "$statusCode == 201")])],
        ("unmatched", "failed", "unmatched"),
    ),
    ("nothing can stay unmatched where onSuccess is left out", [step("p"), step("z")], None),
    ("nor behind an action without criteria", [step("p", onSuccess=[end("done")]), step("z")], None),
    (
        "nor behind an action that asks only for what the success criteria have asked for",
        [
            step(
                "p",
                successCriteria=[{"condition": "$statusCode == 200"}, {"condition": "$response.body#/a == 1"}],
                onSuccess=[goto("on", "z", " $response.body#/a == 1")],
            ),
            step("z"),
        ],
        None,
    ),
]


@pytest.mark.parametrize(("steps", "expected"), [one[1:] for one in A1], ids=[one[0].replace(" ", "-") for one in A1])
def test_what_happens_when_no_success_action_applies(
    built: Callable[..., Plan], steps: Steps, expected: tuple[str, str, str] | None
) -> None:
    plan = built(steps)
    state = next(one for one in plan.states if one.step == "p")
    found = [one for one in rows(plan, state.name) if one[0] == "unmatched"]

    assert found == ([expected] if expected else [])


@pytest.mark.parametrize("policy", ["next", "end", "fail"])
@pytest.mark.parametrize("where", ["step", "workflow", "argument"])
def test_the_policy_for_unmatched_answers_can_be_chosen(built: Callable[..., Plan], policy: str, where: str) -> None:
    extension = {"x-machine": {"unmatched": policy}}
    steps = [step("p", onSuccess=GUARDED, **(extension if where == "step" else {})), step("y", "makeThing"), step("z")]
    plan = built(
        steps,
        workflow=extension if where == "workflow" else {},
        **({"unmatched": policy} if where == "argument" else {}),
    )
    expected = {"next": ("y", ""), "end": ("completed", "completed"), "fail": ("failed", "unmatched")}[policy]

    assert ("unmatched", *expected) in rows(plan, "p")


def test_an_argument_wins_over_a_step_and_a_step_over_the_workflow(built: Callable[..., Plan]) -> None:
    steps = [step("p", onSuccess=[goto("on", "y", "1 == 2")], **{"x-machine": {"unmatched": "end"}}), step("y")]
    workflow = {"x-machine": {"unmatched": "fail"}}

    assert built(steps, workflow=workflow).calls["p"].unmatched == "end"
    assert built([{**steps[0], "x-machine": {}}, steps[1]], workflow=workflow).calls["p"].unmatched == "fail"
    assert built(steps, workflow=workflow, unmatched="next").calls["p"].unmatched == "next"


# -- success actions ---------------------------------------------------------------------------------------------------


def test_without_success_actions_the_next_step_follows_and_the_last_one_completes(built: Callable[..., Plan]) -> None:
    plan = built([step("a"), step("b")])

    assert rows(plan, "a") == [
        ("next", "b", ""),
        ("credential refused", "a", "credential"),
        ("broke", "failed", "broke"),
    ]
    assert rows(plan, "b")[0] == ("completed", "completed", "completed")
    assert [one.phase for one in plan.states] == ["starting", "starting", "failed", "ready"]


def test_an_action_that_always_applies_ends_the_list(built: Callable[..., Plan]) -> None:
    plan = built([step("a", onSuccess=[end("first"), goto("never", "b")]), step("b")])

    assert [label for label, _, _ in rows(plan, "a")] == ["first", "credential refused", "broke"]
    assert [one.name for one in plan.states] == ["a", "first", "failed"]
    assert [(one.code, "'b'" in one.message) for one in plan.notices] == [("AZM-P020", True)]


def test_a_step_nobody_reaches_is_left_out_and_noted_with_its_line(built: Callable[..., Plan]) -> None:
    plan = built([step("a", onSuccess=[goto("on", "c")]), step("b", "makeThing"), step("c")])

    assert set(plan.calls) == {"a", "c"}
    assert [(one.code, one.place.line > 0) for one in plan.notices] == [("AZM-P020", True)]


def test_every_way_back_is_paced_and_every_way_on_is_not(built: Callable[..., Plan]) -> None:
    plan = built(
        [
            step("a", "putThing"),
            step("b", "putThing", onSuccess=[goto("again", "a", "$statusCode == 202"), goto("on", "c")]),
            step("c", "makeThing", onFailure=[goto("redo", "b", "$statusCode == 404")]),
        ]
    )

    assert edge(plan, "b", "again").pace == "poll"
    assert edge(plan, "on", "redo").pace == "poll"
    assert edge(plan, "b", "on").pace == "now"
    assert edge(plan, "a", "next").pace == "now"
    assert not any(one.polls for one in plan.states), "a loop that changes something is no polling loop"


def test_a_loop_with_an_unsafe_step_is_paced_but_nothing_in_it_is_tolerated(built: Callable[..., Plan]) -> None:
    plan = built([step("a", "makeThing", onSuccess=[goto("more", "a", "$statusCode == 202"), end("done")])])

    assert edge(plan, "a", "more").pace == "poll"
    assert plan.calls["a"].poll is None
    assert [one.name for one in plan.states] == ["a", "in_doubt", "done", "failed"]
    assert {one.rule for one in plan.transitions}.isdisjoint({"tolerance", "wait"})


def test_each_polling_loop_has_a_waiting_state_of_its_own(built: Callable[..., Plan]) -> None:
    plan = built(
        [
            step("a", onSuccess=[goto("more", "a", "$statusCode == 202"), goto("on", "b")]),
            step("b", onSuccess=[goto("again", "b", "$statusCode == 202"), goto("over", "c")]),
            step("c"),
        ]
    )

    assert [one.name for one in plan.states if one.polls] == ["polling a", "polling b"]
    assert [one.phase for one in plan.states if one.polls] == ["polling", "polling"]
    assert {step for step, call in plan.calls.items() if call.poll} == {"a", "b"}


def test_a_loop_of_several_steps_waits_at_its_head(built: Callable[..., Plan]) -> None:
    plan = built(
        [
            step("a"),
            step("b", "listThings", onSuccess=[goto("again", "a", "$response.body#/s == 'busy'"), end("done")]),
        ]
    )

    assert [(one.name, one.step) for one in plan.states if one.polls] == [("polling", "a")]
    assert ("again", "polling", "") in rows(plan, "b")
    assert edge(plan, "polling", "next").target == plan.named("b").id
    assert {step for step, call in plan.calls.items() if call.poll} == {"a", "b"}


def test_answers_to_wait_out_stand_behind_the_actions_and_before_tolerance(built: Callable[..., Plan]) -> None:
    wait = {"poll": {"wait": [{"condition": "$response.body#/s == 'updating'"}]}}
    steps = [step("a", onSuccess=[goto("more", "a", "$statusCode == 202"), end("done", "1 == 2")])]
    steps[0]["x-machine"] = wait
    labels = [label for label, _, _ in rows(built(steps), "a")]

    assert labels == [
        "more",
        "done",
        "wait",
        "tolerated",
        "tolerance used up",
        "credential refused",
        "unmatched",
        "broke",
    ]
    strict = [label for label, _, _ in rows(built(steps, strict=True), "a")]
    assert strict == ["more", "done", "wait", "credential refused", "unmatched", "broke"]


# -- failure actions ---------------------------------------------------------------------------------------------------


def test_failure_actions_become_ends_gotos_and_limited_retries(built: Callable[..., Plan]) -> None:
    plan = built(
        [
            step("a"),
            step(
                "b",
                "putThing",
                onFailure=[
                    retry("patient", "$statusCode == 503", retryAfter=2.5, retryLimit=3),
                    retry("once", "$statusCode == 500"),
                    retry("never", "$statusCode == 501", retryLimit=0),
                    goto("back", "a", "$statusCode == 404"),
                    end("hopeless"),
                    end("unseen"),
                ],
            ),
        ]
    )
    found = {
        one.label: (one.guard.facts, one.pace, one.retry_after, one.retry_limit, one.stop)
        for one in plan.leaving(plan.named("b").id)
        if one.rule == "action"
    }

    assert found == {
        "patient": (("!held", "retries"), "retry", 2.5, 3, ""),
        "once": (("!held", "retries"), "retry", 1.0, 1, ""),
        "never": (("!held", "retries"), "retry", 1.0, 0, ""),
        "back": (("!held",), "poll", 0.0, 0, ""),
        "hopeless": (("!held",), "none", 0.0, 0, "failure_action"),
    }
    assert plan.named("hopeless").phase == "failed"


def test_a_retry_without_criteria_does_not_end_the_list(built: Callable[..., Plan]) -> None:
    plan = built([step("a", onFailure=[retry("again"), end("gone")])])

    assert [label for label, _, _ in rows(plan, "a")] == ["completed", "again", "gone", "credential refused", "broke"]


SHARED = {"successActions": [end("enough", "$statusCode == 204"), end("other")], "failureActions": [end("given-up")]}


@pytest.mark.parametrize(
    ("inheritance", "on_success", "expected"),
    [
        pytest.param("merge", None, ["enough", "other"], id="only-the-workflows"),
        pytest.param("merge", [end("enough", "$statusCode == 299")], ["enough", "other"], id="redefined-by-name"),
        pytest.param("merge", [goto("x", "a", "1 == 2")], ["x", "enough", "other"], id="step-first"),
        pytest.param("replace", None, ["enough", "other"], id="replace-nothing"),
        pytest.param("replace", [goto("x", "a", "1 == 2")], ["x"], id="replace-all"),
        pytest.param("replace", [], [], id="replace-by-none"),
    ],
)
def test_actions_of_the_workflow_are_inherited(
    built: Callable[..., Plan], inheritance: str, on_success: list[Any] | None, expected: list[str]
) -> None:
    own = {} if on_success is None else {"onSuccess": on_success}
    plan = built([step("a", **own)], workflow={**SHARED, "x-machine": {"actionInheritance": inheritance}})
    actions = [one for one in plan.leaving(plan.named("a").id) if one.rule == "action"]

    assert [one.label for one in actions if "held" in one.guard.facts] == expected
    assert [one.label for one in actions if "!held" in one.guard.facts] == ["given-up"]


def test_an_action_redefined_by_a_step_keeps_the_words_of_the_step(built: Callable[..., Plan]) -> None:
    plan = built([step("a", onSuccess=[end("enough", "$statusCode == 299")])], workflow=SHARED)

    assert edge(plan, "a", "enough").guard.text == "$statusCode == 299"


# -- limits, kinds and what is kept beside the table -------------------------------------------------------------------


def test_limits_have_defaults_and_come_from_the_workflow(built: Callable[..., Plan]) -> None:
    plain = built([step("a")])
    given = built([step("a")], workflow={"x-machine": {"deadline": "90s", "calls": 7, "transitions": 9}})

    assert (plain.deadline, plain.call_limit, plain.transition_limit) == (3600.0, 10_000, 10_000)
    assert (given.deadline, given.call_limit, given.transition_limit) == (90.0, 7, 9)
    assert built([step("a")], workflow={"x-machine": {"deadline": 0}}).deadline == 0.0


def test_a_plan_says_where_its_calls_go_and_what_it_was_made_from(built: Callable[..., Plan]) -> None:
    plan = built([step("a")], workflow={"outputs": {"x": "$steps.a.outputs.y"}, "summary": "In short"})

    assert plan.servers == {"things": ("https://things.example/v1",)}
    assert plan.sources == {"things": {"name": "things", "url": "things.json", "type": "openapi"}}
    assert (plan.workflow, plan.title, plan.document, plan.arazzo) == ("w", "In short", "test.arazzo.json", "1.0.1")
    assert len(plan.document_sha256) == 64
    assert list(plan.outputs) == ["x"]


def test_every_fact_a_plan_uses_has_words_and_every_stop_an_exit_code(
    user_plan: Plan, built: Callable[..., Plan]
) -> None:
    for plan in (user_plan, built(EVERYTHING), built([step("a", onFailure=[end("x")])])):
        facts = {fact for one in plan.transitions for fact in one.guard.facts}

        assert {fact.removeprefix("!") for fact in facts} <= {fact.removeprefix("!") for fact in FACTS}
        assert {one.stop for one in plan.transitions} <= {"", *EXIT_CODES}
        assert all(one.pace != "none" for one in plan.transitions if not one.stop), "what goes on makes a call"
        assert all(isinstance(one.guard.text, str) for one in plan.transitions)


def test_the_last_guard_of_every_call_always_holds(user_plan: Plan, built: Callable[..., Plan]) -> None:
    for plan in (user_plan, built(EVERYTHING)):
        for state in plan.states:
            answers = [one for one in plan.leaving(state.id) if "replied" in one.on]

            assert bool(answers) == (state.kind == "call")
            assert not answers or (answers[-1].guard.facts, answers[-1].guard.criteria) == ((), ())


# -- which workflow ----------------------------------------------------------------------------------------------------


def two_workflows() -> Description:
    workflows = [{"workflowId": name, "steps": [{"stepId": "a", "operationId": "go"}]} for name in ("one", "two")]
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": "s", "url": "s.json", "type": "openapi"}],
        "workflows": workflows,
    }
    api = {
        "openapi": "3.1.0",
        "info": {"title": "s", "version": "1"},
        "servers": [{"url": "https://s.example"}],
        "paths": {"/": {"get": {"operationId": "go", "responses": {"200": {"description": "ok"}}}}},
    }
    texts = {"d.json": json.dumps(document).encode(), "s.json": json.dumps(api).encode()}
    return describe("d.json", read=texts.__getitem__)


def test_of_several_workflows_one_is_chosen_by_name() -> None:
    assert build_plan(two_workflows(), workflow="two").workflow == "two"


@pytest.mark.parametrize(
    ("name", "code"), [pytest.param("", "AZM-U030", id="unsaid"), pytest.param("three", "AZM-U031", id="unknown")]
)
def test_a_choice_that_is_not_clear_is_refused_with_the_names(name: str, code: str) -> None:
    with pytest.raises(UsageError) as refused:
        build_plan(two_workflows(), workflow=name)

    assert refused.value.code == code
    assert "one, two" in refused.value.seen + refused.value.next


# -- document words are only data --------------------------------------------------------------------------------------

AWKWARD = ["send", "states", "model", "__init__", "failed", "polling", "in_doubt", "e_replied", "s_0", "name", "class"]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_step_may_be_called_anything(built: Callable[..., Plan], name: str) -> None:
    plan = built([step(name, "makeThing"), step("w", onSuccess=[goto(name, "w", "$statusCode == 202"), end(name)])])

    assert plan.states[0].name == name
    assert len({one.name for one in plan.states}) == len(plan.states)
    assert [one.id for one in plan.states] == [f"s_{number}" for number in range(len(plan.states))]
    assert Chart(plan).machine_class.__name__.startswith("Chart_")


def test_a_failure_may_lead_back_to_any_step_of_a_loop(built: Callable[..., Plan]) -> None:
    """Only its head has a state that waits."""
    plan = built(
        [
            {"stepId": "a", "operationId": "getThing"},
            {
                "stepId": "b",
                "operationId": "getThing",
                "onSuccess": [{"name": "x", "type": "goto", "stepId": "a"}],
                "onFailure": [{"name": "y", "type": "goto", "stepId": "b"}],
            },
        ]
    )
    (back,) = [one for one in plan.transitions if one.label == "y"]

    assert (plan.state(back.target).step, plan.state(back.target).polls, back.pace) == ("b", False, "poll")
