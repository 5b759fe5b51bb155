from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.plan.flow import Flow, find_loops


def loops(flow: Flow) -> list[set[str]]:
    groups: dict[int, set[str]] = {}
    for step, number in flow.loop.items():
        groups.setdefault(number, set()).add(step)
    return sorted(groups.values(), key=sorted)


def graph(text: str) -> dict[str, set[str]]:
    """``ab ba`` -> edges a to b and b to a."""
    edges: dict[str, set[str]] = {}
    for one, other in text.split():
        edges.setdefault(one, set()).add(other)
    return edges


@pytest.mark.parametrize(
    ("edges", "safe", "expected", "heads"),
    [
        pytest.param("ab bc", "abc", [], "", id="a-line"),
        pytest.param("aa", "a", [{"a"}], "a", id="a-step-onto-itself"),
        pytest.param("aa", "", [], "", id="an-unsafe-step-onto-itself"),
        pytest.param("ab ba", "ab", [{"a", "b"}], "a", id="two-steps"),
        pytest.param("ab ba", "a", [], "", id="two-steps-of-which-one-is-unsafe"),
        pytest.param("ab bb bc cc", "abc", [{"b"}, {"c"}], "bc", id="two-loops"),
        pytest.param("ab bc ca cb", "abc", [{"a", "b", "c"}], "ab", id="two-heads-of-one-loop"),
        pytest.param("ab bc cb cd da", "abcd", [{"a", "b", "c", "d"}], "ab", id="a-loop-in-a-loop"),
        pytest.param("ab ba bc cd dc", "abcd", [{"a", "b"}, {"c", "d"}], "ac", id="a-loop-behind-a-loop"),
        pytest.param("ac cb ba", "abc", [{"a", "b", "c"}], "ab", id="out-of-order"),
    ],
)
def test_loops_of_safe_steps_and_their_heads_are_found(
    edges: str, safe: str, expected: list[set[str]], heads: str
) -> None:
    flow = find_loops("abcd", graph(edges), set(safe))

    assert loops(flow) == expected
    assert flow.heads == set(heads)


def test_an_edge_closes_a_loop_when_it_goes_back_within_it() -> None:
    flow = find_loops("abcd", graph("ab ba bc cc cd da"), set("abc"))

    assert flow.closes("b", "a")
    assert flow.closes("c", "c")
    assert not flow.closes("a", "b"), "it goes on"
    assert not flow.closes("c", "b"), "they lie on two loops"
    assert not flow.closes("d", "a"), "it lies on none"


def test_a_long_chain_needs_no_stack() -> None:
    order = [f"s{number}" for number in range(3000)]
    edges = {one: {other} for one, other in pairwise(order)}
    edges[order[-1]] = {order[0]}

    assert len(find_loops(order, edges, set(order)).loop) == 3000


STEPS = "abcdef"
EDGES = st.dictionaries(st.sampled_from(STEPS), st.sets(st.sampled_from(STEPS), max_size=4), max_size=6)


@given(EDGES, st.sets(st.sampled_from(STEPS)))
def test_a_step_polls_exactly_when_it_can_come_back_to_itself_through_safe_steps(
    edges: dict[str, set[str]], safe: set[str]
) -> None:
    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for target in edges.get(waiting.pop(), set()) & safe - seen:
                seen.add(target)
                waiting.append(target)
        return seen

    reached = {step: reach(step) for step in safe}
    flow = find_loops(STEPS, edges, safe)

    assert set(flow.loop) == {step for step in safe if step in reached[step]}
    for one in flow.loop:
        for other in flow.loop:
            assert (flow.loop[one] == flow.loop[other]) == (one in reached[other] and other in reached[one])
    for number in set(flow.loop.values()):
        assert any(flow.loop[head] == number for head in flow.heads), "every loop has a head to wait at"
