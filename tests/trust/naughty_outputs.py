"""Texts that a terminal, a browser, a drawing program or a log reader would obey, through everything that is printed.

Each text is the name of a state, of an action and of a workflow, and what a service answers. What comes out must be
read by a parser of its format, hold as many things as it was given, and hold nothing active.
"""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

from hostile_documents import API, document, step
from hostile_texts import CODE, NAMES

from machine.chart.chart import Chart
from machine.chart.events import Replied, Reply, Started
from machine.cli.printing import echo_json, error_lines, say, table
from machine.cli.progress import Progress
from machine.diagram import render
from machine.diagram.model import diagram_of
from machine.errors import UsageError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.reports.junit import junit
from machine.reports.markdown import markdown
from machine.reports.why import why_lines
from machine.runtime.layout import render_svg
from machine.runtime.observers import LogObserver
from machine.runtime.result import Result
from machine.sources.description import describe
from machine.stores.base import RunHead

__all__ = ["FORMATS", "TEXTS", "trial"]

TEXTS: Final = tuple(
    dict.fromkeys(
        [
            *CODE,
            *NAMES,
            *(
                "\x1b[31mred\x1b[0m",
                "\x1b]0;title\x07",
                "\x1b]8;;http://x\x1b\\link",
                "\x9b31m",
                "\x90q\x9c",
                "\x1b[2J",
            ),
            *("\a", "\b\b\b", "\r\nowned", "one\ntwo", "\v\f", "\x7f", "\x00", "\x1b[6n", "\x1bP+q\x1b\\", "\t\t"),
            *("\u202eexe.txt", "\u2066x\u2069", "\u200f", "\u200b", "\ufeff", "\u2028", "\u2029", "\u0085", "\u061c"),
            *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onload="alert(1)', "javascript:alert(1)"),
            *(
                "</text><script>alert(1)</script>",
                "<svg onload=alert(1)>",
                "<a href='javascript:1'>x</a>",
                "]]><script/>",
            ),
            *(
                "<!--",
                "-->",
                "<?xml version='1.0'?>",
                "<!DOCTYPE x>",
                "&#60;script&#62;",
                "&lt;script&gt;",
                "&",
                "&&amp;",
            ),
            *(
                "<foreignObject><body onload=alert(1)>",
                "<style>*{display:none}</style>",
                "<use href='data:,x'/>",
                "<br/>",
            ),
            *('<<table href="javascript:alert(1)"><tr><td>x</td></tr></table>>', "<b>x</b>", "<>", "< >", "<x"),
            *(
                '"];evil[label="',
                '"',
                '""',
                "\\",
                "\\\\",
                '\\"',
                "x\\",
                "\\N\\G\\L",
                "{a|b}",
                "a:b:c",
                "/* x */",
                "// x",
            ),
            *("}", "{", "digraph evil {", "subgraph cluster_x {", "a -> b", "a -- b", "strict", "#include", "@"),
            *(
                "s_0 --> s_1 : y",
                "%%{init: {'theme':'dark'}}%%",
                "%% gone",
                "direction LR",
                "classDef x:#;",
                "[*] --> x",
            ),
            *("<<fork>>", "state x {", "end note", "note right of s_0", ":::evil", 'click s_0 "javascript:alert(1)"'),
            *('style: #"; classDef x', "$$x^2$$", "`code`", "**bold**", "[x](javascript:alert(1))", "![x](http://x)"),
            *('{"event": "run.started"}', "key=value", 'a="b" c=d', "level=error", "%d %s", "{} {0}", "null", "true"),
            *("x" * 5000, "word " * 500, "\U0001f600" * 50, "e\u0301" * 200, "\u0e49" * 200, "Z\u0335\u0321" * 100),
            *("\ud800", "x\udfffy", "\ufffe", "\U0010ffff", "\u00ad", "\u3000", "   ", ""),
            *(
                "CON",
                "NUL",
                "-rf",
                "--help",
                "$HOME",
                "~",
                "*",
                "?",
                "|",
                ">",
                "<",
                "!",
                ";",
                "&&",
                "||",
                "\\x41",
                "%41",
            ),
        ]
    )
)
"""Our own list; what others have collected is much longer and says the same."""

