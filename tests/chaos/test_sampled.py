"""A little of the fault campaign in every run of the suite: each part keeps its promises, and each can fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CAMPAIGN = HERE / "campaign.py"
PAGE = HERE.parent.parent / "docs" / "chaos.md"

PARTS = tuple(f"F{number}" for number in range(1, 13))

SABOTAGES = (
    pytest.param("guessing", "brought.hold", "F3", "create", id="a-create-that-may-have-been-sent-is-sent-again"),
    pytest.param("unsynced", "brought.hold", "F5", "create", id="a-commit-does-not-wait-for-the-disk"),
    pytest.param("unlocked", "brought.hold", "F7", "requests left", id="several-runners-have-one-run"),
    pytest.param("impatient", "rack.probe", "F4", "create", id="an-absence-counts-at-once"),
    pytest.param("forgetful", "rack.reissue", "F4", "create", id="a-create-is-sent-again-under-another-key"),
    pytest.param("obedient", "patient.fail", "F4", "create", id="a-retry-of-the-document-is-always-obeyed"),
)
"""What is broken on purpose, in which case, a part that must notice, and a word of what it says."""


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: the parts fork, and a test runner may have threads."""
    return subprocess.run(
        [sys.executable, str(CAMPAIGN), *arguments], capture_output=True, text=True, timeout=110, check=False
    )


def figures(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What each part came to."""
    assert done.stdout, done.stderr
    return {one["part"]: one for one in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of a sample, and a page made from them."""
    return tmp_path_factory.mktemp("campaign")


@pytest.fixture(scope="module")
def sample(kept: Path) -> dict[str, dict[str, Any]]:
    return figures(campaign("--sample", "--json", "--results", str(kept), "--report", str(kept / "page.md")))


def skip_where_it_cannot_run(part: dict[str, Any]) -> None:
    if part["skipped"]:
        pytest.skip(f"{part['part']} {part['title']}: {part['skipped']}")


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_a_sample_of_every_fault_breaks_no_promise(name: str, sample: dict[str, dict[str, Any]]) -> None:
    part = sample[name]
    skip_where_it_cannot_run(part)

    assert not part["broken"], part["broken"]
    assert part["problems"] == [], f"again: python tests/chaos/campaign.py --part {name} --only TRIAL"
    assert part["trials"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("sabotage", "case", "name", "word"), SABOTAGES)
def test_the_campaign_notices_a_broken_product(sabotage: str, case: str, name: str, word: str) -> None:
    done = campaign("--trials", "24", "--json", "--part", name, "--case", case, "--sabotage", sabotage)
    part = figures(done)[name]
    skip_where_it_cannot_run(part)

    assert not part["broken"], part["broken"]
    assert any(word in problem for _, problems in part["problems"] for problem in problems)
    assert done.returncode == 1


@pytest.mark.slow
def test_the_sample_has_every_part(sample: dict[str, dict[str, Any]]) -> None:
    assert tuple(sample) == PARTS


@pytest.mark.slow
def test_the_page_is_what_the_campaign_writes(kept: Path, sample: dict[str, dict[str, Any]]) -> None:
    """Figures and remarks differ from one time to the next; everything else has to be the same."""
    written = form((kept / "page.md").read_text())

    assert set(sample) == {name for name in PARTS if f"## {name}:" in PAGE.read_text()}
    assert form(PAGE.read_text()) == written


def form(page: str) -> list[str]:
    """The lines of a page that do not depend on what was found."""
    fixed = ("<!--", "#", "Done to it", "Checked", "- `", "- Disks", "| part", "| |", "|---")
    lines = [line for line in page.splitlines() if line.startswith(fixed) and "campaign.py --part" not in line]
    return [re.sub(r"\d[\d,]*", "N", line) for line in lines]


def test_a_part_measured_anew_replaces_its_figures_and_leaves_the_others(tmp_path: Path) -> None:
    for part in ("F4", "F12"):
        (tmp_path / f"{part}.json").write_text("{}")
    done = campaign("--trials", "2", "--part", "F4", "--case", "brought.hold", "--results", str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "F4.json").read_text())["tally"]["trials"] == 2
    assert (tmp_path / "F12.json").read_text() == "{}"


def test_a_violation_is_printed_with_the_command_that_repeats_it() -> None:
    trial = "patient.fail:6"
    done = campaign("--part", "F4", "--only", trial, "--case", "patient.fail", "--sabotage", "obedient")

    assert done.returncode == 1
    assert f"again: python tests/chaos/campaign.py --part F4 --only {trial}" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--only", "x"], ["--report", "page.md"]], ids=["a-trial-of-no-part", "a-page-of-nothing"]
)
def test_an_order_that_makes_no_sense_is_refused(arguments: list[str]) -> None:
    assert campaign(*arguments).returncode == 2
