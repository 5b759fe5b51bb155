"""Every module has a test file of its own, where the next reader looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "machine"
TESTS = ROOT / "tests"

EXEMPT = {
    "document/model.py": "declares the shapes that document/load.py fills; tested with it",
    "plan/model.py": "declares the shapes that plan/build.py fills; tested with it",
    "plan/steps.py": "declares the shapes that plan/calls.py and plan/children.py fill; tested with them",
}
"""Modules that only declare data, each with the reason why a test of its own would test nothing."""

MODULES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*.py")
    if path.name not in {"__init__.py", "__main__.py"}
)


def mirrors(module: str) -> list[str]:
    """The paths under ``tests/`` that count as the test file of ``module``, a path under ``machine/``."""
    path = Path(module)
    plain = path.with_name(f"test_{path.stem}.py")
    # Test files share one namespace, so a name that is taken elsewhere gets its folder in front.
    prefixed = path.with_name("_".join(["test", *path.parent.parts, path.name]))
    return sorted({plain.as_posix(), prefixed.as_posix()})


def test_the_walk_sees_the_package() -> None:
    assert "errors.py" in MODULES


@pytest.mark.parametrize("module", [module for module in MODULES if module not in EXEMPT])
def test_a_module_has_a_test_file_in_the_same_place(module: str) -> None:
    candidates = mirrors(module)

    assert any((TESTS / name).is_file() for name in candidates), (
        f"machine/{module} has no test: write tests/{' or tests/'.join(candidates)}"
    )


@pytest.mark.parametrize("module", sorted(EXEMPT))
def test_an_exemption_names_a_module_that_exists_and_has_no_test_file(module: str) -> None:
    present = [name for name in mirrors(module) if (TESTS / name).is_file()]

    assert module in MODULES, f"machine/{module} is gone: drop its exemption"
    assert present == [], f"machine/{module} is tested by tests/{present[0]} now: drop its exemption"


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        pytest.param("plan/build.py", ["plan/test_build.py", "plan/test_plan_build.py"], id="in-a-folder"),
        pytest.param("errors.py", ["test_errors.py"], id="at-the-top"),
    ],
)
def test_a_module_may_be_mirrored_under_either_name(module: str, expected: list[str]) -> None:
    assert mirrors(module) == expected
