"""Documents made to hang, to grow, to reach a file or a host, or to run as code; and the process that reads them.

    hostile_documents.py [--sample]       one line of JSON per document, the last with the memory it took

Each is read, compiled, drawn and, where it compiles, started and answered. It must end in a typed error or in a plan,
in less than a second of the processor's time, and meanwhile nothing may be opened, connected to or started.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hostile_texts import CODE, NAMES, PATTERNS, URLS

from machine.chart.chart import Chart
from machine.chart.events import Replied, Reply, Started
from machine.diagram import render
from machine.errors import InputError, MachineError
from machine.expressions.question import Answer, Question
from machine.library import load
from machine.plan.build import build_plan
from machine.plan.inputs import check_inputs
from machine.runtime.evaluator import Evaluator
from machine.runtime.preflight import first_request, misfits
from machine.sources.description import describe

__all__ = ["API", "document", "documents", "on_disk", "step"]

API: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "A", "version": "1"},
    "servers": [{"url": "https://api.example.com"}],
    "paths": {
        "/a": {
            "get": {"operationId": "get", "responses": {"200": {"description": "it"}}},
            "post": {"operationId": "make", "responses": {"201": {"description": "made"}}},
        }
    },
}


def document(*steps: Any, **workflow: Any) -> dict[str, Any]:
    return {
        "arazzo": "1.0.1",
        "info": {"title": "A", "version": "1"},
        "sourceDescriptions": [{"name": "api", "url": "api.json", "type": "openapi"}],
        "workflows": [{"workflowId": "w", "steps": list(steps), **workflow}],
    }


def step(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": "get", **more}


def _nested(open_: str, close: str, depth: int) -> bytes:
    return (open_ * depth + "1" + close * depth).encode()


def _texts() -> Iterator[tuple[str, bytes]]:
    """Texts that a parser could hang on."""
    yield (
        "aliases of aliases",
        b"\n".join(
            [
                b"a0: &a0 [x, x]",
                *(b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 30)),
            ]
        ),
    )
    yield (
        "merge keys",
        b"\n".join(
            [b"a0: &a0 {x: 1}", *(b"a%d: &a%d {<<: [*a%d, *a%d]}" % (n, n, n - 1, n - 1) for n in range(1, 40))]
        ),
    )
    for depth in (101, 900, 50_000):
        yield f"flow lists {depth} deep", _nested("[", "]", depth)
        yield f"flow maps {depth} deep", _nested("{a: ", "}", depth)
        yield f"json {depth} deep", _nested('{"a":', "}", depth)
        yield f"lists {depth} deep and open", b"[" * depth
        yield f"dashes {depth} deep", b"- " * depth + b"x"
    yield "block maps 2000 deep", b"\n".join(b" " * n + b"a:" for n in range(2000))
    yield "block keys", b"? " * 20_000
    yield "eleven mebibytes", b"a: " + b"x" * (11 << 20)
    yield "nine mebibytes of blanks", b" " * (9 << 20)
    yield "nine mebibytes of lines", b"\n" * (9 << 20)
    yield "nine mebibytes of comment", b"#" + b"x" * (9 << 20)
    yield "many keys", b"\n".join(b"k%d: 1" % n for n in range(150_000))
    yield "many lists", b"[" + b"[]," * 300_000 + b"]"
    yield "many anchors", b"\n".join(b"- &a%d x" % n for n in range(100_000))
    yield "many documents", b"---\na: 1\n" * 20_000
    yield "many directives", b"%TAG ! tag:x\n" * 20_000
    yield "an alias inside itself", b"&a [*a]"
    yield "a quote that never ends", b"a: '" + b"x\n" * 400_000
    yield "a long integer", b"a: " + b"9" * 100_000
    yield "a long float", b'{"a": 1' + b"0" * 5000 + b".5}"
    yield "escapes", b'{"a": "' + b"\\ud800" * 100_000 + b'"}'
    yield from (
        ("python object", b"!!python/object/apply:os.system ['touch PWNED']"),
        ("python module", b"a: !!python/module:os"),
        ("python name", b"a: !!python/name:os.system"),
        ("binary", b"a: !!binary aGVsbG8="),
        ("a set", b"a: !!set {b}"),
        ("nan", b"a: .nan"),
        ("duplicate keys", b"a: 1\na: 2"),
        ("nul", b"a: \x00"),
        ("invalid utf-8", b"a: \xff\xfe\xfa"),
        ("utf-16", "arazzo: 1.0.1".encode("utf-16")),
        ("utf-32", "arazzo: 1.0.1".encode("utf-32")),
        ("a tab", b"a:\n\t- b"),
        ("no mapping", b"- a"),
        ("a number", b"1"),
        ("nothing", b""),
        ("gzip", b"\x1f\x8b\x08\x00" + b"\x00" * 99),
    )


def _shapes() -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Documents and descriptions that are well formed and mean no good."""
    yield "many steps", document(*(step(f"s{n}") for n in range(3000))), API
    yield (
        "many parameters",
        document(step(parameters=[{"name": f"p{n}", "in": "query", "value": 1} for n in range(3000)])),
        API,
    )
    yield "a step that goes to itself", document(step(onSuccess=[{"name": "x", "type": "goto", "stepId": "a"}])), API
    yield "a workflow that waits for itself", document(step(), dependsOn=["w"]), API
    yield "a step that calls its workflow", document({"stepId": "a", "workflowId": "w"}), API
    yield "a deep payload", document(step(requestBody={"payload": json.loads(_nested("[", "]", 99))})), API
    yield "many outputs", document(step(outputs={f"o{n}": "$response.body" for n in range(3000)})), API
    yield (
        "many actions",
        document(
            step(
                onSuccess=[
                    {"name": f"a{n}", "type": "end", "criteria": [{"condition": "$statusCode == 1"}]}
                    for n in range(1000)
                ]
            )
        ),
        API,
    )
    for name, condition in {
        "parentheses": "(" * 5000 + "$statusCode == 200" + ")" * 5000,
        "negations": "!" * 20_000 + "$statusCode",
        "conjunctions": " && ".join(["$statusCode == 200"] * 3000),
        "a long text": "'" + "x" * 100_000 + "' == 'x'",
        "dots": "$response.body" + ".a" * 5000 + " == 1",
        "indexes": "$response.body" + "[0]" * 5000 + " == 1",
        "a pointer": "$response.body#" + "/a" * 20_000 + " == 1",
        "a number": "$statusCode == " + "9" * 20_000,
    }.items():
        yield f"a condition of {name}", document(step(successCriteria=[{"condition": condition}])), API
    for name, query in {
        "brackets": "$" + "[0]" * 5000,
        "descents": "$" + "..a" * 2000,
        "wildcards": "$" + "..*" * 8,
        "filters": "$" + "[?@.a" * 200 + "]" * 200,
        "negations": "$[?" + "!" * 5000 + "@.a]",
        "parentheses": "$[?" + "(" * 5000 + "@.a" + ")" * 5000 + "]",
        "slices": "$[0:999999999:1]",
        "a huge index": "$[9999999999999999999999]",
        "a regular expression": "$[?search(@.a, '^(a+)+$')]",
        "a function inside itself": "$[?" + "length(" * 500 + "@" + ")" * 500 + " > 1]",
    }.items():
        one = {"context": "$response.body", "type": "jsonpath", "condition": query}
        yield f"a query of {name}", document(step(successCriteria=[one])), API
    for name, value in {
        "many braces": "{$inputs.a}" * 5000,
        "open braces": "{" * 50_000,
        "dollars": "$" * 50_000,
        "a long name": "$inputs." + "a." * 5000,
    }.items():
        yield f"a value of {name}", document(step(parameters=[{"name": "x", "in": "header", "value": value}])), API
    for name, paths in {
        "a reference to itself": {"/a": {"$ref": "#/paths/~1a"}},
        "references in a circle": {"/a": {"$ref": "#/paths/~1b"}, "/b": {"$ref": "#/paths/~1a"}},
        "a chain of references": {f"/{n}": {"$ref": f"#/paths/~1{n + 1}"} for n in range(3000)},
        "a reference to a file": {"/a": {"$ref": "file:///etc/passwd"}},
        "a reference to a host": {"/a": {"$ref": "http://169.254.169.254/latest/meta-data"}},
        "a reference up": {"/a": {"$ref": "../../../../etc/passwd"}},
        "many paths": {f"/{n}": {"get": {"operationId": f"o{n}", "responses": {}}} for n in range(5000)},
        "a deep schema": {
            "/a": {
                "get": {
                    "operationId": "get",
                    "parameters": [{"name": "x", "in": "query", "schema": json.loads(_nested('{"items":', "}", 90))}],
                    "responses": {},
                }
            }
        },
    }.items():
        yield f"a description with {name}", document(step()), {**API, "paths": paths}
    for name, servers in {
        "a file": [{"url": "file:///etc"}],
        "variables": [{"url": "https://{a}" + "{a}" * 3000, "variables": {"a": {"default": "{a}"}}}],
        "a name and a password": [{"url": "https://user:pass@example.com"}],
        "no server": [],
    }.items():
        yield f"a server that is {name}", document(step()), {**API, "servers": servers}
    for number, pattern in enumerate(PATTERNS):
        schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}
        yield f"an input with pattern {number}", document(step(), inputs=schema), API
        one = {"context": "$response.body#/a/0", "type": "regex", "condition": pattern}
        yield f"a condition with pattern {number}", document(step(successCriteria=[one])), API


