"""Questions: asked once an event, answered again by the record, and by nobody where nobody was given."""

from __future__ import annotations

import json

import pytest

from machine.errors import UsageError
from machine.expressions.question import Answer, Asked, Question, nobody

QUESTION = Question(language="regex", want="truth", expression="^a", subject="abc")


def test_a_question_is_asked_once_and_its_answer_is_kept() -> None:
    seen: list[Question] = []

    def evaluate(question: Question) -> Answer:
        seen.append(question)
        return Answer(value=True)

    asked = Asked({}, evaluate)

    assert [asked(QUESTION).value, asked(QUESTION).value] == [True, True]
    assert seen == [QUESTION]
    assert asked.answers == {QUESTION.key: {"value": True}}


def test_what_the_record_kept_is_not_asked_again() -> None:
    kept = json.loads(json.dumps({QUESTION.key: Answer(problem="it took too long").to_json(), "other": {"value": 1}}))
    asked = Asked(kept, nobody)

    assert asked(QUESTION) == Answer(problem="it took too long")
    assert list(asked.answers) == [QUESTION.key]


def test_without_an_evaluator_a_question_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(UsageError) as refused:
        Asked({}, nobody)(QUESTION)

    assert refused.value.code == "AZM-C003"
    assert "Evaluator" in refused.value.next


@pytest.mark.parametrize(
    "other",
    [
        Question(language="xpath", want="truth", expression="^a", subject="abc"),
        Question(language="regex", want="value", expression="^a", subject="abc"),
        Question(language="regex", want="truth", expression="^b", subject="abc"),
        Question(language="regex", want="truth", expression="^a", subject="abd"),
        Question(language="regex", want="truth", expression="^a", subject="abc", version="i"),
        Question(language="regex", want="truth", expression="^a", subject="abc", variables=(("v", 1),)),
        Question(language="regex", want="truth", expression="^a", subject="abc", variables=(("v", True),)),
        Question(language="regex", want="truth", expression="^a", subject="abc", replacement="x"),
    ],
    ids=["language", "want", "expression", "subject", "version", "variables", "kind-of-variable", "replacement"],
)
def test_another_question_has_another_key(other: Question) -> None:
    assert other.key != QUESTION.key


@pytest.mark.parametrize("answer", [Answer(), Answer(value=False), Answer(value=[[0, "a"]]), Answer(problem="no")])
def test_an_answer_survives_the_record(answer: Answer) -> None:
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer
