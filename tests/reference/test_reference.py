"""The reference says what the code says: every page is as it would be written now, and leaves nothing out."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import api_page
import pytest
from command_page import commands
from error_pages import EXITS, GROUPS, REASONS, error_codes, finding_codes
from extension_page import MEANINGS, fields_read
from format_page import LOGGED, OTHERS, RESULT, example
from sightings import Sighting, sightings, unseen
from write_reference import FOLDER, PAGES, differences

import machine
from machine.chart.snapshot import EXIT_CODES
from machine.cli.app import main
from machine.errors import MachineError
from machine.library import load
from machine.plan.build import build_plan
from machine.plan.codes import CODES
from machine.runtime.observers import LogObserver
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.stores.memory import MemoryStore
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

ROOT = Path(__file__).resolve().parents[2]
SHARED = {
    "AZM-D002": "a document that is too large, as a text and as a tree",
    "AZM-D114": "what came with a later version, as a field and as an expression",
    "AZM-S006": "a description that is not whole, told by check and by a call that cannot do without",
}
"""Codes that several parts of the package give, and the one thing each of them says."""


@pytest.fixture(scope="module")
def seen() -> tuple[Sighting, ...]:
    """Every place of the package that gives a code."""
    return sightings()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def test_a_page_that_is_old_missing_or_nobodys_is_told(tmp_path: Path) -> None:
    for name in list(PAGES)[1:]:
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / "x-machine.md").write_text("old")
    (tmp_path / "gone.md").write_text("")

    assert differences(tmp_path) == [
        "commands.md is missing",
        "x-machine.md differs",
        "gone.md is written by nobody",
    ]


def test_every_code_in_the_package_was_seen_where_it_is_given(seen: tuple[Sighting, ...]) -> None:
    assert unseen(seen) == []
    assert len({one.code for one in seen}) > 250


def test_a_code_belongs_to_one_class(seen: tuple[Sighting, ...]) -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    for one in seen:
        # What keeps a document from being compiled may be told by `check` under the same code.
        kinds[one.code] |= {one.kind} - {"Finding"}

    assert {code: found for code, found in kinds.items() if len(found) > 1} == {}


def test_a_code_is_given_in_one_part_of_the_package(seen: tuple[Sighting, ...]) -> None:
    parts: dict[str, set[str]] = defaultdict(set)
    for one in seen:
        parts[one.code].add(one.path.partition("/")[0])

    assert {code for code, found in parts.items() if len(found) > 1} == set(SHARED), "or choose a code of its own"


def test_every_finding_that_is_not_about_an_overlay_is_explained(seen: tuple[Sighting, ...]) -> None:
    told = {one.code for one in seen if one.kind == "Finding"}

    assert {code for code in told - set(CODES) if not code.startswith("AZM-D3")} == set()


def test_a_sentence_is_put_together_from_the_caller_and_what_makes_the_error(seen: tuple[Sighting, ...]) -> None:
    def said(code: str) -> list[Sighting]:
        return [one for one in seen if one.code == code]

    (full,) = said("AZM-T003")
    assert (full.kind, full.message) == ("StoreError", "the store {path} cannot be written: the disk is full")
    assert full.next == "free some space, then resume the run"
    assert {one.severity for one in said("AZM-D116")} == {"warning"}
    assert said("AZM-E005")[0].path == "expressions/grammar.py"


def test_every_code_is_on_one_page(seen: tuple[Sighting, ...]) -> None:
    errors, findings = error_codes(seen), finding_codes(seen)
    listed = re.findall(r"^\| `(AZM-\w+|C\d+)`", errors + findings, re.MULTILINE)

    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == {one.code for one in seen} | set(CODES)
    assert {one.code[4] for one in seen} == {*GROUPS, "L"}


def test_every_exit_code_and_every_reason_has_its_words() -> None:
    def of(kind: type[MachineError]) -> set[int]:
        return {kind.exit_code}.union(*(of(one) for one in kind.__subclasses__()))

    readme = (ROOT / "README.md").read_text()
    listed = {int(number) for number in re.findall(r"\d+", " ".join(re.findall(r"\| ([\d, ]+) \|", readme)))}

    assert set(EXITS) == set(EXIT_CODES.values()) | of(MachineError) | {16, 130, 143}
    assert set(EXITS) == listed
    assert list(REASONS) == list(EXIT_CODES)


def test_every_field_of_the_extension_has_its_meaning() -> None:
    assert {kind: set(fields) for kind, fields in fields_read().items()} == {
        kind: set(words) for kind, words in MEANINGS.items()
    }


def test_every_public_name_is_under_a_door() -> None:
    assert sorted(name for names in api_page._DOORS.values() for name in names) == sorted(machine.__all__)


def test_every_option_has_a_word() -> None:
    assert re.findall(r"^\| `.*` \| +\|$", commands(), re.MULTILINE) == []


def test_the_fields_of_a_result_are_those_that_are_printed() -> None:
    assert list(RESULT) == list(example())
    assert example() == example()


NAMED = ["-i", "namespace=acme", "-i", "name=demo", "-i", "repository=gpt2"]
SAID = [
    pytest.param("runs", ["runs"], id="runs"),
    pytest.param("show --if", ["show", "left", "--if-state", "failed"], id="foretold"),
    pytest.param("show --report", ["show", "held", "--report", "markdown"], id="a-report"),
    pytest.param("resolve", ["resolve", "held"], id="evidence"),
    pytest.param("check", ["check", "deploy-inference-endpoint"], id="findings"),
    pytest.param(
        "run --dry-run", ["run", "deploy-inference-endpoint", *NAMED, "--simulate", "--dry-run"], id="requests"
    ),
    pytest.param("diagram", ["diagram", "deploy-inference-endpoint", "--format", "dot"], id="a-picture"),
    pytest.param("any, before there is a run", ["plan", "./missing.yaml"], id="an-error"),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """``said("runs")`` -> the object printed, in a store with a run that is in doubt and one that waits."""
    folder = tmp_path_factory.mktemp("said")

    def ask(*arguments: str) -> Any:
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setenv("ARAZZO_MACHINE_STORE", str(folder / "runs.db"))
            patch.setenv("HF_TOKEN", "not-a-real-token")
            with pytest.raises(SystemExit):
                main([*arguments, "--json"])
        return json.loads(out.getvalue())

    held = ["--simulate", "ambiguous-create", "--on-doubt", "hold", "--id", "held"]
    ask("run", "deploy-inference-endpoint", *NAMED, *held)
    ask("run", "deploy-inference-endpoint", *NAMED, "--simulate", "--no-wait", "--id", "left")
    return ask


@pytest.mark.parametrize(("verb", "arguments"), SAID)
def test_the_object_of_a_verb_has_the_names_that_are_told(
    verb: str, arguments: list[str], said: Callable[..., Any]
) -> None:
    assert list(said(*arguments)) == OTHERS[verb][0].split()


def test_what_is_told_beside_a_result_has_its_names(said: Callable[..., Any]) -> None:
    assert list(said("show", "held", "--why")) == [*RESULT, *OTHERS["show --why"][0].split()]


def test_the_fields_of_a_log_line_are_those_that_are_written() -> None:
    stream = io.StringIO()
    plan = build_plan(load("deploy-inference-endpoint"))
    given = {"namespace": "acme", "name": "demo", "repository": "gpt2", "hfToken": Reference("@env:HF_TOKEN")}
    with Simulator("poll-502-burst") as simulator, MemoryStore() as store:
        servers = dict.fromkeys(plan.servers, simulator.url)
        runner = Runner(
            store,
            clock=ManualClock(),
            observers=[LogObserver(stream)],
            servers=servers,
            secret_texts={"hfToken": "none"},
        )
        with runner.start(plan, given, run_id="logged") as run:
            run.result()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]

    # A cause is there only where a connection broke.
    assert {name for line in lines for name in line} == set(LOGGED) - {"cause"}


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    folder = ROOT / "docs"
    index = (folder / "README.md").read_text()
    linked = set(re.findall(r"\]\(([^)#]+)", index))
    pages = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")} - {"README.md"}

    assert pages - linked == set()
