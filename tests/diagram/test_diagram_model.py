from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.chart.snapshot import Record
from machine.diagram.colours import LOOKS
from machine.diagram.model import Diagram, Edge, Node, diagram_of, printable, span, wrap
from machine.errors import UsageError
from machine.plan.model import Plan, PollPolicy

Records = tuple[Record, ...]


def node(diagram: Diagram, identity: str) -> Node:
    return next(one for one in diagram.nodes if one.id == identity)


def edges(diagram: Diagram, source: str, target: str) -> list[Edge]:
    return [one for one in diagram.edges if (one.source, one.target) == (source, target)]


def ends(diagram: Diagram) -> set[tuple[str, str]]:
    return {(one.source, one.target) for one in diagram.edges}


# -- the plan alone ----------------------------------------------------------------------------------------------------


def test_every_state_is_one_node_in_the_plans_order(endpoint_plan: Plan) -> None:
    diagram = diagram_of(endpoint_plan)

    assert [one.id for one in diagram.nodes] == [state.id for state in endpoint_plan.states]
    assert [one.name for one in diagram.nodes if one.initial] == ["createEndpoint"]
    assert not any(one.current or one.visits for one in diagram.nodes)
    assert not diagram.traced


def test_the_moves_of_the_users_workflow_are_drawn(endpoint_plan: Plan) -> None:
    assert ends(diagram_of(endpoint_plan)) == {
        ("s_create", "s_doubt"),
        ("s_create", "s_created"),
        ("s_create", "s_failed"),
        ("s_created", "s_polling"),
        ("s_created", "s_ready"),
        ("s_created", "s_failed"),
        ("s_polling", "s_polling"),
        ("s_polling", "s_ready"),
        ("s_polling", "s_failed"),
        ("s_doubt", "s_create"),
        ("s_doubt", "s_created"),
    }


def test_housekeeping_tolerance_and_stops_in_place_are_not_drawn(endpoint_plan: Plan) -> None:
    labels = {label for one in diagram_of(endpoint_plan).edges for label in one.label.split("\n")}

    assert labels == {"in doubt", "created", "broke", "stillStarting", "ready", "unmatched", "not sent"}


def test_an_action_is_an_edge_of_its_own_with_the_documents_words(endpoint_plan: Plan) -> None:
    (waiting,) = edges(diagram_of(endpoint_plan), "s_created", "s_polling")

    assert waiting.rule == "action"
    assert waiting.label == "stillStarting"
    assert waiting.guard == "$.status.state == 'pending' || $.status.state == 'initializing'"


def test_two_actions_between_the_same_states_stay_two_edges(endpoint_plan: Plan) -> None:
    action = next(one for one in endpoint_plan.transitions if one.label == "ready")
    twice = replace(endpoint_plan, transitions=(*endpoint_plan.transitions, replace(action, id="t_99", label="warm")))

    assert [one.label for one in edges(diagram_of(twice), "s_created", "s_ready")] == ["ready", "warm"]


def test_the_machines_own_rules_between_two_states_share_an_edge(endpoint_plan: Plan) -> None:
    (failing,) = edges(diagram_of(endpoint_plan), "s_polling", "s_failed")

    assert failing.caption(traced=False) == ["unmatched", "broke"]
    assert failing.guard.split("\n") == ["the step succeeded", "otherwise"]
    assert failing.rule == "unmatched"


def test_equal_captions_are_stacked_once(endpoint_plan: Plan) -> None:
    broke = next(one for one in endpoint_plan.transitions if one.label == "broke")
    twice = replace(endpoint_plan, transitions=(*endpoint_plan.transitions, replace(broke, id="t_99")))

    assert edges(diagram_of(twice), "s_create", "s_failed")[0].caption(traced=False) == ["broke"]


def test_a_label_with_several_guards_stands_alone(endpoint_plan: Plan) -> None:
    doubt = next(one for one in endpoint_plan.transitions if one.rule == "doubt")
    other = replace(doubt, id="t_99", guard=replace(doubt.guard, facts=("!held",)))
    twice = replace(endpoint_plan, transitions=(*endpoint_plan.transitions, other))

    assert edges(diagram_of(twice), "s_create", "s_doubt")[0].caption(traced=False) == ["in doubt"]


