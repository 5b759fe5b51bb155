"""Defaults out of a file: for comfort only, weaker than the environment and a flag, and never about money."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from machine.cli.comfort import config_path, defaults
from machine.errors import UsageError


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """``config(text)`` writes the file of defaults."""

    def write(text: str) -> Path:
        path = tmp_path / "config" / "arazzo-machine" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"HOME": "/home/me"}, "/home/me/.config/arazzo-machine/config.toml"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": "/etc/me"}, "/etc/me/arazzo-machine/config.toml"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": "relative"}, "/home/me/.config/arazzo-machine/config.toml"),
        ({"HOME": "/home/me", "ARAZZO_MACHINE_CONFIG": "/x.toml"}, "/x.toml"),
    ],
    ids=["home", "xdg", "relative", "named"],
)
def test_the_file_lies_where_such_files_lie(environment: dict[str, str], path: str) -> None:
    assert str(config_path(environment)) == path


def test_a_store_is_weaker_than_the_environment_and_a_flag(
    machine: Any, deploy: Any, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = config('store = "mine.db"').parent
    machine(*deploy, "happy", "--id", "of-the-environment")
    monkeypatch.delenv("ARAZZO_MACHINE_STORE")
    machine(*deploy, "happy", "--id", "of-the-file")
    machine(*deploy, "happy", "--id", "of-the-flag", "--store", "flag.db")
    listed = [
        [one["run"] for one in machine("runs", *flags, "--json").json["runs"]] for flags in ([], ["--store", "flag.db"])
    ]

    assert listed == [["of-the-file"], ["of-the-flag"]]
    assert (folder / "mine.db").exists()


def test_a_format_is_weaker_than_the_name_of_a_file(machine: Any, config: Any, tmp_path: Path) -> None:
    config('format = "text"')
    shown = machine("diagram", "deploy-inference-endpoint")
    machine("diagram", "deploy-inference-endpoint", "-o", "machine.mmd")

    assert shown.out.startswith("Bring up")
    assert (tmp_path / "machine.mmd").read_text().startswith("stateDiagram-v2")
    assert machine("diagram", "deploy-inference-endpoint", "--format", "dot").out.startswith("digraph")


def test_a_log_is_kept_beside_the_file(machine: Any, deploy: Any, config: Any) -> None:
    folder = config('log = "log.jsonl"').parent
    machine(*deploy, "happy")

    assert (folder / "log.jsonl").read_text().count("\n") == 9


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('on_doubt = "reissue"', "AZM-U131"),
        ('unmatched = "next"', "AZM-U131"),
        ('allow_hosts = ["localhost"]', "AZM-U131"),
        ("[run]\nstore = 'x'", "AZM-U131"),
        ("store = 3", "AZM-U130"),
        ('store = ""', "AZM-U130"),
        ("store", "AZM-U130"),
        ("#" * 70_000, "AZM-U130"),
    ],
    ids=["policy", "unmatched", "hosts", "table", "number", "empty", "not-toml", "large"],
)
def test_what_does_not_belong_there_is_refused_before_anything_happens(
    machine: Any, deploy: Any, config: Any, text: str, code: str
) -> None:
    config(text)
    done = machine(*deploy, "happy", "--json")

    assert (done.code, done.json["error"]["code"]) == (64, code)
    assert machine("run", "--help").code == 0


def test_a_file_that_was_named_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert defaults({"HOME": "/nowhere"}) == {}
    with pytest.raises(UsageError) as refused:
        defaults({"ARAZZO_MACHINE_CONFIG": "/nowhere/config.toml"})

    assert refused.value.code == "AZM-U130"
