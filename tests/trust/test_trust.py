"""A little of the trust campaign in every run of the suite: each part keeps its promise, and each can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CAMPAIGN = Path(__file__).parent / "campaign.py"
PARTS = ("canaries", "documents", "replies", "outputs")


@pytest.fixture(scope="module")
def campaign() -> dict[str, Any]:
    """What each part came to, and each with its protection taken away. One process of its own, because commands and
    signals of the parts are no business of a suite; and only one, because most of what it costs is its start."""
    command = [sys.executable, str(CAMPAIGN), "--sample", "--sabotage", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_keeps_its_promise(campaign: dict[str, Any], part: str) -> None:
    assert tuple(campaign["parts"]) == PARTS
    assert campaign["parts"][part]["problems"] == []
    assert campaign["parts"][part]["trials"]


@pytest.mark.slow
@pytest.mark.parametrize("protection", ["conceal", "escape", "bound"])
def test_a_protection_that_is_gone_is_missed(campaign: dict[str, Any], protection: str) -> None:
    assert campaign["sabotaged"][protection]
