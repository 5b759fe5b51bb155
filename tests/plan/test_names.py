from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.plan.model import Guard, State, Transition
from machine.plan.names import assign_names


def call(number: int, step: str, **fields: Any) -> State:
    return State(id=f"s_{number}", name="", phase="starting", kind="call", step=step, **fields)


def final(number: int, name: str, phase: Any = "ready") -> State:
    return State(id=f"s_{number}", name=name, phase=phase, kind="final")


def doubt(number: int, step: str, of: str) -> State:
    return State(id=f"s_{number}", name="", phase="starting", kind="doubt", step=step, of=of)


def move(source: int, target: int, label: str, rule: str = "action", on: Any = ("replied",)) -> Transition:
    return Transition(
        id=f"t_{source}_{target}_{label}",
        source=f"s_{source}",
        target=f"s_{target}",
        on=on,
        label=label,
        rule=rule,
        guard=Guard(),
    )


def named(states: list[State], moves: list[Transition], overrides: Mapping[str, str] | None = None) -> list[str]:
    return list(assign_names(states, moves, overrides or {}).values())


def test_the_first_state_is_named_after_its_step() -> None:
    assert named([call(0, "a"), call(1, "b")], [move(1, 0, "again")]) == ["a", "b"]


def test_a_state_entered_by_one_named_goto_is_named_after_it() -> None:
    states = [call(0, "a"), call(1, "b")]

    assert named(states, [move(0, 1, "created")]) == ["a", "created"]


@pytest.mark.parametrize(
    "moves",
    [
        pytest.param([move(0, 1, "one"), move(0, 1, "two")], id="two-gotos"),
        pytest.param([move(0, 1, "next", "next"), move(0, 1, "redo")], id="it-is-also-just-next"),
        pytest.param([move(0, 1, "next", "next")], id="it-is-just-next"),
        pytest.param([move(1, 1, "self")], id="only-by-itself"),
        pytest.param([move(0, 1, "created", on=("resolved",))], id="only-by-being-settled"),
    ],
)
def test_otherwise_it_is_named_after_its_step(moves: list[Transition]) -> None:
    assert named([call(0, "a"), call(1, "b")], moves) == ["a", "b"]


def test_a_goto_and_falling_through_to_the_same_step_leave_it_its_name() -> None:
    moves = [move(0, 1, "created"), move(0, 1, "unmatched", "unmatched")]

    assert named([call(0, "a"), call(1, "b")], moves) == ["a", "created"]


def test_x_machine_state_names_the_state_in_which_the_step_begins() -> None:
    states = [call(0, "a"), call(1, "b"), call(2, "b", polls=True)]

    assert named(states, [move(0, 1, "created")], {"a": "asking", "b": "watching"}) == ["asking", "watching", "polling"]


def test_one_waiting_state_and_one_doubt_have_plain_names_and_several_name_their_steps() -> None:
    one = [call(0, "a"), call(1, "a", polls=True), doubt(2, "a", "s_0")]
    two = [*one, call(3, "b"), call(4, "b", polls=True), doubt(5, "b", "s_3")]

    assert named(one, []) == ["a", "polling", "in_doubt"]
    assert named(two, []) == ["a", "polling a", "in_doubt a", "b", "polling b", "in_doubt b"]


@pytest.mark.parametrize(
    ("states", "moves", "overrides", "expected"),
    [
        pytest.param(
            [call(0, "a"), call(1, "b"), call(2, "c")],
            [move(0, 1, "on"), move(1, 2, "on")],
            {},
            ["a", "b", "c"],
            id="two-gotos-of-one-name",
        ),
        pytest.param(
            [call(0, "failed"), final(1, "failed", "failed")], [], {}, ["failed", "failed (failed)"], id="failed"
        ),
        pytest.param(
            [call(0, "ready"), final(1, "ready")], [], {}, ["ready", "ready (ready)"], id="an-end-like-a-step"
        ),
        pytest.param(
            [call(0, "a"), final(1, "done"), final(2, "done", "failed")],
            [],
            {},
            ["a", "done", "done (failed)"],
            id="two-ends-of-one-name",
        ),
        pytest.param(
            [call(0, "polling"), call(1, "polling", polls=True)],
            [],
            {},
            ["polling", "polling (polling)"],
            id="polling",
        ),
        pytest.param(
            [call(0, "a"), call(1, "b"), call(2, "b", polls=True)],
            [],
            {"b": "polling"},
            ["a", "b", "polling"],
            id="an-override-that-is-taken",
        ),
        pytest.param(
            [call(0, "in_doubt"), doubt(1, "in_doubt", "s_0")],
            [],
            {},
            ["in_doubt", "in_doubt (in_doubt)"],
            id="in_doubt",
        ),
        pytest.param(
            [call(0, "b"), call(1, "c"), call(2, "a")],
            [move(0, 1, "a")],
            {"a": "x", "b": "x"},
            ["b", "a", "a (a)"],
            id="where-the-step-is-taken-too",
        ),
        pytest.param(
            [final(0, "a"), final(1, "a (ready)"), final(2, "a")],
            [],
            {},
            ["a", "a (ready)", "a (ready) 2"],
            id="and-the-brackets",
        ),
    ],
)
def test_collisions_are_told_apart(
    states: list[State], moves: list[Transition], overrides: dict[str, str], expected: list[str]
) -> None:
    assert named(states, moves, overrides) == expected


WORDS = st.sampled_from(["a", "failed", "polling", "in_doubt", "ready", "a (a)", "polling a", ""])


@given(
    st.lists(st.tuples(WORDS, st.sampled_from(["call", "polls", "doubt", "final"])), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), WORDS), max_size=8),
    st.dictionaries(WORDS, WORDS, max_size=3),
)
def test_every_state_has_a_name_of_its_own(
    rows: list[tuple[str, str]], edges: list[tuple[int, int, str]], overrides: dict[str, str]
) -> None:
    states = [
        call(at, word, polls=kind == "polls")
        if kind in ("call", "polls")
        else doubt(at, word, "s_0")
        if kind == "doubt"
        else final(at, word)
        for at, (word, kind) in enumerate(rows)
    ]
    moves = [move(source, target, label) for source, target, label in edges]
    names = assign_names(states, moves, overrides)

    assert list(names) == [one.id for one in states]
    assert len(set(names.values())) == len(states)
