from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from mermaid_parser import ROOT, installed, problems

from machine.chart.snapshot import Record
from machine.diagram import diagram_of, render
from machine.diagram.model import printable
from machine.plan.model import Plan

TEXT = r"(?:[^\x00-\x7f]|[A-Za-z0-9 ,.?=!|/()$+_'-]|#\w+;|<br/>)*"
"""What may stand in a label: nothing of it means anything to Mermaid's lexer."""
LINE = re.compile(
    rf"stateDiagram-v2|  %% {TEXT}"
    rf'|  state "{TEXT}" as s_\d+'
    r"|  \[\*\] --> s_\d+|  s_\d+ --> \[\*\]"
    rf"|  s_\d+ --> s_\d+ : {TEXT}"
    r"|  classDef \w+ [a-z-]+:[#\w ]+(?:,[a-z-]+:[#\w ]+)*"
    r"|  class s_\d+(?:,s_\d+)* \w+"
)


def labels(text: str) -> list[str]:
    return re.findall(r'^  state "(.*)" as s_\d+$', text, re.MULTILINE)


def decoded(label: str) -> str:
    """What Mermaid shows for a label: entity codes are characters again, breaks are line ends."""
    codes = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label.replace("<br/>", "").replace("#quot;", '"'))
    return codes.replace(" ", "")


def test_the_same_plan_gives_the_same_bytes(endpoint_plan: Plan, ready_run: tuple[Record, ...]) -> None:
    texts = {render(endpoint_plan, format="mermaid", records=ready_run) for _ in range(2)}

    assert len(texts) == 1


def test_every_state_has_an_alias_and_every_edge_a_line(endpoint_plan: Plan) -> None:
    text = render(endpoint_plan, format="mermaid")

    assert text.splitlines()[0] == "stateDiagram-v2"
    assert [decoded(one) for one in labels(text)][:2] == [
        "createEndpointPOST/endpoint/{namespace}",
        "createdGET/endpoint/{namespace}/{name}",
    ]
    assert len(re.findall(r"^  s_\d+ --> s_\d+ : ", text, re.MULTILINE)) == len(diagram_of(endpoint_plan).edges)


def test_the_run_begins_at_the_first_state_and_ends_at_the_finals(endpoint_plan: Plan) -> None:
    lines = render(endpoint_plan, format="mermaid").splitlines()

    assert [one for one in lines if "[*]" in one] == ["  [*] --> s_0", "  s_3 --> [*]", "  s_4 --> [*]"]


def test_every_phase_that_occurs_has_a_class(endpoint_plan: Plan) -> None:
    text = render(endpoint_plan, format="mermaid")

    assert re.findall(r"^  class (\S+) (\w+)$", text, re.MULTILINE) == [
        ("s_0", "starting"),
        ("s_1", "created"),
        ("s_2", "polling"),
        ("s_3", "ready"),
        ("s_4", "failed"),
        ("s_5", "doubt"),
    ]


def test_a_guard_stands_beside_its_action(endpoint_plan: Plan) -> None:
    text = render(endpoint_plan, format="mermaid")

    assert "  s_0 --> s_1 : created<br/>201\n" in text
    assert "  s_2 --> s_4 : unmatched<br/>broke\n" in text


def test_a_traced_diagram_counts_and_marks_where_the_run_is(endpoint_plan: Plan, ready_run: tuple[Record, ...]) -> None:
    text = render(endpoint_plan, format="mermaid", records=ready_run)

    assert "  s_2 --> s_3 : ready<br/>status.state#58; running<br/>x1\n" in text
    assert "  s_1 --> s_3 : ready<br/>status.state#58; running\n" in text
    assert "  class s_3 current\n" in text
    assert re.search(r'state "polling.* visits" as s_2\n', text)
    assert "visits" not in render(endpoint_plan, format="mermaid")


def test_the_ends_of_a_large_plan_do_not_meet_in_one_point(chain_plan: Callable[[int], Plan]) -> None:
    assert "--> [*]" in render(chain_plan(7), format="mermaid")
    assert "--> [*]" not in render(chain_plan(8), format="mermaid")


def test_no_name_leaves_its_label(naughty_name: str, plan_named: Callable[..., Plan]) -> None:
    text = render(plan_named(naughty_name), format="mermaid")

    assert [one for one in text.splitlines() if not LINE.fullmatch(one)] == []
    assert len(labels(text)) == 2
    assert len(re.findall(r" --> ", text)) == 2


def test_a_name_is_shown_as_it_is(naughty_name: str, plan_named: Callable[..., Plan]) -> None:
    shown = decoded(labels(render(plan_named(naughty_name), format="mermaid"))[0])

    assert shown.startswith((printable(naughty_name) or "s_0").replace(" ", ""))


@pytest.mark.parametrize("word", ["direction TB", "Direction  LR", "xdirection RL", "a DIRECTION BT"])
def test_a_direction_in_a_name_is_no_statement(word: str, plan_named: Callable[..., Plan]) -> None:
    text = render(plan_named(word), format="mermaid")

    assert not re.search(r"direction\s+(TB|BT|LR|RL)", text, re.IGNORECASE)


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="Mermaid is not installed here: make mermaid-check")
def test_mermaid_itself_reads_what_is_drawn(
    naughty_plan: Plan, nested_plan: Plan, endpoint_plan: Plan, ready_run: tuple[Record, ...]
) -> None:
    plans = {"naughty": naughty_plan, "nested": nested_plan}
    drawings = {name: render(plan, format="mermaid") for name, plan in plans.items()}
    drawings["with a run"] = render(endpoint_plan, format="mermaid", records=ready_run)
    drawings |= {path.name: path.read_text() for path in (ROOT / "diagrams").glob("*.mmd")}

    assert problems(drawings) == {}
    assert list(problems({"broken": "stateDiagram-v2\n  a --> }{"})) == ["broken"]


def test_a_workflow_that_is_run_is_a_composite_state(nested_plan: Plan) -> None:
    text = render(nested_plan, format="mermaid")

    assert '  state "second" as w_1 {' in text
    assert '  state "third" as w_2 {' in text
    assert text.count("{\n") == text.count("\n  }\n") == 2
    assert text.count("  s_0 --> w_1 : runs\n") == 1
    assert text.count("  w_1 --> w_2 : runs\n") == 2
    assert [line for line in text.splitlines() if line.strip().startswith("[*]")] == ["  [*] --> s_0"]
