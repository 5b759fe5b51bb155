"""What this folder may not compute by itself, as values: a Question, its Answer, and who is asked.

Evaluating a regular expression, an XPath or a JSONPath with patterns in it can take as long as its author likes, and
only a clock can end that. So they are asked for: a driver hands in an evaluator that is bounded in time and memory
(``runtime/evaluator.py``), and what it answered stands in the record of the event, where a replay reads it. A history
is so recomputed without evaluating anything again, and to the same bytes, however slow the machine is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ..errors import UsageError
from ..values import Json

__all__ = ["LONGEST_SUBJECT", "Answer", "Ask", "Asked", "Question", "Undecided", "Variable", "nobody"]

LONGEST_SUBJECT: Final = 1 << 20
"""Characters of a text or an XML document that is looked into."""

Variable: TypeAlias = "tuple[str, str | int | float | bool]"
"""The name and value of an expression that was embedded in an XPath."""


class Undecided(Exception):  # an answer, not a fault: a condition fails with this sentence
    """A condition cannot be decided; ``why`` is the sentence that says so."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing to be evaluated. Plain text and numbers: no secret is ever part of one.

    ``want`` is ``truth`` (does it match, or hold), ``value`` (what an XPath selects), ``nodes`` (where the nodes of a
    JSONPath are) or ``text`` (the XML with what the XPath selects set to ``replacement``).
    """

    language: Literal["regex", "xpath", "jsonpath"]
    want: Literal["truth", "value", "nodes", "text"]
    expression: str
    subject: str
    """The text a pattern is matched with, an XML document, or the JSON text of what a JSONPath queries."""
    version: str = ""
    """For XPath: ``xpath-10`` to ``xpath-31``. For a pattern: the flags out of ``ims``."""
    variables: tuple[Variable, ...] = ()
    replacement: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "language": self.language,
            "want": self.want,
            "expression": self.expression,
            "subject": self.subject,
            "version": self.version,
            "variables": [[name, value] for name, value in self.variables],
            "replacement": self.replacement,
        }

    @property
    def key(self) -> str:
        """What an answer is found by: the same question has the same key, in any process."""
        text = json.dumps(self.to_json(), ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of it; ``problem`` is the sentence that says why it could not be decided, else empty."""

    value: Json = None
    problem: str = ""

    def to_json(self) -> dict[str, Json]:
        return {"problem": self.problem} if self.problem else {"value": self.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Answer:
        return cls(value=data.get("value"), problem=str(data.get("problem", "")))


Ask: TypeAlias = Callable[[Question], Answer]
"""An evaluator. It never raises over what it is asked: what cannot be decided is an Answer with a problem."""


def nobody(question: Question) -> Answer:
    """Who is asked where no evaluator was given. Raises UsageError."""
    raise UsageError(
        f"a {question.language} has to be evaluated and no evaluator was given",
        code="AZM-C003",
        next="make the chart with evaluate=machine.Evaluator()",
    )


class Asked:
    """The questions of one event: each is asked once, and found again in what the event's record kept."""

    def __init__(self, known: Mapping[str, Json], evaluate: Ask) -> None:
        self.answers: dict[str, Json] = {}
        """Every answer given, by the question's key."""
        self._known = known
        self._evaluate = evaluate

    def __call__(self, question: Question) -> Answer:
        key = question.key
        kept = self.answers.get(key, self._known.get(key))
        answer = Answer.from_json(kept) if isinstance(kept, Mapping) else self._evaluate(question)
        self.answers[key] = answer.to_json()
        return answer
