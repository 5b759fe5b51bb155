"""The cost of a large description is measured and reported; how large it is, is not tested here."""

from __future__ import annotations

import pytest

from machine.sources.files import source_tree
from machine.testing.bench_sources import Loads, description, load_line, measure_loads


def test_the_description_has_as_many_operations_as_asked_for() -> None:
    value = source_tree(description(3).encode(), "many.yaml").value

    assert [item["get"]["operationId"] for item in value["paths"].values()] == ["op0", "op1", "op2"]


@pytest.mark.parametrize(("again", "verdict"), [(0.3, "met"), (0.31, "missed")])
def test_a_load_of_what_was_kept_is_judged(again: float, verdict: str) -> None:
    line = load_line(Loads(megabytes=10.04, first=4.0, again=again))

    assert line.startswith("A description of 10.0 MB takes 4.00 s")
    assert line.endswith(f"{verdict}).")


@pytest.mark.slow
def test_loads_are_measured_one_after_the_other() -> None:
    loads = measure_loads(operations=400)

    assert loads.megabytes > 0.3
    assert loads.first > 0
    assert loads.again > 0
