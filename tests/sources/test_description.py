"""A document and everything it names, read once and kept."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from machine.errors import DocumentError, SourceError
from machine.plan.build import build_plan
from machine.sources.description import Description, describe

DOCUMENT = Path(__file__).resolve().parent.parent / "documents" / "deploy.arazzo.yaml"
SOURCE = Path(__file__).resolve().parents[2] / "workflows" / "openapi" / "hugging-face-inference-endpoints-api.yml"


def test_everything_that_was_read_is_kept_under_the_name_it_was_read_by() -> None:
    read: list[str] = []

    def reader(name: str) -> bytes:
        read.append(name)
        return Path(name).read_bytes()

    description = describe(str(DOCUMENT), read=reader, sources={"inferenceEndpointsApi": str(SOURCE)})

    assert read == [str(DOCUMENT), str(SOURCE)]
    assert {name: hashlib.sha256(text).hexdigest() for name, text in description.texts.items()} == {
        str(DOCUMENT): description.document.sha256,
        str(SOURCE): description.sources["inferenceEndpointsApi"].sha256,
    }


def test_a_description_is_trusted_only_when_its_reader_says_so() -> None:
    given = {"inferenceEndpointsApi": str(SOURCE)}
    plain = describe(str(DOCUMENT), read=lambda name: Path(name).read_bytes(), sources=given)
    trusted = describe(str(DOCUMENT), read=lambda name: Path(name).read_bytes(), sources=given, trusted=True)

    assert (plain.trusted, trusted.trusted) == (False, True)


def test_a_source_that_cannot_be_read_is_told_with_the_flag_that_helps() -> None:
    def reader(name: str) -> bytes:
        if name == str(DOCUMENT):
            return DOCUMENT.read_bytes()
        raise FileNotFoundError(name)

    description = describe(str(DOCUMENT), read=reader)

    assert "--source inferenceEndpointsApi=PATH" in description.findings[-1].suggestion
    with pytest.raises(SourceError) as error:
        build_plan(description)
    assert error.value.place is not None
    assert error.value.place.line > 0


def test_a_document_with_errors_never_has_its_sources_read() -> None:
    read: list[str] = []

    def reader(name: str) -> bytes:
        read.append(name)
        return b"arazzo: 1.0.1\ninfo: {title: x, version: '1'}\n"

    with pytest.raises(DocumentError):
        describe("broken.yaml", read=reader)

    assert read == ["broken.yaml"]


# -- overlays ----------------------------------------------------------------------------------------------------------

PLAIN = b"""
arazzo: 1.0.1
info: {title: x, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: w
  inputs:
    type: object
    properties:
      a/token: {type: string, x-machine: {secret: true}}
      other: {type: string, x-machine: {secret: true}}
  steps: [{stepId: s, operationId: op, successCriteria: [{condition: $statusCode == 200}]}]
"""
API = b"""
openapi: 3.1.0
info: {title: y, version: '1'}
servers: [{url: 'https://x.example'}]
paths: {/y: {get: {operationId: op, responses: {'200': {description: fine}}}}}
"""
OVERLAY = b"""
overlay: 1.0.0
info: {title: mine, version: '1'}
actions:
- target: "$.workflows[0].inputs.properties['a/token']"
  update: {x-machine: {from: '@env:MINE'}}
"""
FILES = {"d.yaml": PLAIN, "api.yaml": API, "o.yaml": OVERLAY}


def test_only_the_inputs_an_overlay_speaks_of_may_name_where_their_secret_is() -> None:
    plain = describe("d.yaml", read=FILES.__getitem__)
    merged = describe("d.yaml", read=FILES.__getitem__, overlay="o.yaml")
    trusted = describe("d.yaml", read=FILES.__getitem__, trusted=True)

    assert plain.granted == frozenset()
    assert [plain.may_name_origin("w", name) for name in ("a/token", "other")] == [False, False]
    assert [merged.may_name_origin("w", name) for name in ("a/token", "other")] == [True, False]
    assert not merged.may_name_origin("another", "a/token")
    assert trusted.may_name_origin("w", "other")


def test_the_merged_document_is_what_is_hashed_and_kept() -> None:
    merged = describe("d.yaml", read=FILES.__getitem__, overlay="o.yaml")

    assert set(merged.texts) == {"d.yaml", "api.yaml"}
    assert merged.document.sha256 == hashlib.sha256(merged.texts["d.yaml"]).hexdigest()
    assert merged.document.sha256 != describe("d.yaml", read=FILES.__getitem__).document.sha256
    again = describe("d.yaml", read={**FILES, **merged.texts}.__getitem__)
    assert again.document.sha256 == merged.document.sha256


FLOW = b"""
arazzo: 1.0.1
info: {title: A flow, version: "1"}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: w
  steps:
  - stepId: s
    %s
"""
API = b"""
openapi: 3.1.0
info: {title: a, title: b}
servers: [{url: 'https://api.test'}]
components:
  parameters:
    p: {name: p, in: query}
    p: {name: p, in: header}
  requestBodies:
    twice: {content: {text/plain: {}}, content: {application/json: {}}}
  schemas: {t: {type: object}, t: {type: string}}
  securitySchemes:
    whole: {type: http, scheme: basic, description: x, description: y}
    half: {type: http, scheme: basic, scheme: bearer}
    gone: {type: http, scheme: basic}
    gone: {type: apiKey, in: header, name: k}
paths:
  /a:
    get:
      operationId: a
      summary: one
      summary: two
      parameters:
      - {name: good, in: query, description: x, description: y, schema: {type: string, type: integer}}
      - {name: odd, in: query, style: form, style: pipeDelimited}
      - {name: X-Odd, in: header, explode: true, explode: false}
      - {name: must, in: query, required: true, required: false}
    post: {operationId: b, requestBody: {$ref: '#/components/requestBodies/twice'}}
    put: {operationId: c}
    put: {operationId: d}
    patch: {operationId: e, operationId: f}
  /more: {additionalOperations: {COPY: {operationId: copied}}, additionalOperations: {}}
  /p: {get: {operationId: p, parameters: [{$ref: '#/components/parameters/p'}, {name: q, in: query}]}}
  /two: {get: {operationId: g}}
  /two: {post: {operationId: h}}
  /list: {get: {operationId: lists, parameters: [{name: q, in: query}], parameters: []}}
  /item: {parameters: [], parameters: [], get: {operationId: item}}
  /server: {get: {operationId: server, servers: [{url: 'https://a.test', url: 'https://b.test'}]}}
  /whole: {get: {operationId: whole, security: [{whole: []}]}}
  /half: {get: {operationId: half, security: [{half: []}]}}
  /gone: {get: {operationId: gone, security: [{gone: []}]}}
  /either: {get: {operationId: either, security: [{gone: []}, {whole: []}]}}
  /free: {get: {operationId: free, security: [{gone: []}, {}]}}
  /asks: {get: {operationId: asks, security: [{whole: []}], security: []}}
  /ref: {get: {operationId: ref, requestBody: {$ref: '#/x', $ref: '#/y'}}}
  /body:
    post: {operationId: body, requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/t'}}}}}
"""


def described(step: str, api: bytes = API) -> Description:
    return describe("flow.yaml", read={"flow.yaml": FLOW % step.encode(), "api.yaml": api}.__getitem__)


BODY = "requestBody: {contentType: application/json, payload: {}}"


@pytest.mark.parametrize(
    "step",
    [
        pytest.param("operationId: a", id="parameters-that-are-not-sent"),
        pytest.param(
            "operationId: a\n    parameters: [{name: good, in: query, value: 1}]",
            id="a-parameter-with-two-words-about-it",
        ),
        pytest.param("operationId: a\n    parameters: [{name: must, in: query, value: 1}]", id="that-it-is-required"),
        pytest.param("operationId: b", id="a-body-that-is-not-sent"),
        pytest.param("operationId: p\n    parameters: [{name: q, in: query, value: 1}]", id="another-parameter"),
        pytest.param("operationId: item", id="parameters-of-the-path"),
        pytest.param("operationId: server", id="a-server-that-may-be-given"),
        pytest.param("operationId: whole", id="a-scheme-with-two-words-about-it"),
        pytest.param("operationId: either", id="another-scheme"),
        pytest.param("operationId: free", id="no-scheme"),
        pytest.param("operationId: ref", id="a-reference-that-is-not-needed"),
        pytest.param("operationId: body\n    " + BODY, id="a-schema"),
    ],
)
def test_a_key_that_stands_twice_does_not_matter_where_it_is_not_needed(step: str) -> None:
    plan = build_plan(described(step))

    assert plan.calls["s"].operation.source == "api"
    assert [one.message for one in plan.notices if one.place.document == "api.yaml"] == []


@pytest.mark.parametrize(
    ("step", "word"),
    [
        pytest.param("operationId: a\n    parameters: [{name: odd, in: query, value: 1}]", "'odd'", id="style"),
        pytest.param("operationId: a\n    parameters: [{name: x-odd, in: header, value: 1}]", "'X-Odd'", id="explode"),
        pytest.param(
            "operationId: p\n    parameters: [{name: p, in: query, value: 1}]", "'p'", id="behind-a-reference"
        ),
        pytest.param("operationId: lists\n    parameters: [{name: q, in: query, value: 1}]", "'parameters'", id="all"),
        pytest.param("operationId: b\n    " + BODY, "'content'", id="body"),
        pytest.param("operationId: ref\n    " + BODY, "'$ref'", id="reference"),
        pytest.param("operationPath: '{$sourceDescriptions.api.url}#/paths/~1a/put'", "'put'", id="operation"),
        pytest.param("operationPath: '{$sourceDescriptions.api.url}#/paths/~1two/get'", "'/two'", id="path-item"),
        pytest.param("operationId: half", "'scheme'", id="half-a-scheme"),
        pytest.param("operationId: gone", "'gone'", id="scheme"),
        pytest.param("operationId: asks", "'security'", id="security"),
    ],
)
def test_what_needs_a_key_that_stands_twice_is_refused_with_both_places(step: str, word: str) -> None:
    with pytest.raises(SourceError) as caught:
        build_plan(described(step))

    assert caught.value.code == "AZM-S006"
    assert word in caught.value.message
    assert re.search(r"stands twice in one object, at api\.yaml:\d+:\d+ and \d+:\d+", caught.value.message)
    assert caught.value.place is not None
    assert caught.value.place.document == "flow.yaml"


@pytest.mark.parametrize(("name", "left"), [("either", (("whole",),)), ("free", ((),))])
def test_an_alternative_nobody_can_meet_is_none(name: str, left: object) -> None:
    assert build_plan(described(f"operationId: {name}")).calls["s"].operation.alternatives == left


@pytest.mark.parametrize("name", ["c", "d", "e", "g", "h", "copied"])
def test_an_operation_id_that_may_be_in_what_stands_twice_is_not_found_and_that_is_said(name: str) -> None:
    with pytest.raises(DocumentError) as caught:
        build_plan(described(f"operationId: {name}"))

    assert caught.value.code == "AZM-D201"
    assert "stands twice in one object, at api.yaml:" in caught.value.next


@pytest.mark.parametrize("step", ["operationId: a", "operationPath: '{$sourceDescriptions.api.url}#/paths/~1a/get'"])
def test_all_paths_may_stand_twice(step: str) -> None:
    with pytest.raises(SourceError) as caught:
        build_plan(described(step, b"openapi: 3.1.0\npaths: {/a: {get: {operationId: a}}}\npaths: {}\n"))

    assert (caught.value.code, "'paths' stands twice" in caught.value.message) == ("AZM-S006", True)


def test_a_version_that_stands_twice_is_none() -> None:
    with pytest.raises(SourceError) as caught:
        build_plan(described("operationId: a", b"openapi: 3.1.0\nopenapi: 3.0.0\npaths: {}\n"))

    assert (caught.value.code, "stands twice" in caught.value.seen) == ("AZM-S004", True)


def test_a_server_that_stands_twice_is_none_and_the_plan_says_so() -> None:
    plan = build_plan(described("operationId: server"))

    assert plan.calls["s"].operation.server == ""
    assert any("its server: the key 'url' stands twice" in one.message for one in plan.notices)


def test_each_key_that_stands_twice_is_a_finding_at_its_line() -> None:
    found = [one for one in described("operationId: a").findings if one.code == "AZM-S006"]

    assert [one.place.line for one in found[:3]] == [3, 8, 10]
    assert {one.severity for one in found} == {"info"}
    assert {one.place.document for one in found} == {"api.yaml"}
    assert len(found) < 50
    many = b"openapi: 3.1.0\npaths: {}\n" + b"".join(b"x-%d: 1\nx-%d: 2\n" % (n, n) for n in range(200))
    assert len(described("operationId: a", many).findings) == 50


@pytest.mark.parametrize("name", ["flow.yaml", "other.yaml", "overlay.yaml"])
def test_documents_and_overlays_are_read_strictly(name: str) -> None:
    texts = {
        "flow.yaml": FLOW.replace(b"api.yaml, type: openapi", b"other.yaml, type: arazzo")
        % b"workflowId: $sourceDescriptions.api.w",
        "other.yaml": FLOW % b"operationId: a",
        "overlay.yaml": b"overlay: 1.0.0\ninfo: {title: t, version: '1'}\n"
        b"actions: [{target: $.info, update: {x-a: 1}}]\n",
        "api.yaml": API,
    }
    texts[name] += b"x-a: 1\nx-a: 2\n"

    with pytest.raises(DocumentError) as caught:
        build_plan(describe("flow.yaml", read=texts.__getitem__, overlay="overlay.yaml"))
    assert caught.value.code == "AZM-D004"
