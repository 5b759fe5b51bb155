"""Data files -> rules with their cases: what a document, its inputs and scripted replies must come to.

The files are read as plain YAML and checked field by field, so that a misspelt expectation is an error and not a test
that cannot fail. Nothing here knows an engine; ``README.md`` describes the format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import yaml

__all__ = ["FOLDER", "Case", "Rule", "read_rules"]

FOLDER = Path(__file__).resolve().parent
_HOLE = re.compile(r"%([a-zA-Z]+)%")
_OUTCOMES = ("ready", "failed", "unmatched", "in_doubt", "out_of_budget", "credential", "refused")
_ERRORS = ("", "document", "source", "input", "usage", "host")
_FAULTS = ("reset", "timeout", "refused")
_OF_A_REPLY = {"to", "status", "headers", "body", "text", "fail", "takes"}
_OF_A_REQUEST = {"url", "headers", "body"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One document under one set of circumstances, and what must come of it."""

    name: str
    document: str
    uri: str = "workflow.arazzo.yaml"
    files: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    """Source name -> the file the caller says it is in."""
    workflow: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    replies: tuple[Mapping[str, Any], ...] = ()

    outcome: str
    path: tuple[str, ...] | None = None
    requests: tuple[Mapping[str, Any] | None, ...] | None = None
    waits: tuple[float, ...] | None = None
    outputs: Mapping[str, Any] | None = None
    unresolved: tuple[str, ...] | None = None
    tolerances: tuple[str, ...] | None = None
    error: str = ""
    lines: tuple[int, ...] = ()
    """Any one of them must be named by the refusal; empty: none is asked for."""
    gap: str = ""

    @property
    def repliable(self) -> bool:
        """Whether a plain HTTP server on loopback can play the other side."""
        plain = all(not one.keys() & {"fail", "takes"} for one in self.replies)
        here = all("://" not in (one or {}).get("url", "") for one in self.requests or ())
        return self.outcome != "refused" and bool(self.replies) and plain and here


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One data file."""

    id: str
    title: str
    section: str
    also: tuple[str, ...] = ()
    """Ids of other rules these cases show as well."""
    cases: tuple[Case, ...] = ()


def read_rules(folder: Path = FOLDER) -> tuple[Rule, ...]:
    """Every rule of the folder, by id. Raises ValueError that names the file and the case for anything unknown."""
    common = {name: json.dumps(value) for name, value in _load(folder / "common.yaml").items()}
    rules = [_rule(path, common) for path in (folder / "rules").glob("*.yaml")]
    return tuple(sorted(rules, key=lambda rule: order(rule.id)))


def order(name: str) -> tuple[int, str, int]:
    """Checklist first, then ambiguities, tolerances and examples, each by number."""
    letters, number = re.fullmatch(r"([A-Z]+)-?(\d+)", name).groups()  # type: ignore[union-attr]
    group = {"A": 1, "C": 2, "T": 3}.get(letters, 0)
    checklist = ["DOC", "SRC", "WF", "STEP", "PAR", "BODY", "CRIT", "ACT", "CMP", "EXP", "SEL", "SCH"]
    return group, f"{checklist.index(letters):02}" if group == 0 else letters, int(number)


class _Core(yaml.CSafeLoader):
    """YAML 1.2 with the types of JSON: ``on`` and ``12:30`` are texts."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


_Core.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(null|~)?\Z"), ["n", "~", ""])
_Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)\Z"), ["t", "f"])
_Core.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9]\d*)\Z"), list("-0123456789"))
_Core.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"-?\d+\.\d+\Z"), list("-0123456789"))


def _load(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=_Core)


def _rule(path: Path, common: Mapping[str, str]) -> Rule:
    data = _load(path)
    head = {key: data.pop(key) for key in ("rule", "title", "section")}
    if head["rule"] != path.stem:
        raise ValueError(f"{path.name}: it holds the rule {head['rule']}")
    also, cases = data.pop("also", ()), data.pop("cases")
    made = []
    for case in cases:
        try:
            made.append(_case({**data, **case}, data.get("with", {}), case.get("with", {}), common))
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{path.name}: {case.get('name')}: {error!r}") from error
    names = [case.name for case in made]
    if len(set(names)) != len(names):
        raise ValueError(f"{path.name}: two cases have one name")
    return Rule(id=head["rule"], title=head["title"], section=head["section"], also=tuple(also), cases=tuple(made))


def _case(data: dict[str, Any], shared: Mapping[str, Any], own: Mapping[str, Any], common: Mapping[str, str]) -> Case:
    data.pop("with", None)
    fillings = {"arazzo": data.pop("arazzo", "1.0.1"), **shared, **own}
    used: set[str] = set()

    def fill(text: str) -> str:
        """Put JSON, which YAML can read, in the place of every hole, so that lines stay where they are."""

        def filled(hole: re.Match[str]) -> str:
            used.add(hole[1])
            return json.dumps(fillings[hole[1]])

        return _HOLE.sub(filled, text)

    if not isinstance(data["name"], str):
        raise ValueError("a name is a text")
    document = fill(data.pop("document"))
    files = {
        name: fill(text if isinstance(text, str) else json.dumps(text))
        for name, text in data.pop("sources", {}).items()
    }
    if unused := set(own) - used:
        raise ValueError(f"nothing in the document asks for {', '.join(sorted(unused))}")
    outcome = data.get("outcome")
    if outcome not in _OUTCOMES or data.get("error", "") not in _ERRORS:
        raise ValueError(f"outcome {outcome!r} or error {data.get('error')!r} is none that is known")
    if (outcome == "refused") != bool(data.get("error")):
        raise ValueError("a refusal says of what, and nothing else does")
    at = data.pop("at", ())
    known = {one.name for one in fields(Case)} - {"lines", "files", "document"}
    if unknown := set(data) - known:
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
    replies = tuple(_reply(one) for one in data.pop("replies", ()))
    for name in ("path", "waits", "unresolved", "tolerances"):
        if data.get(name) is not None:
            data[name] = tuple(data[name])
    if data.get("requests") is not None:
        data["requests"] = tuple(_request(one) for one in data["requests"])
    lines = tuple(_line(document, text) for text in ([at] if isinstance(at, str) else at))
    return Case(document=document, files={**common, **files}, replies=replies, lines=lines, **data)


def _reply(value: Any) -> Mapping[str, Any]:
    reply = {"status": value} if isinstance(value, int) else dict(value)
    if unknown := reply.keys() - _OF_A_REPLY:
        raise ValueError(f"unknown fields of a reply: {', '.join(sorted(unknown))}")
    if ("status" in reply) == ("fail" in reply) or reply.get("fail", "reset") not in _FAULTS:
        raise ValueError("a reply has a status, or fails in a known way")
    return reply


def _request(value: Any) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, str):
        return value if value is None else {"url": value}
    if unknown := value.keys() - _OF_A_REQUEST:
        raise ValueError(f"unknown fields of a request: {', '.join(sorted(unknown))}")
    return dict(value)


def _line(document: str, text: str) -> int:
    """The one line that holds the text, counted from 1."""
    found = [number for number, line in enumerate(document.splitlines(), 1) if text in line]
    if len(found) != 1:
        raise ValueError(f"{text!r} stands on {len(found)} lines")
    return found[0]
