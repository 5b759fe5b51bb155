"""A little of the corpus in every run of the suite: real documents mean what they say, and misfits are noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from documents import Library, Row, rows
from driving import find_path, inputs_of
from measure import Outcome, broken, measure, report

from machine.chart.chart import Chart
from machine.chart.events import Replied, Reply, Started
from machine.chart.fates import fates_of
from machine.plan.build import build_plan
from machine.plan.model import Plan

HUGGING_FACE = "api-evangelist+hugging-face/arazzo/hugging-face-{}-workflow.yml"


@pytest.fixture(scope="module")
def corpus(shared: Path) -> Path:
    folder = shared / "corpus"
    if not folder.is_dir():
        pytest.skip("the corpus is not here: set ARAZZO_MACHINE_SHARED or put the folder beside the checkout")
    return folder


@pytest.fixture(scope="module")
def library(corpus: Path) -> Library:
    return Library(corpus)


@pytest.fixture(scope="module")
def hugging_face(corpus: Path) -> list[Row]:
    return [row for row in rows(corpus) if row.owner == "api-evangelist+hugging-face"]


def plan_of(library: Library, listed: list[Row], name: str) -> Plan:
    row = next(one for one in listed if one.document == HUGGING_FACE.format(name))
    return build_plan(library.describe(row))


def test_a_repository_of_real_documents_compiles_is_drawn_and_reaches_its_ends(
    library: Library, hugging_face: list[Row]
) -> None:
    found = [measure(library, row) for row in hugging_face]

    assert len(found) == 14
    assert list(broken(found)) == []
    assert all(one.compiled and one.drawn == one.workflows and not one.undriven and not one.unbuilt for one in found)


def test_the_document_that_rents_an_endpoint_polls_until_it_runs(library: Library, hugging_face: list[Row]) -> None:
    found = find_path(plan_of(library, hugging_face, "deploy-inference-endpoint"))

    assert not isinstance(found, str)
    assert (found.states, found.reason) == (("createEndpoint", "created", "polling", "ready"), "ended")


def test_the_toggle_never_touches_an_endpoint_that_is_neither_running_nor_paused(
    library: Library, hugging_face: list[Row]
) -> None:
    plan = plan_of(library, hugging_face, "toggle-endpoint-state")
    led = {
        one.answer.values["/status/state"]: plan.state(one.transition.target).step
        for one in fates_of(plan)[plan.initial.id]
        if one.answer.values
    }

    assert len(led) > 2
    assert {state: step for state, step in led.items() if step} == {
        "running": "pauseEndpoint",
        "paused": "resumeEndpoint",
    }


GOOD = Outcome(document="a", complete=True, compiled=True, workflows=1, drawn=1)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome(document="a", complete=False, crash="Traceback"), "crashed"),
        (Outcome(document="a", complete=False, seconds=2.5), "took"),
        (Outcome(document="a", complete=False, placed=False), "without a place"),
        (Outcome(document="a", complete=True), "too few"),
        (Outcome(document="a", complete=True, compiled=True, workflows=2, drawn=1), "not drawn"),
        (Outcome(document="a", complete=True, compiled=True, polls=("w",), undriven={"w": "stuck"}), "no end"),
    ],
    ids=["crash", "time", "place", "share", "drawing", "stuck"],
)
def test_what_may_not_be_is_noticed(outcome: Outcome, word: str) -> None:
    assert list(broken([GOOD])) == []
    assert [word in line for line in broken([outcome])] == [True]
    assert any(line.startswith("BROKEN") for line in report([outcome]))


PENDING, RUNNING, PAUSED = ({"name": "n", "status": {"state": state}} for state in ("pending", "running", "paused"))

PROSE: list[tuple[str, dict[str, list[Any]], list[str]]] = [
    (
        "chat-completion-with-model-discovery",
        {"listModels": [{"data": [{"id": "m"}]}]},
        ["listModels", "getModel", "createChatCompletion"],
    ),
    ("create-repo-and-configure", {"whoami": [{"name": "acme"}]}, ["whoami", "createRepo", "updateRepoSettings"]),
    (
        "dataset-filter-rows",
        {"isValid": [{"filter": True}], "getSplits": [{"splits": [{"config": "c", "split": "s"}]}]},
        ["isValid", "getSplits", "filterRows"],
    ),
    (
        "dataset-search-and-statistics",
        {"getSplits": [{"splits": [{"config": "c", "split": "s"}]}]},
        ["getSplits", "searchRows", "getStatistics"],
    ),
    ("dataset-size-and-parquet", {}, ["getDataset", "getDatasetSize", "getParquetFiles"]),
    (
        "dataset-validate-and-preview",
        {"isValid": [{"preview": True}], "getSplits": [{"splits": [{"config": "c", "split": "s"}]}]},
        ["isValid", "getSplits", "getFirstRows"],
    ),
    (
        "deploy-inference-endpoint",
        {"createEndpoint": [(201, PENDING)], "getEndpoint": [PENDING, PENDING, RUNNING]},
        ["createEndpoint", "getEndpoint", "getEndpoint", "getEndpoint"],
    ),
    ("discover-space", {"listSpaces": [[{"id": "a/b"}]]}, ["listSpaces", "getSpace"]),
    ("embeddings-pair", {}, ["listModels", "createEmbeddings", "createEmbeddings"]),
    ("grounded-text-generation", {"listModels": [[{"id": "a/b"}]]}, ["listModels", "getModel", "textGeneration"]),
    ("search-and-inspect-model", {"listModels": [[{"id": "a/b"}]]}, ["listModels", "getModel", "getModelRevision"]),
    ("summarize-then-translate", {"summarization": [[{"summary_text": "t"}]]}, ["summarization", "translation"]),
    ("tgi-inspect-and-generate", {}, ["getInfo", "tokenize", "generate"]),
    ("toggle-endpoint-state", {"getEndpoint": [RUNNING]}, ["getEndpoint", "pauseEndpoint"]),
    ("toggle-endpoint-state", {"getEndpoint": [PAUSED]}, ["getEndpoint", "resumeEndpoint"]),
]
"""What each document says it does: the answers by operation that lead there, and the operations in their order."""


@pytest.mark.parametrize(("name", "answers", "operations"), PROSE, ids=[f"{one[0]}-{one[2][-1]}" for one in PROSE])
def test_a_document_does_what_its_prose_says(
    library: Library, hugging_face: list[Row], name: str, answers: dict[str, list[Any]], operations: list[str]
) -> None:
    plan = plan_of(library, hugging_face, name)
    chart = Chart(plan)
    snapshot = chart.advance(chart.begin(), Started(at=0.0, inputs=inputs_of(plan))).snapshot
    called = []
    while (call := snapshot.pending) is not None:
        operation = plan.calls[call.step].operation.operation_id
        called.append(operation)
        nth = called.count(operation) - 1
        answer = answers.get(operation, [{}])[min(nth, len(answers.get(operation, [{}])) - 1)]
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        reply = Reply(status=status, body=body, form="json")
        snapshot = chart.advance(snapshot, Replied(at=call.not_before, reply=reply)).snapshot

    assert called == operations
    assert snapshot.stopped is not None
    assert snapshot.stopped.exit_code == 0


def test_every_document_of_that_repository_is_told(hugging_face: list[Row]) -> None:
    assert {HUGGING_FACE.format(name) for name, _, _ in PROSE} == {row.document for row in hugging_face}
