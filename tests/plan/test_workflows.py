from __future__ import annotations

import json
from typing import Any

import pytest

from machine.errors import DocumentError, Place
from machine.plan.workflows import Directory, Site, named_workflows, reachable
from machine.sources.description import Description, describe

HERE = Place()
STEP = {"stepId": "s", "operationId": "x"}


def document(workflows: list[str], **others: str) -> bytes:
    found = {
        "arazzo": "1.0.1",
        "info": {"title": "A test", "version": "1"},
        "sourceDescriptions": [
            {"name": name, "url": url, "type": "arazzo"} for name, url in (others or {"self": "a.json"}).items()
        ],
        "workflows": [{"workflowId": one, "steps": [STEP]} for one in workflows],
    }
    return json.dumps(found).encode()


def entry(texts: dict[str, bytes]) -> Description:
    return describe("a.json", read=texts.__getitem__)


@pytest.fixture
def two() -> Description:
    """A document and another, which points back."""
    return entry(
        {
            "a.json": document(["w", "far.x", "mine"], far="b.json"),
            "b.json": document(["x", "w", "only", "only.workflows"], home="a.json"),
        }
    )


def site(description: Description) -> tuple[Directory, Site]:
    directory = Directory(description)
    return directory, directory.site(description, description.document.workflows[0])


FOUND = [
    pytest.param("mine", "mine", "", id="of-the-same-document"),
    pytest.param("$sourceDescriptions.far.w", "far2.w", "", id="of-another"),
    pytest.param("$sourceDescriptions.far.only.workflows", "far2.only.workflows", "", id="with-a-dot-in-its-id"),
    pytest.param("$sourceDescriptions.far.workflows.w", "far2.w", "read as", id="with-a-word-too-many"),
    pytest.param("only", "far2.only", "the only one there is", id="of-another-by-its-id-alone"),
]


@pytest.mark.parametrize(("reference", "key", "odd"), FOUND)
def test_a_reference_means_one_workflow(two: Description, reference: str, key: str, odd: str) -> None:
    directory, here = site(two)
    found, why = directory.find(here, reference, HERE)

    assert (found.key, found.scope + found.workflow.workflow_id) == (key, key)
    assert odd in why
    assert bool(odd) == bool(why)


def test_a_scope_never_makes_a_key_twice(two: Description) -> None:
    directory, here = site(two)
    own, _ = directory.find(here, "far.x", HERE)
    theirs, _ = directory.find(here, "$sourceDescriptions.far.x", HERE)

    assert (own.key, theirs.key) == ("far.x", "far2.x")


def test_the_way_back_leads_to_the_same_workflow(two: Description) -> None:
    directory, here = site(two)
    there, _ = directory.find(here, "$sourceDescriptions.far.x", HERE)
    back, _ = directory.find(there, "$sourceDescriptions.home.w", HERE)

    assert back == here


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("nope", "AZM-P040"),
        ("$sourceDescriptions.far.nope", "AZM-P040"),
        ("$sourceDescriptions.nobody.x", "AZM-D206"),
    ],
)
def test_a_workflow_that_is_nowhere_is_refused(two: Description, reference: str, code: str) -> None:
    directory, here = site(two)
    with pytest.raises(DocumentError) as refused:
        directory.find(here, reference, HERE)

    assert refused.value.code == code


def test_a_workflow_of_two_documents_has_to_be_named_in_full() -> None:
    texts: dict[str, Any] = {
        "a.json": document(["w"], one="b.json", two="c.json"),
        "b.json": document(["x"]),
        "c.json": document(["x", "y"]),
    }
    directory, here = site(entry(texts))
    with pytest.raises(DocumentError) as refused:
        directory.find(here, "x", HERE)

    assert (refused.value.code, refused.value.seen) == ("AZM-P041", "one, two")


def test_what_a_run_can_reach_is_found_once_and_names_that_mean_nothing_are_left_out() -> None:
    flow = {"workflowId": "w", "dependsOn": ["mine", "nope"], "steps": [{"stepId": "s", "workflowId": "x"}]}
    far = [{"name": "over", "type": "goto", "workflowId": "$sourceDescriptions.home.w"}]
    texts = {"a.json": document(["w", "mine"], far="b.json"), "b.json": document(["x", "other"], home="a.json")}
    first, second = json.loads(texts["a.json"]), json.loads(texts["b.json"])
    first["workflows"][0] = flow
    second["workflows"][0]["steps"] = [{**STEP, "onSuccess": far}]
    description = entry({"a.json": json.dumps(first).encode(), "b.json": json.dumps(second).encode()})
    root = description.document.workflows[0]

    assert named_workflows(root) == ("mine", "nope", "x")
    assert [one.key for one in reachable(description, root)] == ["w", "mine", "far.x"]
