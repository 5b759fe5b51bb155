"""How what a run made could be ended: read off the descriptions it has stored, filled with what it sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.library import load, shipped
from machine.plan.build import build_plan
from machine.reports.stopping import ways_to_stop
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.stores.memory import MemoryStore
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

DEPLOY = "deploy-inference-endpoint"


@pytest.fixture
def ways() -> Any:
    """``ways(target, scenario)`` -> what could be done after such a run."""

    def of(target: str, scenario: str, **options: Any) -> list[tuple[str, str]]:
        description = load(target)
        plan = build_plan(description)
        with Simulator(scenario) as simulator, MemoryStore() as store:
            runner = Runner(
                store,
                clock=ManualClock(),
                servers={"inferenceEndpointsApi": simulator.url},
                secret_texts={"hfToken": "a text"},
            )
            inputs = {"namespace": "acme", "name": "mine", "repository": "gpt2", "hfToken": Reference("@env:HF_TOKEN")}
            runner.start(
                plan, inputs, run_id="one", settings=Settings(on_doubt="hold"), options=options, texts=description.texts
            ).result()
            stored = store.load("one")
            found = ways_to_stop(store, stored.head, plan, stored.snapshot, store.history("one"))
            return [(one.request, one.command.partition(" --server")[0]) for one in found]

    return of


ITEM = "/endpoint/acme/mine"
GIVEN = "-i namespace=acme -i name=mine"


@pytest.mark.parametrize("scenario", ["failed-image", "ambiguous-create"])
def test_a_shipped_workflow_that_ends_it_is_named_with_its_inputs(ways: Any, scenario: str) -> None:
    found = ways(DEPLOY, scenario, servers={"inferenceEndpointsApi": "http://127.0.0.1:1"})

    assert found == [
        (f"POST {ITEM}/pause", f"arazzo-machine run pause-inference-endpoint {GIVEN}"),
        (f"POST {ITEM}/scale-to-zero", f"arazzo-machine run scale-inference-endpoint-to-zero {GIVEN}"),
        (f"DELETE {ITEM}", f"arazzo-machine run delete-inference-endpoint {GIVEN}"),
    ]


def test_of_somebody_elses_document_only_the_request_is_named(ways: Any, tmp_path: Path) -> None:
    (tmp_path / "arazzo").mkdir()
    (tmp_path / "openapi").mkdir()
    document = tmp_path / "arazzo" / "mine.arazzo.yaml"
    document.write_text(shipped()[DEPLOY].read_text().replace("from: '@env:HF_TOKEN'", ""))
    for source in (shipped()[DEPLOY].parent.parent / "openapi").glob("*.yml"):
        (tmp_path / "openapi" / source.name).write_text(source.read_text())

    assert ways(str(document), "failed-image") == [
        (f"POST {ITEM}/pause", ""),
        (f"POST {ITEM}/scale-to-zero", ""),
        (f"DELETE {ITEM}", ""),
    ]


@pytest.mark.parametrize(
    ("scenario", "options"), [("duplicate-409", {}), ("failed-image", {"simulate": {"scenario": "x", "profile": "y"}})]
)
def test_where_nothing_was_made_or_all_is_simulated_nothing_is_advised(
    ways: Any, scenario: str, options: dict[str, Any]
) -> None:
    assert ways(DEPLOY, scenario, **options) == []