def test_an_action_that_several_events_take_is_one_edge(endpoint_plan: Plan) -> None:
    action = next(one for one in endpoint_plan.transitions if one.label == "ready")
    twice = replace(endpoint_plan, transitions=(*endpoint_plan.transitions, replace(action, id="t_99")))

    assert len(edges(diagram_of(twice), action.source, action.target)) == 1


def test_only_a_loop_says_so(endpoint_plan: Plan) -> None:
    assert {(one.source, one.target) for one in diagram_of(endpoint_plan).edges if one.loop} == {
        ("s_polling", "s_polling")
    }


@pytest.mark.parametrize(
    ("state", "subtitle"),
    [
        ("s_create", "POST /endpoint/{namespace}"),
        ("s_created", "GET /endpoint/{namespace}/{name}"),
        ("s_polling", "GET /endpoint/{namespace}/{name}\nevery 5s x1.5 to 30s"),
        ("s_doubt", "was createEndpoint applied?"),
        ("s_ready", ""),
    ],
)
def test_a_node_says_below_its_name_what_is_called_and_how_often(
    endpoint_plan: Plan, state: str, subtitle: str
) -> None:
    assert node(diagram_of(endpoint_plan), state).subtitle == subtitle


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (PollPolicy(), "every 5s x1.5 to 30s"),
        (PollPolicy(interval=0.5, backoff=2, max=60), "every 0.5s x2 to 60s"),
        (PollPolicy(interval=7, backoff=1), "every 7s"),
        (PollPolicy(interval=30, max=30), "every 30s"),
    ],
    ids=["default", "fractions", "no growth", "no room to grow"],
)
def test_the_pace_of_polling_is_short(endpoint_plan: Plan, policy: PollPolicy, text: str) -> None:
    call = replace(endpoint_plan.calls["pollStatus"], poll=policy)
    plan = replace(endpoint_plan, calls={**endpoint_plan.calls, "pollStatus": call})

    assert node(diagram_of(plan), "s_polling").subtitle.split("\n")[1] == text


def test_doubt_has_a_look_of_its_own_and_every_node_has_one(endpoint_plan: Plan) -> None:
    diagram = diagram_of(endpoint_plan)

    assert node(diagram, "s_doubt").look == "doubt"
    assert {one.look for one in diagram.nodes} == set(LOOKS)


# -- with a history ----------------------------------------------------------------------------------------------------


def test_edges_count_how_often_the_run_took_them(endpoint_plan: Plan, ready_run: Records) -> None:
    diagram = diagram_of(endpoint_plan, records=ready_run)

    assert diagram.traced
    assert {(one.source, one.target, one.label): one.visits for one in diagram.edges if one.visits} == {
        ("s_create", "s_created", "created"): 1,
        ("s_created", "s_polling", "stillStarting"): 1,
        ("s_polling", "s_polling", "stillStarting"): 2,
        ("s_polling", "s_polling", "tolerated"): 1,
        ("s_polling", "s_ready", "ready"): 1,
    }


def test_a_taken_edge_says_how_often_and_others_do_not(endpoint_plan: Plan, ready_run: Records) -> None:
    diagram = diagram_of(endpoint_plan, records=ready_run)
    taken = next(one for one in edges(diagram, "s_polling", "s_polling") if one.rule == "action")

    assert taken.caption(traced=True)[-1] == "x2"
    assert edges(diagram, "s_created", "s_ready")[0].caption(traced=True) == ["ready", "status.state: running"]


def test_a_guard_without_a_short_form_stands_whole_where_there_is_no_legend(endpoint_plan: Plan) -> None:
    ready = edges(diagram_of(endpoint_plan), "s_created", "s_ready")[0]
    long = replace(ready, short="")

    assert long.caption(traced=False) == ["ready", "$.status.state == 'running'"]
    assert long.caption(traced=False, whole=False) == ["ready"]


def test_nodes_count_how_often_they_were_entered(endpoint_plan: Plan, ready_run: Records) -> None:
    visits = {one.id: one.visits for one in diagram_of(endpoint_plan, records=ready_run).nodes}

    assert visits == {"s_create": 1, "s_created": 1, "s_polling": 4, "s_ready": 1, "s_failed": 0, "s_doubt": 0}


def test_the_state_the_run_is_in_is_lit(endpoint_plan: Plan, ready_run: Records) -> None:
    lit = [
        [one.id for one in diagram_of(endpoint_plan, records=ready_run[:count]).nodes if one.current]
        for count in range(len(ready_run) + 1)
    ]

    assert lit == [[], ["s_create"], ["s_created"], *[["s_polling"]] * 4, ["s_ready"]]


