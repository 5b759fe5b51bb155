"""The committed drawings are what the shipped workflows say, and any other byte is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from machine.library import shipped
from machine.testing.gallery import Drawing, differences, drawings, main

FOLDER = Path(__file__).resolve().parents[2] / "diagrams"


@pytest.fixture(scope="module")
def every() -> list[Drawing]:
    return drawings()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "diagrams"))


def test_the_committed_drawings_are_what_the_workflows_say(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--check"])

    assert (code, capsys.readouterr().out) == (0, "")


def test_every_shipped_workflow_is_drawn_with_a_run_that_ended(every: list[Drawing]) -> None:
    ends = {drawing.name: drawing.plan.state(drawing.records[-1].target).kind for drawing in every}

    assert ends == dict.fromkeys(shipped(), "final")


def test_a_recorded_run_takes_the_same_way_every_time(every: list[Drawing]) -> None:
    again = drawings()

    assert [one.texts() for one in again] == [one.texts() for one in every]


@pytest.mark.parametrize("ending", [".dot", ".mmd", ".run.dot"])
def test_a_changed_byte_is_reported(copy: Path, every: list[Drawing], ending: str) -> None:
    path = copy / f"{every[0].name}{ending}"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n", 1))

    assert differences(copy, every) == [f"{path.name} differs"]


def test_a_changed_gallery_page_fails_the_check(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "README.md").write_text("nothing to see")

    assert main(["--check", "--folder", str(copy)]) == 1
    assert capsys.readouterr().out == "diagrams/README.md differs\ndraw them again with: make diagrams\n"


def test_what_is_missing_and_what_is_left_over_is_reported(copy: Path, every: list[Drawing]) -> None:
    name = every[0].name
    (copy / f"{name}.mmd").unlink()
    (copy / f"{name}.run.svg").unlink()
    (copy / "gone.dot").write_text("digraph {}")

    assert differences(copy, every) == [
        f"{name}.mmd is missing",
        f"{name}.run.svg is missing",
        "gone.dot belongs to no shipped workflow",
    ]


def test_a_picture_is_only_asked_to_be_there(copy: Path, every: list[Drawing]) -> None:
    (copy / f"{every[0].name}.svg").write_text("<svg/>")

    assert differences(copy, every) == []


def test_drawing_into_an_empty_folder_writes_all_that_is_committed(tmp_path: Path) -> None:
    folder = tmp_path / "new"

    assert main(["--folder", str(folder)]) == 0
    assert {path.name for path in folder.glob("*.dot")} == {path.name for path in FOLDER.glob("*.dot")}
    # Without Graphviz there are no pictures, and that is all that may be missing.
    assert [line for line in differences(folder, drawings()) if ".svg is missing" not in line] == []
