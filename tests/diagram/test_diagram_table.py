"""The machine as text: every state, every move, whole guards, and nothing a terminal obeys."""

from __future__ import annotations

from collections.abc import Callable

from machine.chart.snapshot import Record
from machine.diagram import diagram_of, render
from machine.diagram.table import columns
from machine.plan.model import Plan


def test_a_machine_is_two_tables(endpoint_plan: Plan) -> None:
    title, _, *lines = render(endpoint_plan, format="text").splitlines()
    states, moves = lines[: lines.index("")], lines[lines.index("") + 1 :]
    diagram = diagram_of(endpoint_plan)

    assert title == endpoint_plan.title
    assert states[0].split() == ["STATE", "PHASE", "DOES"]
    assert [line.split()[0] for line in states[1:]] == [node.name for node in diagram.nodes]
    assert moves[0].split() == ["FROM", "TO", "BY", "WHEN"]
    assert any("$.status.state == 'pending' || $.status.state == 'initializing'" in line for line in moves)
    assert render(endpoint_plan, format="text") == render(endpoint_plan, format="text")


def test_a_run_is_counted_and_timed_and_where_it_is_is_marked(
    endpoint_plan: Plan, ready_run: tuple[Record, ...]
) -> None:
    lines = render(endpoint_plan, format="text", records=ready_run).splitlines()
    marked = [line.split() for line in lines if line.startswith(">")]

    assert lines[1].startswith("record 6: ready after 6s")
    assert any(line.split()[:4] == ["polling", "polling", "4", "4s"] for line in lines)
    assert [line[:3] for line in marked] == [[">", "ready", "ready"], [">", "polling", "ready"]]


def test_a_workflow_that_is_run_stands_before_its_states(nested_plan: Plan) -> None:
    assert "second / " in render(nested_plan, format="text")


def test_no_name_acts(naughty_name: str, plan_named: Callable[..., Plan]) -> None:
    text = render(plan_named(naughty_name), format="text")

    assert text.replace("\n", "").isprintable() or "\N{REPLACEMENT CHARACTER}" in text
    assert not set(text) & set("\x1b\x07\u202e\r\x9b\0")


def test_only_the_last_column_is_neither_padded_nor_cut() -> None:
    assert list(columns([["a", "long", "x" * 300], ["bb", "c", ""]])) == [f"a   long  {'x' * 300}", "bb  c"]
    assert list(columns([])) == []