def test_a_state_given_is_lit_instead(endpoint_plan: Plan, ready_run: Records) -> None:
    diagram = diagram_of(endpoint_plan, records=ready_run, current="s_created")

    assert [one.id for one in diagram.nodes if one.current] == ["s_created"]


def test_lighting_a_state_alone_does_not_trace(endpoint_plan: Plan) -> None:
    diagram = diagram_of(endpoint_plan, current="s_polling")

    assert node(diagram, "s_polling").current
    assert not diagram.traced


def test_a_state_that_does_not_exist_cannot_be_lit(endpoint_plan: Plan) -> None:
    with pytest.raises(UsageError) as raised:
        diagram_of(endpoint_plan, current="polling\x1b[31m")

    assert raised.value.code == "AZM-U021"
    assert "\x1b" not in str(raised.value)


def test_a_stop_in_place_is_drawn_once_it_happened_and_is_no_visit(
    endpoint_plan: Plan, records_of: Callable[..., Records]
) -> None:
    records = records_of(endpoint_plan, "s_create:start", "s_create:created", "s_created:tolerance used up")
    diagram = diagram_of(endpoint_plan, records=records)

    assert [(one.label, one.visits) for one in edges(diagram, "s_created", "s_created")] == [("tolerance used up", 1)]
    assert node(diagram, "s_created").visits == 1


def test_reopening_into_doubt_is_drawn_once_it_happened(
    endpoint_plan: Plan, records_of: Callable[..., Records]
) -> None:
    reopened = next(one for one in endpoint_plan.transitions if one.rule == "reopen" and one.target == "s_doubt")
    record = records_of(endpoint_plan, "s_create:in doubt")[0]
    record = replace(record, moves=(replace(record.moves[0], transition=reopened.id),))
    (edge,) = edges(diagram_of(endpoint_plan, records=[record]), "s_create", "s_doubt")

    assert edge.visits == 1
    assert edge.caption(traced=True) == ["in doubt", "x1"]


def test_cancelling_and_reopening_in_place_are_never_drawn(
    endpoint_plan: Plan, records_of: Callable[..., Records]
) -> None:
    records = records_of(endpoint_plan, "s_create:start", "s_create:cancelled", "s_create:look again")

    assert edges(diagram_of(endpoint_plan, records=records), "s_create", "s_create") == []


# -- large plans -------------------------------------------------------------------------------------------------------


def test_a_small_plan_shares_its_end(chain_plan: Callable[[int], Plan]) -> None:
    diagram = diagram_of(chain_plan(7))

    assert not diagram.large
    assert len(diagram.nodes) == 9
    assert len([one for one in diagram.edges if one.target == "s_failed"]) == 7


def test_a_large_plan_has_an_end_for_every_state_that_can_fail(chain_plan: Callable[[int], Plan]) -> None:
    diagram = diagram_of(chain_plan(8))

    assert diagram.large
    assert len(diagram.nodes) == 8 + 1 + 8
    assert max([one.target for one in diagram.edges].count(end.id) for end in diagram.nodes) == 1
    assert edges(diagram, "s_3", "s_failed-s_3")[0].label == "broke"
    assert len({one.id for one in diagram.nodes}) == len(diagram.nodes)


def test_only_the_end_that_was_reached_is_lit_and_counted(
    chain_plan: Callable[[int], Plan], records_of: Callable[..., Records]
) -> None:
    plan = chain_plan(13)
    diagram = diagram_of(plan, records=records_of(plan, "s_0:next", "s_1:broke"))

    assert [one.id for one in diagram.nodes if one.current] == ["s_failed-s_1"]
    assert [one.id for one in diagram.nodes if one.visits] == ["s_1", "s_failed-s_1"]


def test_a_good_end_many_states_lead_to_is_copied_too(chain_plan: Callable[[int], Plan]) -> None:
    plan = chain_plan(13)
    broke = [one for one in plan.transitions if one.label == "broke"]
    early = [replace(one, id=f"e_{one.id}", target="s_done", label="early", rule="action") for one in broke[:5]]
    diagram = diagram_of(replace(plan, transitions=(*plan.transitions, *early)))

    assert len([one for one in diagram.nodes if one.name == "completed"]) == 6