def _schemas() -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Schemas that double, fetch or match without end: of the inputs, and of a first body."""
    for word in ("allOf", "anyOf"):
        doubling: dict[str, Any] = {f"s{n}": {word: [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(40)}
        schema = {"type": "object", "$defs": {**doubling, "s40": {"type": "object"}}, word: [{"$ref": "#/$defs/s0"}]}
        yield f"inputs whose {word} double", document(step(), inputs=schema), API
        yield (
            f"inputs whose unevaluated {word} double",
            document(step(), inputs={**schema, "unevaluatedProperties": False}),
            API,
        )
    endless = {"patternProperties": {pattern: {} for pattern in PATTERNS[:3]}}
    bodies: dict[str, Any] = {
        "additional properties beside patterns": {**endless, "additionalProperties": False},
        "unevaluated properties beside patterns": {**endless, "unevaluatedProperties": False},
        "a reference to a host": {"$dynamicRef": "http://127.0.0.1:9/x"},
        "an id at a host": {"$id": "http://127.0.0.1:9/x", "not": {"$dynamicRef": "y"}},
        "a division by nothing": {"additionalProperties": {"multipleOf": 0}},
        "many choices": {"anyOf": [{"type": "string"}] * 5000},
        "items that differ": {"additionalProperties": {"uniqueItems": True}},
    }
    payload: dict[str, Any] = {"a" * 28 + "!": 1, "many": [{"a": n} for n in range(3000)]}
    for name, schema in bodies.items():
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        post = {"operationId": "make", "requestBody": body, "responses": {"201": {"description": "made"}}}
        sent = {"contentType": "application/json", "payload": payload}
        yield (
            f"a body schema of {name}",
            document({"stepId": "a", "operationId": "make", "requestBody": sent}),
            {**API, "paths": {"/a": {"post": post}}},
        )


def _code() -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Every text of CODE in every spot."""
    for number, text in enumerate(CODE):
        simple = {"condition": text}
        query = {"context": "$response.body", "type": "jsonpath", "condition": text}
        for spot, more in {
            "simple": {"successCriteria": [simple]},
            "jsonpath": {"successCriteria": [query]},
            "payload": {"requestBody": {"contentType": "application/json", "payload": {"x": text}}},
            "output": {"outputs": {"x": text}},
        }.items():
            yield f"code {number} as {spot}", document(step(**more)), API


