"""What a command line gives a run is read once, from something that ends, and fitted before anything begins."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from machine.cli.given import read_dependency_inputs
from machine.errors import UsageError

FILES = [
    pytest.param(["run", "deploy-inference-endpoint", "--simulate", "--inputs", "given"], id="inputs"),
    pytest.param(["resume", "--token", "given"], id="token"),
    pytest.param(["resolve", "one", "--reply", "given"], id="reply"),
]


@pytest.fixture
def doubtful(machine: Any, deploy: Any) -> None:
    machine(*deploy, "ambiguous-create", "--on-doubt", "hold", "--id", "one")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.b=c", ("a", "b", "c")),
        ("a.x.b=c.d=e", ("a.x", "b", "c.d=e")),
        ("ab=c", None),
        (".b=c", None),
        ("a.=c", None),
    ],
)
def test_an_input_of_a_dependency_names_the_workflow_first(text: str, found: tuple[str, str, str] | None) -> None:
    if found is None:
        with pytest.raises(UsageError, match="WORKFLOW"):
            read_dependency_inputs([text])
    else:
        assert read_dependency_inputs([text]) == {found[:2]: found[2]}


def test_an_input_of_no_dependency_is_refused_before_a_run_begins(machine: Any) -> None:
    done = machine("run", "deploy-inference-endpoint", "--simulate", "--dep-input", "login.user=me", "--json")

    assert (done.code, done.json["error"]["code"]) == (65, "AZM-I011")


@pytest.mark.parametrize("command", FILES)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a-pipe", "a-folder"])
@pytest.mark.usefixtures("doubtful")
def test_what_may_never_end_is_not_read(machine: Any, command: list[str], make: Any) -> None:
    make("given")
    done = machine(*command, "--json")

    assert (done.code, done.json["error"]["code"]) == (64, "AZM-U066")
    assert "it is not a regular file" in done.json["error"]["seen"]


@pytest.mark.parametrize("command", FILES)
@pytest.mark.usefixtures("doubtful")
def test_what_is_too_large_is_not_read(machine: Any, command: list[str], tmp_path: Path) -> None:
    with open(tmp_path / "given", "wb") as file:
        file.truncate((64 << 20) + 1)
    done = machine(*command, "--json")

    assert (done.code, done.json["error"]["code"]) == (64, "AZM-U066")
    assert "larger than 64 MiB" in done.json["error"]["seen"]


def test_a_document_and_an_overlay_are_regular_files_too(machine: Any, users_arguments: Any) -> None:
    os.mkfifo("pipe")
    for words in (["plan", "./pipe"], ["plan", *users_arguments, "--overlay", "pipe"]):
        done = machine(*words, "--json")

        assert (done.code, done.json["error"]["code"]) == (78, "AZM-S020")


def test_a_token_on_standard_input_is_read_up_to_a_size(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("machine.runtime.token.LARGEST_TOKEN", 10)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{" * 1000)))
    done = machine("resume", "--token", "-", "--json")

    assert (done.code, done.json["error"]["code"]) == (65, "AZM-T091")
    assert sys.stdin.buffer.tell() == 11


def test_a_file_of_inputs_chooses_no_program(machine: Any, users_arguments: Any, tmp_path: Path) -> None:
    (tmp_path / "inputs.yaml").write_text(f'name: "@cmd:touch {tmp_path / "called"}; echo demo"\n')
    done = machine("run", *users_arguments, "--inputs", "inputs.yaml", "--dry-run", "--json")

    assert (done.code, done.json["error"]["code"]) == (64, "AZM-U143")
    assert done.json["error"]["next"] == "give it on the command line: -i name=@cmd:LINE"
    assert not (tmp_path / "called").exists()
