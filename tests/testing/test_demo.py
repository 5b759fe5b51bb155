"""The demo is run as a stranger would run it, and leaves no process behind."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.testing.demo import fold, main


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=400))
def test_no_folded_line_is_wider_than_the_page_and_no_word_is_lost(text: str) -> None:
    lines = fold(text, indent="    ", hang=20)

    assert all(len(line) <= 100 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_an_empty_line_stays_one_empty_line() -> None:
    assert fold("") == [""]


def test_a_folder_that_cannot_be_made_is_said_and_not_thrown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")

    assert main(["--folder", str(tmp_path / "taken")]) == 1
    assert "The demo broke" in capsys.readouterr().out


@pytest.mark.slow
def test_the_whole_demo_kills_a_run_resumes_it_and_counts_one_create(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "demo.run.dot").write_text("of an earlier demo")
    environment = {name: value for name, value in os.environ.items() if "TOKEN" not in name}

    done = subprocess.run(
        [sys.executable, "-m", "machine.testing.demo", "--folder", "demo"],
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    lines = done.stdout.splitlines()
    port = re.search(r"http://127\.0\.0\.1:(\d+)/v2", done.stdout)

    assert done.returncode == 0, done.stdout
    assert "creates seen by the server: 1" in lines
    assert re.search(r"^    demo +\w+ +polling +interrupted ", done.stdout, re.MULTILINE)
    assert "    state: running" in lines
    assert max(map(len, lines)) <= 100
    assert port is not None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port[1]))) != 0, "the simulator is still there"
    drawn = {path.name for path in folder.glob("demo.run.*")}
    assert drawn in ({"demo.run.svg"}, {"demo.run.dot"})
    assert (folder / "runs.db").is_file()
    assert (folder / "notes.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"demo"}