def documents(*, sample: bool) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Name to the texts of a document and what it refers to."""
    every = 12 if sample else 1
    texts = [(name, {"w.yaml": text}) for name, text in _texts()]
    named = [(f"a step called {name[:20]!a}", document(step(name)), API) for name in NAMES]
    shapes = [*_shapes(), *_schemas(), *_code(), *named]
    made = [
        (name, {"w.yaml": json.dumps(one).encode(), "api.json": json.dumps(api).encode()}) for name, one, api in shapes
    ]
    yield from [*texts, *made][::every]


def on_disk(folder: Path, *, sample: bool) -> Iterator[tuple[str, Path]]:
    """Documents in a folder whose sources lie, or seem to lie, outside of it."""
    inside = folder / "work" / "inside"
    inside.mkdir(parents=True)
    (folder / "secret.yaml").write_text(json.dumps(API))
    (inside / "link.yaml").symlink_to(folder / "secret.yaml")
    (inside / "folder").mkdir()
    os.mkfifo(inside / "pipe")
    for number, url in enumerate(URLS[:: 12 if sample else 1]):
        one = document(step())
        one["sourceDescriptions"][0]["url"] = url
        path = inside / f"{number}.arazzo.yaml"
        path.write_text(json.dumps(one))
        yield f"a source at {url[:60]!a}", path


def _matched(question: Question) -> Answer:
    """What matches patterns in a run; it starts no process for them."""
    return Evaluator()(question) if question.language == "regex" else Answer(problem="a process answers this")


def _use(description: Any) -> None:
    """All that is done with a document that was read: compile, draw, begin, and take an answer."""
    plan = build_plan(description)
    for form in ("dot", "mermaid"):
        render(plan, format=form)
    with suppress(InputError):
        check_inputs(plan, {"x": "a" * 28 + "!"}, ask=_matched)
    with suppress(InputError):
        first = first_request(plan, {"a": "x", "x": "a" * 28 + "!"})
        if first is not None:
            misfits(first)
    chart = Chart(plan, evaluate=_matched)
    snapshot, _, _ = chart.advance(chart.begin(), Started(at=1.0, inputs={"a": "x", "x": "a" * 28 + "!"}))
    body = {"a": ["a" * 28 + "!", {"b": 1}], "x": {"y": None}}
    if snapshot.pending is not None:
        chart.advance(snapshot, Replied(at=2.0, reply=Reply(status=200, body=body, form="json")))


TOUCHES: Final = ("open", "socket.", "subprocess.", "os.", "shutil.", "ctypes.", "urllib.", "http.", "sqlite3.")
HARMLESS: Final = ("os.listdir", "os.scandir", "os.chdir", "os.remove", "os.rmdir", "os.mkdir")


class _Watch:
    """Notes what the interpreter is asked to touch outside a folder and its own libraries."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ()
        self.touched: list[str] = []
        self.on = False
        libraries = {str(Path(one).resolve()) for one in (sys.prefix, sys.base_prefix)}
        self._libraries = (*libraries, str(Path(__file__).resolve().parents[2] / "machine"))
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or not event.startswith(TOUCHES) or event in HARMLESS:
            return
        named = str(arguments[0]) if arguments else ""
        # A number is a file that was opened before, and was heard of then.
        if event == "open" and (named.isdigit() or named.startswith((*self._libraries, *self.allowed))):
            return
        self.touched.append(f"{event} {named[:80]}")


