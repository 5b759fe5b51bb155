from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.snapshot import Record
from machine.diagram import diagram_of, render, render_dot
from machine.diagram.model import printable
from machine.plan.model import Plan
from machine.runtime.layout import render_svg

STRING = r'"(?:[^"\\]|\\.)*"'
ATTRIBUTES = rf"\[[a-z]+={STRING}(?:, [a-z]+={STRING})*\]"
LINE = re.compile(
    rf"digraph machine {{|}}"
    rf"|  (?:graph|node|edge|start|legend|n\d+) {ATTRIBUTES};"
    rf"|  n\d+ -> legend \[style=\"invis\"\];"
    rf"|  (?:start|n\d+) -> n\d+ {ATTRIBUTES};"
    rf"|  subgraph cluster_key {{|  }}|    (?:graph|node|k\d+) {ATTRIBUTES};"
    r"|    { rank=same; k\d+(?:; k\d+)*; }"
)
ALLOWED = {
    "arrowsize", "bgcolor", "class", "color", "fillcolor", "fontcolor", "fontname", "fontsize", "group", "headport",
    "height", "id", "label", "labelloc", "margin", "nodesep", "pad", "penwidth", "peripheries", "rankdir", "ranksep",
    "shape", "style", "tailport", "weight", "width",
}  # fmt: skip
"""Every attribute the writer uses: none of them links, loads or runs anything."""


def parsed(dot: str) -> Any:
    return pytest.importorskip("pygraphviz").AGraph(string=dot)


def shown_by_graphviz(label: str) -> str:
    """A label as Graphviz reads it: escapes resolved, then HTML entities."""
    return html.unescape(re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], label))


def states(graph: Any) -> list[Any]:
    return [one for one in graph.nodes() if re.fullmatch(r"n\d+", one)]


def line(dot: str, start: str) -> str:
    (found,) = [one for one in dot.splitlines() if one.startswith(start)]
    return found


# -- form --------------------------------------------------------------------------------------------------------------


def test_the_same_plan_gives_the_same_bytes(endpoint_plan: Plan, ready_run: tuple[Record, ...]) -> None:
    again = replace(endpoint_plan, calls=dict(reversed(endpoint_plan.calls.items())))

    assert render(endpoint_plan, format="dot") == render(again, format="dot")
    assert render(endpoint_plan, format="dot", records=ready_run) == render(again, format="dot", records=ready_run)


def test_nodes_and_edges_stand_in_the_plans_order(endpoint_plan: Plan) -> None:
    dot = render(endpoint_plan, format="dot")

    assert re.findall(r'^  n\d+ \[id="(\w+)"', dot, re.MULTILINE) == [one.id for one in endpoint_plan.states]
    assert re.findall(r'-> n\d+ \[id="(\w+)"', dot) == [one.id for one in diagram_of(endpoint_plan).edges]


def test_every_line_is_of_a_known_form(endpoint_plan: Plan, ready_run: tuple[Record, ...]) -> None:
    dot = render(endpoint_plan, format="dot", records=ready_run)

    assert [one for one in dot.splitlines() if not LINE.fullmatch(one)] == []
    assert dot.endswith("}\n")


def test_graphviz_reads_the_nodes_and_edges_of_the_diagram(endpoint_plan: Plan) -> None:
    graph = parsed(render(endpoint_plan, format="dot"))
    diagram = diagram_of(endpoint_plan)

    assert len(states(graph)) == len(diagram.nodes)
    assert len([one for one in graph.edges() if one[0] != "start" and one[1] != "legend"]) == len(diagram.edges)
    assert len([one for one in graph.nodes() if one.startswith("k")]) == 6
    assert graph.get_node("n2").attr["id"] == "s_polling"


# -- looks -------------------------------------------------------------------------------------------------------------


def test_ends_have_a_double_border_and_doubt_a_dashed_one(endpoint_plan: Plan) -> None:
    dot = render(endpoint_plan, format="dot")

    assert [int(one) for one in re.findall(r'^  n(\d+) .*peripheries="2"', dot, re.MULTILINE)] == [3, 4]
    assert 'style="rounded,filled,dashed"' in line(dot, "  n5 [")
    assert 'style="dashed"' in line(dot, "  n0 -> n5 ")
    assert 'style="dashed"' in line(dot, "  n5 -> n1 ")
    assert "dashed" not in line(dot, "  n0 -> n1 ")


