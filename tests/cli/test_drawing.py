"""``diagram``: the machine, or a run on it, in every format, to a file or to standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

DEPLOY = "deploy-inference-endpoint"


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        pytest.param([], "digraph", id="dot-unless-said"),
        pytest.param(["--format", "dot"], "digraph", id="dot"),
        pytest.param(["--format", "svg"], "<svg", id="svg"),
        pytest.param(["--format", "mermaid"], "", id="mermaid"),
        pytest.param(["--format", "text"], "Bring up", id="text"),
    ],
)
def test_a_diagram_is_printed(machine: Any, arguments: list[str], start: str) -> None:
    done = machine("diagram", DEPLOY, *arguments)

    assert done.code == 0
    assert done.out.startswith(start)
    assert done.out.endswith("\n")
    assert not done.out.endswith("\n\n")
    for state in ("created", "polling", "ready"):
        assert state in done.out


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("m.dot", "dot"),
        ("m.gv", "dot"),
        ("m", "dot"),
        ("m.svg", "svg"),
        ("m.mmd", "mermaid"),
        ("m.mermaid", "mermaid"),
        ("m.txt", "text"),
    ],
)
def test_the_ending_of_a_file_says_the_format(machine: Any, tmp_path: Path, name: str, form: str) -> None:
    done = machine("diagram", DEPLOY, "-o", name)

    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / name).read_text() == machine("diagram", DEPLOY, "--format", form).out
    if form == "svg":
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")


def test_a_picture_of_another_kind_is_refused_unless_the_format_is_said(machine: Any, tmp_path: Path) -> None:
    refused = machine("diagram", DEPLOY, "-o", "machine.jpg")
    said = machine("diagram", DEPLOY, "-o", "machine.txt", "--format", "mermaid")

    assert refused.code == 64
    assert ".svg" in refused.err
    assert not (tmp_path / "machine.jpg").exists()
    assert said.code == 0


def test_a_run_is_drawn_on_its_machine(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "one")
    plain = machine("diagram", DEPLOY).out
    drawn = machine("diagram", "--run", "one")

    assert drawn.code == 0
    assert drawn.out.startswith("digraph")
    assert drawn.out != plain
    assert machine("diagram", "--run", "on").out == drawn.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([], 64, id="nothing"),
        pytest.param([DEPLOY, "--run", "one"], 64, id="a-document-and-a-run"),
        pytest.param(["--run", "none"], 64, id="no-such-run"),
        pytest.param([DEPLOY, "-o", "missing/machine.dot"], 74, id="no-such-folder"),
        pytest.param([DEPLOY, "--format", "jpg"], 64, id="no-such-format"),
        pytest.param([DEPLOY, "--at", "3"], 64, id="a-moment-of-no-run"),
    ],
)
def test_a_diagram_of_nothing_or_to_nowhere_is_refused(machine: Any, arguments: list[str], code: int) -> None:
    done = machine("diagram", *arguments)

    assert (done.code, done.out) == (code, "")
    assert len(done.err.splitlines()) == 2


def test_a_diagram_as_json_is_one_object_with_its_format(machine: Any, tmp_path: Path) -> None:
    for form in ("dot", "svg", "mermaid"):
        printed = machine("diagram", DEPLOY, "--format", form, "--json")
        written = machine("diagram", DEPLOY, "-o", f"machine.{form}", "--format", form, "--json")

        assert printed.json == {"format": form, "diagram": machine("diagram", DEPLOY, "--format", form).out}
        assert written.json == {"format": form, "output": f"machine.{form}"}
        assert (tmp_path / f"machine.{form}").read_text() == printed.json["diagram"]
    assert list(machine("diagram", "--json").json) == ["error"]


def test_a_run_is_drawn_at_any_moment_of_it(machine: Any, deploy: Any) -> None:
    machine(*deploy, "happy", "--id", "one")
    told = machine("diagram", "--run", "one", "--at", "4", "--format", "text").out
    beyond = machine("diagram", "--run", "one", "--at", "40", "--json")

    assert told.splitlines()[1].startswith("record 4: polling after ")
    assert beyond.json["error"]["code"] == "AZM-U125"
    assert machine("diagram", "--run", "one", "--at", "9").out == machine("diagram", "--run", "one").out


def test_a_png_is_written_to_a_file_only(machine: Any, tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    done = machine("diagram", DEPLOY, "-o", "machine.png")
    refused = machine("diagram", DEPLOY, "--format", "png", "--json")

    assert (done.code, refused.json["error"]["code"]) == (0, "AZM-U127")
    assert (tmp_path / "machine.png").read_bytes().startswith(b"\x89PNG")