def _attempt(watch: _Watch, name: str, action: Callable[[], None]) -> dict[str, Any]:
    print(json.dumps({"begun": name}), flush=True)
    watch.touched = []
    began = time.process_time()
    watch.on = True
    try:
        action()
        ending = "a plan"
    except MachineError as error:
        ending = error.code
    except BaseException as error:  # what must not happen, whatever it is
        ending = f"!{type(error).__name__}: {str(error)[:100]}"
    finally:
        watch.on = False
    return {
        "name": name,
        "ending": ending,
        "seconds": time.process_time() - began,
        "peak_so_far": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "touched": watch.touched,
    }


def main(*, sample: bool) -> None:
    watch = _Watch()
    benign = {"w.yaml": json.dumps(document(step())).encode(), "api.json": json.dumps(API).encode()}
    _use(describe("w.yaml", read=benign.__getitem__))
    for name, texts in documents(sample=sample):
        print(
            json.dumps(_attempt(watch, name, lambda texts=texts: _use(describe("w.yaml", read=texts.__getitem__)))),
            flush=True,
        )  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        for name, path in on_disk(folder, sample=sample):
            watch.allowed = (str(folder / "work"),)
            found = _attempt(watch, name, lambda path=path: _use(load(str(path))))  # type: ignore[misc]
            found["ending"] = found["ending"] if found["ending"] != "a plan" else "!it was read"
            print(json.dumps(found), flush=True)
    if Path("PWNED").exists():
        print(json.dumps({"name": "all", "ending": "!code was run", "seconds": 0, "touched": []}))
    with suppress(BrokenPipeError):
        print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


if __name__ == "__main__":
    main(sample="--sample" in sys.argv[1:])
