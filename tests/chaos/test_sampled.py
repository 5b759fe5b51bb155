"""A little of the fault campaign in every run of the suite: each part keeps its promises, and each can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CAMPAIGN = Path(__file__).parent / "campaign.py"

PARTS = ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9")

SABOTAGES = (("guessing", "F3"), ("guessing", "F4"), ("unsynced", "F5"), ("unlocked", "F7"))
"""What is broken on purpose, and a part that must notice."""


def campaign(*arguments: str) -> dict[str, dict[str, Any]]:
    """What each part came to. A process of its own: the parts fork, and a test runner may have threads."""
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), "--sample", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert done.stdout, done.stderr
    return {one["part"]: one for one in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def sample() -> dict[str, dict[str, Any]]:
    return campaign()


@pytest.fixture(scope="module")
def sabotaged() -> Callable[[str, str], dict[str, Any]]:
    def run(sabotage: str, part: str) -> dict[str, Any]:
        return campaign("--trials", "40", "--part", part, "--sabotage", sabotage)[part]

    return run


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
    assert part["swept"] + part["drawn"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("sabotage", "name"), SABOTAGES)
def test_the_campaign_notices_a_broken_product(
    sabotage: str, name: str, sabotaged: Callable[[str, str], dict[str, Any]]
) -> None:
    part = sabotaged(sabotage, name)
    skip_where_it_cannot_run(part)

    assert not part["broken"], part["broken"]
    assert part["problems"]


def test_the_sample_has_every_part(sample: dict[str, dict[str, Any]]) -> None:
    assert tuple(sorted(sample)) == PARTS
