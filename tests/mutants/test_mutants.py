"""What is changed, and what is left alone because no rule stands in it."""

from __future__ import annotations

import ast

import pytest
from mutate import mutants


def changed(text: str) -> list[str]:
    return [ast.unparse(one.tree) for one in mutants(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a and b", ["x = a or b"]),
        ("x = not a", ["x = a"]),
        ("x = a + 1", ["x = a - 1", "x = a + 2"]),
        ("x = True", ["x = False"]),
        ("x = 'a'", ["x = 'XX'"]),
        ("if a:\n    f()", ["if not a:\n    f()", "if a:\n    pass"]),
        ("def f():\n    return a", ["def f():\n    return None"]),
        ("def f():\n    raise e", ["def f():\n    pass"]),
        ("for x in y:\n    continue", ["for x in y:\n    break"]),
    ],
)
def test_one_place_is_changed_at_a_time(text: str, found: list[str]) -> None:
    assert changed(text) == found


@pytest.mark.parametrize(
    "text",
    [
        '"""A docstring."""',
        "__all__ = ['a']",
        "import a",
        "x: Literal['a'] = b",
        "x = UsageError('words', code='AZM-U001', next=f'more {1}')",
        "x = f'{a} 1'",
        "@dataclass(frozen=True)\nclass A:\n    pass",
    ],
)
def test_words_are_left_alone(text: str) -> None:
    assert changed(text) == []
