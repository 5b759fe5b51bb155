"""A plan and what somebody gives to the workflows it depends on -> the plan that gives it to them.

A document has no place for the inputs of a workflow named under ``dependsOn`` (ambiguity A25). They get those of the
same name that the one depending on them has; what is given here stands above that, and is a part of the plan from then
on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import InputError
from ..expressions.stored import to_json
from ..expressions.template import ListTemplate, Literal, ObjectTemplate, Template
from ..values import Json
from .inputs import coerce
from .model import ChildPlan, Plan

__all__ = ["Given", "dependency_inputs", "with_dependency_inputs"]

Given = Mapping[tuple[str, str], str]
"""Workflow and input to the text of a value."""


def with_dependency_inputs(plan: Plan, given: Given) -> Plan:
    """The plan whose dependencies get these inputs, each fitted to its schema.

    Raises InputError AZM-I011 for a workflow the plan does not depend on, AZM-I012 for an input it does not declare or
    that is secret, and as ``coerce`` does for a value that does not fit.
    """
    if not given:
        return plan
    depended = {one.workflow for table in plan.tables() for one in table.children.values() if one.role == "dependency"}
    found: dict[str, dict[str, Any]] = {}
    for (workflow, name), text in given.items():
        if workflow not in depended:
            raise InputError(
                f"{plan.workflow} depends on no workflow {workflow!r}",
                code="AZM-I011",
                next=f"it depends on: {', '.join(sorted(depended)) or 'none'}",
            )
        callee = plan.table(workflow)
        plain = [one.name for one in callee.inputs if not one.secret]
        if name not in plain:
            secret = name in callee.secrets
            raise InputError(
                f"{workflow} has no input {name!r}" if not secret else f"input {name!r} of {workflow} is a secret",
                code="AZM-I012",
                next=f"give it to {plan.workflow} under the same name, which passes it on"
                if secret
                else f"it has: {', '.join(plain) or 'none'}",
            )
        found.setdefault(workflow, {})[name] = coerce(callee, name, text)
    tables = {table.workflow: _given_to(table, found) for table in plan.tables()}
    callees = {key: tables[key] for key in plan.callees}
    return replace(tables[plan.workflow], callees=callees)


def _given_to(table: Plan, found: Mapping[str, Mapping[str, Any]]) -> Plan:
    children = {key: _with(one, found.get(one.workflow, {})) for key, one in table.children.items()}
    return replace(table, children=children)


def _with(child: ChildPlan, values: Mapping[str, Any]) -> ChildPlan:
    if child.role != "dependency" or not values:
        return child
    return replace(child, parameters=tuple((name, _literal(value)) for name, value in values.items()))


def _literal(value: Any) -> Template:
    """The value as it is: nothing in it is an expression, whatever it looks like."""
    if isinstance(value, dict):
        return ObjectTemplate(tuple((name, _literal(one)) for name, one in value.items()))
    if isinstance(value, list):
        return ListTemplate(tuple(_literal(one) for one in value))
    return Literal(value)


def dependency_inputs(plan: Plan) -> dict[str, Json]:
    """What the plan gives to the workflows it depends on, by workflow: another run where it differs."""
    return {
        one.workflow: {name: to_json(value) for name, value in one.parameters}
        for table in plan.tables()
        for one in table.children.values()
        if one.role == "dependency" and one.parameters
    }
