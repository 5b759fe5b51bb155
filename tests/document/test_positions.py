"""Where things stand: exact pointers, the nearest known ancestor, and nothing at all."""

from __future__ import annotations

import pytest

from machine.document.load import parse
from machine.document.positions import Marks, Positions, Tree

TREE = parse("a:\n  - x\n  - {b: 1}\n", uri="doc.yaml")


@pytest.mark.parametrize(
    ("pointer", "spot"),
    [
        pytest.param("", (1, 1), id="root"),
        pytest.param("/a", (1, 1), id="key"),
        pytest.param("/a/1", (3, 5), id="item"),
        pytest.param("/a/1/b", (3, 6), id="key-in-item"),
        pytest.param("/a/1/c", (3, 5), id="absent-key"),
        pytest.param("/a/7/b/c", (1, 1), id="absent-item"),
        pytest.param("/a/01", (1, 1), id="index-with-a-leading-zero"),
        pytest.param("/a/-1", (1, 1), id="negative-index"),
        pytest.param("/z", (1, 1), id="absent-everything"),
        pytest.param("/a/1/b" + "/x" * 500, (3, 6), id="deeper-than-any-document"),
    ],
)
def test_a_place_is_that_of_the_nearest_ancestor(pointer: str, spot: tuple[int, int]) -> None:
    place = TREE.place(pointer)

    assert (place.document, place.pointer, place.line, place.column) == ("doc.yaml", pointer, *spot)


def test_a_tree_without_positions_still_names_the_document() -> None:
    place = parse("a: 1", uri="doc.yaml", positions=False).place("/a")

    assert (place.document, place.line, place.column) == ("doc.yaml", 0, 0)


def test_a_tree_may_carry_any_mapping_of_positions() -> None:
    tree = Tree(value={}, positions={"": (1, 1), "/a": (2, 3)}, uri="", sha256="")

    assert (tree.place("/a/b").line, tree.place("/a/b").column) == (2, 3)


@pytest.mark.parametrize("pointer", ["a", "/a/x", "/a/2", "/a/0/0", "/b", "#/a"])
def test_an_unknown_pointer_is_no_key(pointer: str) -> None:
    assert pointer not in TREE.positions


def test_positions_know_how_many_they_are() -> None:
    assert len(TREE.positions) == len(list(TREE.positions)) == 5
    assert len(Positions()) == 0
    assert list(Positions()) == []
    assert len(Positions((1, 1), Marks({"a": (1, 2)}))) == 2
