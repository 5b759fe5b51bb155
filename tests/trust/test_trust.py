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


def campaign(*arguments: str) -> dict[str, Any]:
    """What each part came to. A process of its own: commands and signals of the parts are no business of a suite."""
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), "--sample", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_every_part_keeps_its_promise() -> None:
    parts = campaign()

    assert tuple(parts) == PARTS
    assert {name: part["problems"] for name, part in parts.items()} == {name: [] for name in PARTS}
    assert all(part["trials"] for part in parts.values())


@pytest.mark.slow
@pytest.mark.parametrize(("sabotage", "part"), [("conceal", "canaries"), ("escape", "outputs"), ("bound", "replies")])
def test_a_protection_that_is_gone_is_missed(sabotage: str, part: str) -> None:
    assert campaign("--sabotage", sabotage, "--part", part)[part]["problems"]
