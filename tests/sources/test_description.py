"""A document and everything it names, read once and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from machine.errors import DocumentError, SourceError
from machine.plan.build import build_plan
from machine.sources.description import describe

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
