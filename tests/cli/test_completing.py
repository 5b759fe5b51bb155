"""Completion: a script for each shell, names worth completing, and nothing that could disturb a prompt."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from machine.cli.app import COMPLETE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(machine: Any, shell: str) -> None:
    done = machine("completion", shell)

    assert done.code == 0
    assert f"{COMPLETE}={shell}_complete" in done.out
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=done.out, text=True, check=True, timeout=20)


def test_another_shell_is_refused(machine: Any) -> None:
    assert machine("completion", "csh", "--json").code == 64


@pytest.fixture
def complete(machine: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``complete("show o")`` -> what bash is offered for the last word."""

    def offered(words: str) -> list[str]:
        monkeypatch.setenv(COMPLETE, "bash_complete")
        monkeypatch.setenv("COMP_WORDS", f"arazzo-machine {words}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
        done = machine()
        monkeypatch.delenv(COMPLETE)
        assert (done.code, done.err) == (0, "")
        return [line.partition(",")[2] for line in done.out.splitlines() if line]

    return offered


def test_verbs_flags_workflows_and_runs_are_completed(machine: Any, deploy: Any, complete: Any) -> None:
    machine(*deploy, "happy", "--id", "one")
    machine(*deploy, "happy", "--id", "two")

    assert complete("res") == ["resume", "resolve"]
    assert complete("show --if-s") == ["--if-status", "--if-state"]
    assert complete("run deploy-or") == ["deploy-or-adopt-inference-endpoint"]
    assert complete("show t") == ["two"]
    assert complete("diagram --run o") == ["one"]
    assert complete("run deploy-inference-endpoint --simulate token") == ["token-expired-401-mid-poll"]
    assert complete("simulate --scenario happ") == ["happy"]


@pytest.mark.parametrize("word", ["./my", "my.arazzo", "../"])
def test_what_is_no_name_is_a_path_and_left_to_the_shell(
    machine: Any, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv(COMPLETE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"arazzo-machine run {word}")
    monkeypatch.setenv("COMP_CWORD", "2")

    assert machine().out == f"file,{word}\n"


def test_a_store_that_cannot_be_read_offers_nothing(complete: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARAZZO_MACHINE_STORE", "/nowhere/runs.db")

    assert complete("show o") == []