_BAD: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""What a terminal may obey, and what shows a text as another; a line end is looked at apart."""

_MERMAID: Final = re.compile(
    r"stateDiagram-v2|  %% [^\n]*|  state \"[^\"\n]*\" as s_\d+|  (s_\d+|\[\*\]) --> (s_\d+|\[\*\])( : [^\n]*)?"
    r"|  classDef \w+ [\w:#, -]+|  class [\w,]+ \w+"
)
_LABEL: Final = re.compile(r"(?:[A-Za-z0-9 ,.?=!|/()$+\-_']|#(?:\d+|quot);|<br/>|[^\x00-\x7f])*")


_SHOWN = r"(?:[^\x00-\x7f]|[A-Za-z0-9 ,\-/'.;=()?%+$]|: |&#\d+;)*"
"""A text in a report: nothing in it is markup, a link or a mention."""
_MARKDOWN = re.compile(
    rf"|## {_SHOWN}: {_SHOWN}|{_SHOWN}|\|(?: \|)+|\|(?:---\|)+|\|(?: {_SHOWN} \|)+|- {_SHOWN}"
    rf"|\*\*Next\*\*: <code>{_SHOWN}</code>|\*\*What may be left on the other side, and billed\*\*"
)


def _plan(texts: Sequence[str]) -> Plan:
    """A plan whose states, actions and names are these texts. Half of a surrogate pair is refused in a document."""
    texts = [re.sub("[\ud800-\udfff]", "?", text) for text in texts]
    action = {"type": "end", "criteria": [{"condition": "$statusCode == 1"}]}
    steps = [step(f"s{at}", onSuccess=[{**action, "name": f"a{at}"}]) for at in range(len(texts))]
    made = {"w.yaml": json.dumps(document(*steps)).encode(), "api.json": json.dumps(API).encode()}
    plan = build_plan(describe("w.yaml", read=made.__getitem__))
    named = {f"s{at}": text for at, text in enumerate(texts)}
    acted = {f"a{at}": text for at, text in enumerate(texts)}
    return replace(
        plan,
        workflow=texts[0],
        title=texts[-1],
        document=texts[0],
        states=tuple(replace(one, name=named.get(one.name, one.name)) for one in plan.states),
        transitions=tuple(replace(one, label=acted.get(one.label, one.label)) for one in plan.transitions),
    )


def _records(plan: Plan, texts: Sequence[str]) -> tuple[Any, list[Any]]:
    """A run of that plan, and its records, in which a service answers with those texts."""
    calls = {name: replace(call, outputs={}) for name, call in plan.calls.items()}
    chart = Chart(replace(plan, calls=calls))
    snapshot, _, first = chart.advance(chart.begin(), Started(at=1.0))
    records = [first]
    for text in texts:
        if snapshot.pending is None:
            break
        reply = Reply(status=200, body={"x": text}, form="json")
        snapshot, _, record = chart.advance(snapshot, Replied(at=2.0, reply=reply))
        first = replace(record.moves[0], outputs={"x": text, "y": [text]})
        records.append(replace(record, moves=(first, *record.moves[1:])))
    return SimpleNamespace(id="one", plan=chart.plan, snapshot=snapshot, where=texts[0]), records


def _terminal(texts: Sequence[str]) -> Iterator[str]:
    run, records = _records(_plan(texts), texts)
    out, progress = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        for text in texts:
            say(text)
            say(f"  {text}", err=False)
            for line in error_lines(UsageError(text, code="AZM-U999", seen=text, next=text)):
                say(line)
        for line in (*table([[text, text] for text in texts]), *why_lines(run.plan, records)):
            say(line)
    observer = Progress(progress, store=texts[0])
    for record in records:
        observer(run, record)
    for stream in (out, progress):
        found = _BAD.search(stream.getvalue())
        if found:
            yield f"{found[0]!a} reaches the terminal"
    # An error without advice is a line less.
    said = 5 * len(texts) - texts.count("") + sum(1 for _ in why_lines(run.plan, records))
    if out.getvalue().count("\n") != said:
        yield f"{out.getvalue().count(chr(10))} lines where there are {said} things to say"


def _log(texts: Sequence[str]) -> Iterator[str]:
    run, records = _records(_plan(texts), texts)
    stream = io.StringIO()
    observer = LogObserver(stream)
    for record in records:
        observer(run, record)
    lines = stream.getvalue().split("\n")[:-1]
    if len(lines) != len(records):
        yield f"{len(lines)} lines for {len(records)} records"
    for line, record in zip(lines, records, strict=False):
        if not (line.isascii() and line.isprintable()):
            yield "a line is more than printable ASCII"
        if json.loads(line)["event"] != record.kind:
            yield "a text took the place of the event"


def _json(texts: Sequence[str]) -> Iterator[str]:
    out = io.StringIO()
    plan = _plan(texts).to_json()
    with redirect_stdout(out):
        echo_json({"texts": list(texts), "plan": plan})
    line = out.getvalue().removesuffix("\n")
    if not (line.isascii() and line.isprintable()):
        yield "more than printable ASCII"
    if json.loads(line)["texts"] != list(texts):
        yield "a text was changed"


def _reports(texts: Sequence[str]) -> Iterator[str]:
    run, records = _records(_plan(texts), texts)
    head = RunHead(
        id="one",
        workflow=texts[0],
        document=texts[-1],
        created=0.0,
        plan_sha256=run.snapshot.plan_sha256,
        inputs_sha256="",
    )
    result = Result.of(head, Chart(run.plan), run.snapshot, held=False)
    result = replace(result, outputs={"x": texts[0]}, message=" ".join(texts[:5]), reason="broke")
    xml = junit(result, run.plan, records)
    if ET.fromstring(xml.partition("?>")[2]).tag != "testsuites":
        yield "another element than testsuites"
    for form, text in (("junit", xml), ("text", render(run.plan, format="text", records=records))):
        if found := _BAD.search(text.replace("\n", "")):
            yield f"{found[0]!a} in {form}"
    for line in markdown(result, run.plan, records).split("\n"):
        if not _MARKDOWN.fullmatch(line) or _BAD.search(line):
            yield f"{line[:60]!a} is more than Markdown of ours"


def _mermaid(texts: Sequence[str]) -> Iterator[str]:
    plan = _plan(texts)
    text = render(plan, format="mermaid")
    lines = text.split("\n")[:-1]
    for line in lines:
        if not _MERMAID.fullmatch(line):
            yield f"{line[:60]!a} is no statement"
    labels = re.findall(r'state "([^"]*)"', text) + re.findall(r" : (.*)", text)
    for label in labels:
        if not _LABEL.fullmatch(label) or _BAD.search(label):
            yield f"{label[:60]!a} could leave its label"
    if sum(line.startswith("  state ") for line in lines) != len(diagram_of(plan).nodes):
        yield "another number of states"


def _svg(texts: Sequence[str]) -> Iterator[str]:
    plan = _plan(texts)
    dot = render(plan, format="dot")
    if _BAD.search(dot.replace("\n", "")):
        yield "a control character in the DOT"
    drawn = render_svg(dot)
    # One rule of our own says which names are bold.
    root = ET.fromstring(re.sub(r"<style>\.state text[^<]*</style>", "", drawn, count=1))
    kinds = [one.tag.rpartition("}")[2] for one in root.iter()]
    if odd := set(kinds) - {"svg", "g", "title", "polygon", "path", "text", "ellipse", "polyline", "desc", "tspan"}:
        yield f"an element {sorted(odd)[0]}"
    for one in root.iter():
        for name, value in one.attrib.items():
            plain = name.rpartition("}")[2].lower()
            if plain.startswith("on") or plain in ("href", "src", "style") or "javascript:" in value.lower():
                yield f"an attribute {plain}"
    nodes = sum("state" in (one.get("class") or "").split() for one in root.iter())
    if nodes != (known := len(diagram_of(plan).nodes)):
        yield f"{nodes} nodes where there are {known}"


FORMATS: Final[dict[str, Callable[[Sequence[str]], Iterator[str]]]] = {
    "terminal": _terminal,
    "log": _log,
    "json": _json,
    "mermaid": _mermaid,
    "reports": _reports,
    "dot and svg": _svg,
}


def trial(name: str, texts: Sequence[str]) -> list[str]:
    """What is wrong with some texts in one format; nothing where all is well."""
    return list(dict.fromkeys(FORMATS[name](texts)))
