"""The expression languages of Arazzo: runtime expressions, templates around them, and the conditions of criteria.

Every language here is compiled once into frozen values and then only evaluated; evaluation is pure and total, and
document text is never executed. What cannot be compiled is a DocumentError with a place and a character.
"""

from __future__ import annotations

from .criteria import CompiledCriterion, compile_criterion
from .evaluate import Context, RequestView, ResponseView, evaluate, resolve_name
from .grammar import TOLERANCES, Expression, is_expression, parse_expression
from .jsonpath import JsonPathCondition, compile_jsonpath
from .simple import Condition, parse_condition
from .stored import from_json as template_from_json
from .stored import to_json as template_to_json
from .template import Declared, Template, compile_template, references, render, tolerances
from .verdict import Verdict

__all__ = [
    "TOLERANCES",
    "CompiledCriterion",
    "Condition",
    "Context",
    "Declared",
    "Expression",
    "JsonPathCondition",
    "RequestView",
    "ResponseView",
    "Template",
    "Verdict",
    "compile_criterion",
    "compile_jsonpath",
    "compile_template",
    "evaluate",
    "is_expression",
    "parse_condition",
    "parse_expression",
    "references",
    "render",
    "resolve_name",
    "template_from_json",
    "template_to_json",
    "tolerances",
]