def test_a_bad_end_has_corners_so_that_it_is_known_without_colours(endpoint_plan: Plan) -> None:
    dot = render(endpoint_plan, format="dot")
    keys = [one for one in dot.splitlines() if re.match(r"    k\d+ \[", one)]

    assert 'shape="octagon"' in line(dot, "  n4 [")
    assert "octagon" not in line(dot, "  n3 [")
    assert [one.split('"')[1] for one in keys if "octagon" in one] == ["failed"]
    assert [one.split('"')[1] for one in keys if "dashed" in one] == ["in doubt"]
    assert [one.split('"')[1] for one in keys if "peripheries" in one] == ["ready", "failed"]


def test_the_run_begins_at_a_point(endpoint_plan: Plan) -> None:
    assert "  start -> n0 [" in render(endpoint_plan, format="dot")


def test_a_guard_is_short_beside_its_arrow_and_whole_in_the_legend(endpoint_plan: Plan) -> None:
    dot = render(endpoint_plan, format="dot")
    beside = re.search(r'label="([^"]*)"', line(dot, "  n1 -> n2 "))
    legend = re.search(r'label="([^"]*)"', line(dot, "  legend ["))

    assert beside is not None
    assert [one.strip() for one in beside[1].split("\\n")] == [
        "stillStarting",
        "status.state: pending",
        "| initializing",
    ]
    assert legend is not None
    assert "stillStarting: $.status.state == 'pending' || $.status.state == 'initializing'" in legend[1].split("\\l")
    assert "otherwise" not in legend[1]


def test_a_long_guard_is_wrapped_in_the_legend_and_never_cut(endpoint_plan: Plan) -> None:
    diagram = diagram_of(endpoint_plan)
    first, *rest = diagram.edges
    guard = " || ".join(f"$statusCode == {number}" for number in range(200, 260))
    dot = render_dot(replace(diagram, edges=(replace(first, guard=guard, label="many"), *rest)))
    legend = re.search(r'label="([^"]*)"', line(dot, "  legend ["))

    assert legend is not None
    lines = legend[1].split("\\l")
    assert max(map(len, lines)) <= 114
    assert f"many: {guard}" in " ".join(one.strip() for one in lines)


def test_without_a_guard_there_is_no_legend(plan_named: Callable[..., Plan]) -> None:
    assert "legend" not in render(plan_named("one"), format="dot")


def test_a_very_long_name_is_wrapped_and_never_cut(plan_named: Callable[..., Plan]) -> None:
    label = re.search(r'label="( *x[^"]*)"', line(render(plan_named("x" * 5000), format="dot"), "  n0 ["))

    assert label is not None
    assert label[1].count("x") == 2 * 5000, "once as the name, once in the path"
    assert max(len(one.strip()) for one in label[1].split("\\n")) <= 34


def test_a_name_that_a_picture_shows_in_bold_has_room_for_it(plan_named: Callable[..., Plan]) -> None:
    dot = render(plan_named("qualifyingProductsNotFound"), format="dot")

    # Measured as if it were not bold, it would reach over the border.
    assert 'label="    qualifyingProductsNotFound    \\n' in line(dot, "  n0 [")
    assert 'label="next' not in dot
    assert 'label="short' in line(render(plan_named("short"), format="dot"), "  n0 [")


def test_a_traced_diagram_shows_the_way_and_lets_the_rest_step_back(
    endpoint_plan: Plan, ready_run: tuple[Record, ...]
) -> None:
    dot = render(endpoint_plan, format="dot", records=ready_run)
    taken, left = line(dot, "  n2 -> n3 "), line(dot, "  n1 -> n3 ")

    assert 'penwidth="4.2"' in taken, "the last one"
    assert 'penwidth="2.6"' in line(dot, "  n1 -> n2 ")
    assert "\\n  x1  " in taken
    assert 'penwidth="1"' in left
    assert "x1" not in left
    assert 'penwidth="4"' in line(dot, "  n3 [")
    assert dot.count('penwidth="4"') == 1


