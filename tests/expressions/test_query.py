"""Queries: bounded by what they visit, walked without the library where they are plain, asked for where they match."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from machine.expressions.query import answer_jsonpath, is_rfc9535, is_singular, locate, plain, select
from machine.expressions.question import Answer, Question, Undecided, nobody
from machine.values import MISSING, SecretRef

BODY: Any = {"a": [{"b": 1}, {"b": 2, "t": SecretRef("t")}], "c": {"d": "x"}}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("$.a[*].b", [("a", 0, "b"), ("a", 1, "b")]),
        ("$..d", [("c", "d")]),
        ("$.a[?@.b > 1]", [("a", 1)]),
        ("$.a[?@ == $.a[0]]", [("a", 0)]),
        ("$.a[0:1]", [("a", 0)]),
        ("$.a[-1]", [("a", 1)]),
        ("$.a[?@.t == '[secret t]']", [("a", 1)]),
        ("$.none", []),
    ],
)
def test_a_query_tells_where_its_nodes_are(text: str, paths: list[Any]) -> None:
    assert locate(text, BODY, nobody) == paths


@pytest.mark.parametrize(
    ("text", "singular"),
    [("$.a.b[0]['*']", True), ("$", True), ("$.a[*]", False), ("$..a", False), ("$.a[0,1]", False), ("$[?@]", False)],
)
def test_the_form_of_a_query_says_how_many_nodes_it_can_have(text: str, singular: bool) -> None:
    assert is_singular(text) is singular
    assert is_rfc9535(text)


def test_a_plain_path_is_walked() -> None:
    path = plain("$.a[1]['b']")

    assert path == ("a", 1, "b")
    assert select(BODY, path) == 2
    assert select(BODY, ("a", "b")) is MISSING
    assert plain("$.a[*]") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$..[?count($..[?count($..*) > 0]) > 0]", [[[0] * 9] * 9] * 9),
        ("$..*..*..*", [[[0] * 40] * 40] * 40),
        ("$..[?@ == $[0]]", [[[0] * 40] * 40] * 40),
        ("$[?@.a]", [0] * 600_000),
    ],
    ids=["nested-counts", "descendants", "deep-equality", "size"],
)
def test_a_query_that_looks_at_too_much_ends_in_time(text: str, value: Any) -> None:
    began = time.perf_counter()
    with pytest.raises(Undecided) as undecided:
        locate(text, value, nobody)

    assert "more than 500000 steps" in undecided.value.why
    assert time.perf_counter() - began < 20  # about one on an idle host


def test_a_large_answer_may_be_searched_whole() -> None:
    items = [{"id": number, "tags": ["a", "b"]} for number in range(6_000)]

    assert len(locate("$[?@.id >= 3000].id", items, nobody)) == 3_000


def test_a_value_nested_too_deeply_is_undecided() -> None:
    deep: Any = 1
    for _ in range(6_000):
        deep = [deep]
    with pytest.raises(Undecided):
        locate("$..a", deep, nobody)


@pytest.mark.parametrize("text", ["$[?match(@.a, '(x|xx)+')]", "$[?search(@.a, @.b)]"])
def test_patterns_in_a_query_are_asked_for(text: str) -> None:
    asked: list[Question] = []

    def ask(question: Question) -> Answer:
        asked.append(question)
        return answer_jsonpath(question)

    assert locate(text, [{"a": "xxx", "b": "x"}, {"a": "y", "b": "x"}], ask) == [(0,)]
    assert [(one.language, one.want, one.expression) for one in asked] == [("jsonpath", "nodes", text)]
    assert json.loads(asked[0].subject)[1] == {"a": "y", "b": "x"}


def test_the_word_match_in_a_string_is_no_pattern() -> None:
    assert locate("$[?@.a == 'match(']", [{"a": "match("}], nobody) == [(0,)]


@pytest.mark.parametrize("answer", [Answer(problem="it took too long"), Answer(value=5)])
def test_an_answer_that_is_none_is_undecided(answer: Answer) -> None:
    with pytest.raises(Undecided):
        locate("$[?match(@, 'a')]", ["a"], lambda _: answer)


@pytest.mark.parametrize(
    ("expression", "subject", "problem"),
    [
        ("$[", "[]", "no RFC 9535 query"),
        ("$..[?match(@, 'a')]", "[" * 500 + "]" * 500, "nested too deeply"),
    ],
)
def test_the_other_side_answers_with_a_problem_and_never_fails(expression: str, subject: str, problem: str) -> None:
    question = Question(language="jsonpath", want="nodes", expression=expression, subject=subject)

    assert problem in answer_jsonpath(question).problem