# -- text --------------------------------------------------------------------------------------------------------------


def test_a_diagram_holds_no_character_that_acts(naughty_plan: Plan) -> None:
    diagram = diagram_of(naughty_plan)
    texts = [diagram.title, *(one.name + one.subtitle for one in diagram.nodes), *(one.label for one in diagram.edges)]

    assert all(text == printable(text) for text in texts)


def test_a_state_without_a_name_shows_its_id(plan_named: Callable[..., Plan]) -> None:
    assert [one.name for one in diagram_of(plan_named("")).nodes] == ["s_0", "d_0"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("  $x == 'a  b'  ", "$x == 'a  b'"),
        ("one\r\n  two\tthree", "one two three"),
        ("\x1b[31m", "�[31m"),
        ("a\x7fb\x9bc", "a�b�c"),
        ("safe\u202etxt", "safe�txt"),
        ("a\u2028b", "a b"),
        ("\ud800\ufffe\U0001ffff", "���"),
        ("起動 ünï 🚀", "起動 ünï 🚀"),
    ],
)
def test_text_is_one_line_that_means_the_same_to_everybody(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_printable_text_stays_as_it_is(text: str) -> None:
    once = printable(text)

    assert printable(once) == once
    assert once.encode().decode() == once
    assert "\n" not in once


@given(st.text(alphabet=" /ab$"), st.integers(min_value=1, max_value=12))
def test_wrapping_keeps_every_character_and_the_width(text: str, width: int) -> None:
    lines = wrap(text, width)

    assert lines
    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("   ", [""]),
        ("one two three", ["one two", "three"]),
        ("GET /a/bcdefg", ["GET /a", "/bcdefg"]),
        ("x" * 20, ["x" * 8, "x" * 8, "x" * 4]),
        ("ab " + "y" * 10, ["ab", "y" * 8, "yy"]),
    ],
)
def test_lines_break_at_spaces_and_slashes_and_only_then_in_words(text: str, lines: list[str]) -> None:
    assert wrap(text, 8) == lines


def test_a_run_is_traced_through_every_workflow(nested_plan: Plan, drive: Callable[..., Any]) -> None:
    run = drive(nested_plan).reply().reply()
    diagram = diagram_of(nested_plan, records=run.records)
    ways = [edge.visits for edge in diagram.edges if edge.rule == "runs"]
    visits = {node.name: node.visits for node in diagram.nodes if node.kind in ("call", "workflow")}

    assert run.reason == "completed"
    assert ways == [1, 1, 1]
    assert visits == {"r": 1, "x": 1, "y": 1, "s": 2}
    assert [node.name for node in diagram.nodes if node.current] == ["completed"]


# -- time and budgets --------------------------------------------------------------------------------------------------


def test_a_run_says_how_long_it_was_where_and_what_decided_last(endpoint_plan: Plan, ready_run: Records) -> None:
    diagram = diagram_of(endpoint_plan, records=ready_run)

    assert [(one.name, one.lasted) for one in diagram.nodes if one.lasted] == [
        ("createEndpoint", "1s"),
        ("created", "1s"),
        ("polling", "4s"),
    ]
    assert [(one.source, one.target) for one in diagram.edges if one.last] == [("s_polling", "s_ready")]
    assert diagram.subtitle == "record 6: ready after 6s"
    assert diagram_of(endpoint_plan).subtitle == ""


def test_a_retry_says_its_budget(endpoint_plan: Plan) -> None:
    action = next(one for one in endpoint_plan.transitions if one.label == "ready")
    facts = replace(action.guard, facts=("!held", "retries"))
    for limit, after, said in ((3, 2.5, "at most 3 times, after 2.5s"), (1, 0.0, "once")):
        again = replace(action, id="t_99", label="again", guard=facts, retry_limit=limit, retry_after=after)
        plan = replace(endpoint_plan, transitions=(*endpoint_plan.transitions, again))
        (edge,) = [one for one in diagram_of(plan).edges if one.label == "again"]

        assert edge.caption(traced=False, whole=False) == ["again", "status.state: running", said]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.454, "0.45s"), (9.9, "9.9s"), (59.4, "59s"), (130, "2m10s"), (3900, "1h05m"), (266400, "3d02h")],
    ids=str,
)
def test_a_length_of_time_is_short(seconds: float, text: str) -> None:
    assert span(seconds) == text