def test_an_untraced_diagram_counts_nothing(endpoint_plan: Plan) -> None:
    assert not re.search(r"x\d+  \"", render(endpoint_plan, format="dot"))


def test_a_large_plan_stands_in_a_column_with_its_loops_on_the_left(chain_plan: Callable[[int], Plan]) -> None:
    plan = chain_plan(8)
    again = replace(plan.transitions[0], id="again", label="again", rule="action", source="s_3", target="s_3")
    dot = render(replace(plan, transitions=(*plan.transitions, again)), format="dot")
    nodes = [one for one in dot.splitlines() if re.match(r"  n\d+ \[", one)]

    assert [one for one in nodes if 'group="main"' in one] == [one for one in nodes if "peripheries" not in one]
    assert 'tailport="nw", headport="sw"' in line(dot, "  n3 -> n3 ")
    assert "group=" not in render(chain_plan(7), format="dot")


# -- hostile names -----------------------------------------------------------------------------------------------------


def test_no_name_breaks_out_of_its_string(naughty_name: str, plan_named: Callable[..., Plan]) -> None:
    dot = render(plan_named(naughty_name), format="dot")
    attributes = set(re.findall(r"(?:\[|, )([a-z]+)=", re.sub(STRING, "", dot)))
    assert [one for one in dot.splitlines() if not LINE.fullmatch(one)] == []
    assert attributes <= ALLOWED


def test_graphviz_shows_a_name_as_it_is(naughty_name: str, plan_named: Callable[..., Plan]) -> None:
    graph = parsed(render(plan_named(naughty_name), format="dot"))
    shown = shown_by_graphviz(graph.get_node("n0").attr["label"]).replace("\n", "").replace(" ", "")
    expected = (printable(naughty_name) or "s_0").replace(" ", "")

    assert len(states(graph)) == 2
    # What follows the name are the lines of the path, which is the same name after a slash.
    assert shown.startswith(expected)


def test_all_naughty_names_together_make_as_many_nodes_and_nothing_active(naughty_plan: Plan) -> None:
    pytest.importorskip("pygraphviz")
    dot = render(naughty_plan, format="dot")
    svg = render_svg(dot)

    assert len(states(parsed(dot))) == len(naughty_plan.states)
    assert svg.count('class="node state"') == len(naughty_plan.states)
    assert not re.search(r"<(script|image|a|foreignObject|table|b)\b", svg)
    assert not re.search(r"<[^>]*\s(on\w+|(xlink:)?href|style)\s*=", svg)
    assert "\u202e" not in svg
    assert "\x1b" not in svg


def test_an_entity_in_a_name_stays_the_text_it_is(plan_named: Callable[..., Plan]) -> None:
    pytest.importorskip("pygraphviz")
    svg = render_svg(render(plan_named("&#8238;&lt;"), format="dot"))

    assert "&amp;#8238;&amp;lt;" in svg


def test_an_id_that_is_not_ours_is_left_out(endpoint_plan: Plan) -> None:
    diagram = diagram_of(endpoint_plan)
    first, *rest = diagram.nodes
    odd = replace(diagram, nodes=(replace(first, id='x" URL="javascript:alert(1)'), *rest), edges=())
    dot = render_dot(odd)

    assert "javascript" not in dot
    assert LINE.fullmatch(line(dot, "  n0 ["))


def test_a_workflow_that_is_run_has_a_frame_around_it(nested_plan: Plan) -> None:
    diagram = diagram_of(nested_plan)
    text = render_dot(diagram)

    assert 'label="second"' in text
    assert "subgraph cluster_0 {" in text
    assert "subgraph cluster_1 {" in text
    assert text.count('style="dotted"') == 3
    assert [node.group for node in diagram.nodes if node.name in ("x", "y")] == ["w_1", "w_1"]
    assert [group.title for group in diagram.groups] == ["second", "third"]


def test_graphviz_lays_the_frames_out(nested_plan: Plan) -> None:
    pytest.importorskip("pygraphviz")
    svg = render_svg(render_dot(diagram_of(nested_plan)))

    assert ">second<" in svg
    assert ">third<" in svg
