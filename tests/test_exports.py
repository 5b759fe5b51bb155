"""The public surface: exactly these names, each where it is said to be, and nothing loaded before it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import machine

NAMES = [
    "Call",
    "CallFailed",
    "Cancelled",
    "Chart",
    "Description",
    "Evaluator",
    "Finish",
    "MachineError",
    "MemoryStore",
    "Plan",
    "Record",
    "Reference",
    "Reopened",
    "Replied",
    "Reply",
    "Resolved",
    "Result",
    "Run",
    "Runner",
    "SecretRef",
    "Settings",
    "Snapshot",
    "SqliteStore",
    "Started",
    "build_plan",
    "load",
    "render",
    "render_svg",
]
"""What programs rely on: a name may be added, and none may go, but for a new major version."""


def loaded_by(code: str) -> list[str]:
    """The modules that are loaded after some code, beyond those of a bare interpreter."""
    probe = f"import sys; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_names_are_these_in_this_order() -> None:
    assert machine.__all__ == NAMES == sorted(NAMES)
    assert dir(machine) == NAMES
    assert list(machine._HOME) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_what_its_module_calls_so(name: str) -> None:
    home = import_module(f"machine.{machine._HOME[name]}")

    assert getattr(machine, name) is getattr(home, name)
    assert name in home.__all__


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="'machine' has no attribute 'Engine'"):
        machine.Engine  # noqa: B018


@pytest.mark.slow
def test_importing_loads_nothing_else_of_ours_and_nothing_of_others() -> None:
    loaded = loaded_by("import machine")
    ours = [name for name in loaded if name.partition(".")[0] == "machine"]
    others = {name.partition(".")[0] for name in loaded} - {"machine"} - sys.stdlib_module_names

    assert ours == ["machine"]
    assert others == set()
    assert not {"asyncio", "logging", "sqlite3", "ssl", "subprocess"} & set(loaded)


@pytest.mark.slow
def test_drawing_loads_nothing_that_sends_or_stores() -> None:
    code = "import machine as m; m.render(m.build_plan(m.load('deploy-inference-endpoint')), format='dot')"
    loaded = {name.partition(".")[0] for name in loaded_by(code)}

    assert "yaml" in loaded
    assert not {"jsonpath_rfc9535", "jsonschema", "requests", "sqlite3", "statemachine", "structlog"} & loaded
