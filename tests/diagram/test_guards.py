"""A guard in a few characters says the same as the whole one, or there is none."""

from __future__ import annotations

import pytest

from machine.diagram.guards import shortened
from machine.document.model import Criterion
from machine.errors import Place
from machine.expressions.criteria import compile_criterion
from machine.plan.model import Guard


def guard(*conditions: str) -> Guard:
    made = [compile_criterion(Criterion(condition=one, place=Place()), minor="1.0") for one in conditions]
    return Guard(criteria=tuple(made))


@pytest.mark.parametrize(
    ("conditions", "short"),
    [
        (["$statusCode == 201"], "201"),
        (["$statusCode == 200 || $statusCode == 202"], "200 | 202"),
        (["$statusCode >= 500"], "status >= 500"),
        (["$response.body#/status/state == 'running'"], "/status/state: running"),
        (["$response.body#/a == 'x' || $response.body#/a == 'two words'"], "/a: x | 'two words'"),
        (["$response.body#/a != 'x' && $response.body#/a != 'y'"], "/a not x | y"),
        (["$statusCode != 404"], "not 404"),
        (["$steps.check.outputs.needed == true"], "needed: true"),
        (["$inputs.wait == true", "$statusCode == 200"], "$inputs.wait: true, 200"),
        (["$response.body#/a == 'x' || $response.body#/b == 'x'"], ""),
        (["$response.body#/a == 'x' && $response.body#/a != 'y'"], ""),
        (["$response.body#/a == 'x || y'"], "/a: 'x || y'"),
        (["!($statusCode == 200)"], ""),
        (["$statusCode == 200", "!($inputs.x == 1)"], ""),
        (["$response.body#/a == '" + "x" * 80 + "'"], ""),
        ([], ""),
    ],
    ids=str,
)
def test_a_guard_is_shortened_only_where_that_says_the_same(conditions: list[str], short: str) -> None:
    assert shortened(guard(*conditions)) == short
