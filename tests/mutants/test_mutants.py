"""What is changed, and what is left alone because no rule stands in it."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import asking
import mutate
import pytest
from changes import Mutant, mutants, tree_with
from mutate import CORE, Count, Results, missing, table


def changed(text: str) -> list[str]:
    return [ast.unparse(tree_with(text, one.number)) for one in mutants(text)]


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
        ("raise damaged(run, 'a row is missing')", ["pass"]),
        ("one.refuse('it is nested too deeply', code='AZM-R003')", ["pass"]),
        ("for x in y:\n    continue", ["for x in y:\n    break"]),
        ("x = book.conceal(a, b)", ["x = a"]),
        ("x = seal(*a)", []),
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
        "x = cast('a', b)",
        "X = Literal['a', 'b']",
        "x = UsageError('words', code='AZM-U001', next=f'more {1}')",
        "x = f'{a} 1'",
        "@dataclass(frozen=True)\nclass A:\n    pass",
    ],
)
def test_words_are_left_alone(text: str) -> None:
    assert changed(text) == []


def test_a_change_knows_the_lines_of_its_statement() -> None:
    text = "def f(a):\n    if (\n        a == 1\n    ):\n        return [\n            2\n        ]\n"

    assert [(one.line, one.first, one.last) for one in mutants(text)] == [
        (2, 2, 4),
        (3, 2, 4),
        (5, 5, 7),
        (3, 2, 4),
        (6, 5, 7),
    ]


def test_a_value_let_through_counts_as_a_step_left_out() -> None:
    assert [one.is_guard for one in mutants("x = conceal(a)\ny = b(a)\nz = a + b")] == [True, False]


def test_the_core_and_its_tests_are_there() -> None:
    assert missing() == []


def test_what_is_named_and_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CORE, "machine/gone.py", ("tests/test_gone.py",))

    assert missing() == ["machine/gone.py", "tests/test_gone.py"]


MODULE = """
LIMIT = 3
UNUSED = 4

def check(number):
    if number > LIMIT:
        raise ValueError
    def double():
        return number * 2
    return double()

def unused():
    return 1

def spun(number):
    while number < LIMIT:
        number += 1
    return number
"""
TESTS = """
import pytest
from thing import check, spun

def test_check():
    assert check(2) == 4
    with pytest.raises(ValueError):
        check(4)

def test_spun():
    assert spun(1) == 3
"""


def test_each_change_is_asked_about_in_the_cheapest_way_that_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thing.py").write_text(MODULE)
    (tmp_path / "test_thing.py").write_text(TESTS)
    monkeypatch.setattr(asking, "ROOT", tmp_path)
    monkeypatch.setattr(asking, "PATIENCE", 5)
    said: dict[str, str] = {}

    def tell(mutant: Mutant, one: asking.Said) -> None:
        said[f"{mutant.line}: {mutant.what}"] = "noticed" if one.noticed else one.by or "survived"

    wrong = asking.ask(
        "thing.py", ["test_thing.py"], mutants(MODULE), tell, folder=tmp_path / "made", end=time.monotonic() + 60
    )

    assert wrong == ""
    assert said == {
        "2: 3 plus one": "noticed",
        "3: 4 plus one": "survived",
        "6: not number > LIMIT": "noticed",
        "6: number > LIMIT -> number >= LIMIT": "survived",
        "7: not raised: raise ValueError": "noticed",
        "9: no value: return number * 2": "noticed",
        "9: number * 2 -> number // 2": "noticed",
        "9: 2 plus one": "noticed",
        "10: no value: return double()": "noticed",
        "13: no value: return 1": "no test comes by",
        "13: 1 plus one": "no test comes by",
        "16: not number < LIMIT": "noticed",
        "16: number < LIMIT -> number <= LIMIT": "noticed",
        "17: 1 plus one": "survived",
        "18: no value: return number": "noticed",
    }


def test_nothing_is_asked_of_tests_that_fail_without_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thing.py").write_text(MODULE)
    (tmp_path / "test_thing.py").write_text("import thing\n\ndef test_it():\n    assert thing.check(1) == 3\n")
    monkeypatch.setattr(asking, "ROOT", tmp_path)

    wrong = asking.ask(
        "thing.py", ["test_thing.py"], mutants(MODULE), lambda *_: None, folder=tmp_path / "made", end=1e9
    )

    assert wrong == "without a change test_thing.py::test_it failed"


def test_survivors_and_changed_modules_are_asked_about_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thing.py").write_text(MODULE)
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    results, (first, second, *_) = Results(path=tmp_path / "results.jsonl"), mutants(MODULE)
    results.add("thing.py", mutate.text_of("thing.py"), first, asking.Said(noticed=False))
    results.add("thing.py", mutate.text_of("thing.py"), second, asking.Said(noticed=True, by="failed: test_thing.py"))
    results.add("thing.py", mutate.text_of("thing.py"), first, asking.Said(noticed=True))
    before = results.of("thing.py")
    (tmp_path / "thing.py").write_text(MODULE + "\n")

    assert before == {first.number: True, second.number: True}
    assert results.of("thing.py") == {}


def test_the_table_rounds_no_share_up_and_counts_steps_that_are_left_out() -> None:
    every = mutants("def f():\n    g()\n    return a == 1\n")
    counts = {"a": Count(tried=2000, noticed=1899), "b": Count.of(every, {one.number: one.line == 2 for one in every})}

    assert table({**counts, "c": Count()}).splitlines()[2:] == [
        "| a | 2000 | 1899 | 94.9 | 0 | 0 |",
        "| b | 4 | 1 | 25.0 | 1 | 1 |",
        "| c | 0 | 0 | 0.0 | 0 | 0 |",
        "| together | 2004 | 1900 | 94.8 | 1 | 1 |",
    ]
