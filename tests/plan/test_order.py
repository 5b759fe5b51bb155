from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.plan.order import find_cycle, loops, reaches, sort_steps, turned

ORDERS = [
    pytest.param({}, {}, "abcd", id="nothing-waits"),
    pytest.param({"a": "c"}, {}, "bcad", id="only-what-waits-moves"),
    pytest.param({"a": "d", "b": "d"}, {}, "cdab", id="those-that-wait-keep-their-order"),
    pytest.param({}, {"a": "c"}, "bcad", id="reading-is-waiting"),
    pytest.param({}, {"a": "b", "b": "a"}, "abcd", id="steps-of-a-loop-may-read-each-other"),
    pytest.param({"b": "d"}, {"d": "b", "a": "d"}, "cdab", id="waiting-goes-before-reading"),
    pytest.param({}, {"a": "a"}, "abcd", id="a-step-may-read-its-own-last-attempt"),
]


@pytest.mark.parametrize(("waits", "reads", "expected"), ORDERS)
def test_steps_stand_behind_what_they_need(waits: dict[str, str], reads: dict[str, str], expected: str) -> None:
    found = sort_steps("abcd", {one: set(on) for one, on in waits.items()}, {one: set(on) for one, on in reads.items()})

    assert "".join(found) == expected


graphs = st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"), max_size=3))


@given(graphs)
def test_a_cycle_is_found_exactly_where_a_node_can_come_after_itself(graph: dict[str, set[str]]) -> None:
    cycle = find_cycle(graph)

    assert bool(cycle) == any(node in reaches(graph, node) for node in graph)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(target in graph[source] for source, target in pairwise(cycle))
    else:
        found = sort_steps("abcdef", graph, {})
        assert sorted(found) == list("abcdef")
        assert all(found.index(on) < found.index(one) for one, waits in graph.items() for on in waits)


def test_a_long_chain_needs_no_recursion() -> None:
    chain = {str(number): {str(number + 1)} for number in range(5000)}

    assert find_cycle(chain) == ()
    assert len(reaches(chain, "0")) == 5000


@given(graphs)
def test_two_nodes_share_a_loop_exactly_where_each_leads_to_the_other(graph: dict[str, set[str]]) -> None:
    found, back = loops(graph), turned(graph)

    for one in graph:
        for other in graph:
            both = one == other or (other in reaches(graph, one) and one in reaches(graph, other))
            assert (found[one] == found[other]) == both
            assert (other in reaches(graph, one)) == (one in reaches(back, other))


def test_a_mesh_is_put_in_order_without_trying_every_pair() -> None:
    steps = [str(number) for number in range(600)]
    waits = {step: set(steps[number + 1 :]) for number, step in enumerate(steps)}

    assert sort_steps(steps, waits, waits) == tuple(reversed(steps))
