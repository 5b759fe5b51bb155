from __future__ import annotations

from collections.abc import Callable

import pytest

from machine.plan.model import State
from machine.plan.table import Table


def answered(table: Table, source: str, target: str, label: str, **fields: str) -> None:
    table.edge(source, target, ("replied",), label, "action", **fields)  # type: ignore[arg-type]


def test_ends_are_made_once_by_name_and_outcome() -> None:
    table = Table()
    first = table.end("done", "ready")

    assert table.end("done", "ready") == first
    assert table.end("done", "failed") != first
    assert [(one.name, one.phase, one.kind) for one in table.states] == [
        ("done", "ready", "final"),
        ("done", "failed", "final"),
    ]


def test_pruning_keeps_what_can_be_reached_and_numbers_it_in_table_order() -> None:
    table = Table()
    first, lost, last = (table.state("call", step=name) for name in "abc")
    doubt = table.state("doubt", step="c", of=last)
    answered(table, lost, first, "from nowhere")
    answered(table, last, doubt, "doubt")
    answered(table, first, last, "one")
    answered(table, first, first, "two")
    table.prune()

    assert [(one.id, one.step) for one in table.states] == [("s_0", "a"), ("s_1", "c"), ("s_2", "c")]
    assert table.states[2].of == "s_1"
    assert [(one.id, one.source, one.target, one.label) for one in table.transitions] == [
        ("t_0", "s_0", "s_1", "one"),
        ("t_1", "s_0", "s_0", "two"),
        ("t_2", "s_1", "s_2", "doubt"),
    ]


def test_a_copy_makes_the_same_move_on_another_event_under_more_facts() -> None:
    table = Table()
    one, other, end = table.state("call"), table.state("doubt"), table.end("done", "ready")
    table.edge(one, end, ("replied",), "done", "action", "held", stop="ended")
    table.copy(table.transitions[0], source=other, on=("resolved",), facts=("adopted",))
    made = table.transitions[1]

    assert (made.source, made.target, made.on, made.stop) == (other, end, ("resolved",), "ended")
    assert made.guard.facts == ("adopted", "held")
    assert made.id != table.transitions[0].id


def calls(steps: set[str]) -> Callable[[State], bool]:
    """Whether a state makes the call of one of these steps."""
    return lambda state: state.kind == "call" and state.step in steps


@pytest.mark.parametrize(
    ("unsafe", "expected"),
    [
        pytest.param(set(), ["starting", "starting", "starting"], id="nothing-unsafe"),
        pytest.param({"a"}, ["starting", "created", "created"], id="the-first"),
        pytest.param({"b"}, ["starting", "starting", "created"], id="the-second"),
        pytest.param({"c"}, ["starting", "starting", "starting"], id="the-last"),
    ],
)
def test_a_phase_says_whether_an_unsafe_call_before_it_may_have_been_applied(
    unsafe: set[str], expected: list[str]
) -> None:
    table = Table()
    a, b, c = (table.state("call", step=name) for name in "abc")
    for source, target in ((a, a), (a, b), (b, c), (c, c)):
        answered(table, source, target, "on")

    assert list(table.phases(calls(unsafe)).values()) == expected


def test_the_phase_of_a_loop_over_an_unsafe_step_knows_the_round_before() -> None:
    table = Table()
    a, b = (table.state("call", step=name) for name in "ab")
    answered(table, a, b, "on")
    answered(table, b, a, "back")

    assert list(table.phases(calls({"b"})).values()) == ["created", "created"]


def test_doubt_counts_as_created_and_leads_back_to_a_call_that_may_be_the_first() -> None:
    table = Table()
    call = table.state("call", step="a")
    doubt = table.state("doubt", step="a", of=call)
    waiting = table.state("call", step="b", polls=True)
    answered(table, call, doubt, "doubt")
    table.edge(doubt, call, ("resolved",), "not sent", "settle")
    answered(table, call, waiting, "on")

    assert list(table.phases(calls({"a"})).values()) == ["starting", "created", "polling"]
