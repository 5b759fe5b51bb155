"""The evaluator: it answers, ends what does not end, goes on afterwards, and keeps what it was not given."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from machine.expressions.question import Answer, Question
from machine.runtime import evaluator
from machine.runtime.evaluator import Evaluator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one() -> Iterator[Evaluator]:
    made = Evaluator()
    yield made
    made.close()


def xpath(expression: str, subject: str = "<r><n>3</n></r>", **fields: Any) -> Question:
    chosen = {"want": "truth", "version": "xpath-31", **fields}
    return Question(language="xpath", expression=expression, subject=subject, **chosen)


def jsonpath(expression: str, subject: str) -> Question:
    return Question(language="jsonpath", want="nodes", expression=expression, subject=subject)


def regex(expression: str, subject: str, flags: str = "") -> Question:
    return Question(language="regex", want="truth", expression=expression, subject=subject, version=flags)


@pytest.mark.parametrize(
    ("question", "value"),
    [
        (regex("^a", "abc"), True),
        (regex("^B", "b", "i"), True),
        (xpath("/r/n = $v", variables=(("v", 3),)), True),
        (xpath("/r/n", want="value"), "3"),
        (xpath("/r/n", want="text", replacement="4"), "<r><n>4</n></r>"),
        (jsonpath("$[?search(@.a, '^x')]", '[{"a": "x"}, {"a": "y"}]'), [[0]]),
    ],
    ids=["regex", "flags", "truth", "value", "text", "jsonpath"],
)
def test_every_kind_of_question_is_answered(one: Evaluator, question: Question, value: Any) -> None:
    assert one(question) == Answer(value=value)


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        (xpath(f"matches('{'a' * 40}!', '^(a+)+$')"), "more than 2 s of computing"),
        (xpath("string-join(for $i in 1 to 100000000 return 'aaaaaaaaaaaaaaaaaaaaaaaa')"), "it took too much"),
        (regex("^(a|aa)+$", "a" * 60 + "!"), "more than 0.5 s"),
        (regex("(", ""), "no regular expression"),
        (xpath("//a["), "XPST0003"),
        (xpath("/r", "<r"), "no XML"),
        (jsonpath("$[", "[]"), "no RFC 9535 query"),
    ],
    ids=["time", "memory", "pattern", "no-pattern", "no-xpath", "no-xml", "no-query"],
)
def test_what_cannot_be_answered_is_a_problem_and_the_next_question_is_answered(
    one: Evaluator, question: Question, problem: str
) -> None:
    began = time.perf_counter()

    assert problem in one(question).problem
    assert one(xpath("/r/n")).value is True
    assert time.perf_counter() - began < 60


def test_a_process_that_is_gone_is_replaced(one: Evaluator) -> None:
    one(xpath("/r"))
    process = one._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    assert one(xpath("/r")).value is True


def test_a_process_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "PATIENCE", 0.0)
    hasty = Evaluator()

    assert "too much time" in hasty(xpath("/r")).problem
    hasty.close()


def test_an_answer_larger_than_the_bound_is_none(one: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "LARGEST", 1000)

    assert one(xpath("string-join(for $i in 1 to 1000000 return 'ab')", want="value")).problem


def test_the_process_gets_no_variable_of_the_operator(one: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    fresh = Evaluator()
    fresh(xpath("/r"))
    process = fresh._process
    assert process is not None
    with open(f"/proc/{process.pid}/environ", "rb") as environ:
        names = {entry.partition(b"=")[0].decode() for entry in environ.read().split(b"\0") if entry}
    fresh.close()

    assert "PATH" in names
    assert names <= set(evaluator._ENVIRONMENT)


def test_closing_ends_the_process_and_asking_again_starts_another(one: Evaluator) -> None:
    made = Evaluator()
    made(xpath("/r"))
    first = made._process
    assert first is not None
    made.close()

    assert first.returncode == -signal.SIGKILL
    assert made(xpath("/r")).value is True
    made.close()


def test_patterns_alone_start_no_process() -> None:
    made = Evaluator()
    made(regex("a", "a"))

    assert made._process is None


def test_without_a_way_to_start_a_process_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator.sys, "executable", "/nowhere/python")

    assert "cannot be used: No such file" in Evaluator()(xpath("/r")).problem
