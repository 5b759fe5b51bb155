"""A little of the fuzzing in every run of the suite."""

from __future__ import annotations

import pytest
from targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_strangers_send_breaks_anything(target: str) -> None:
    TARGETS[target](12 if target in ("documents", "runs") else 40, 1)
