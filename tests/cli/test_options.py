"""Flags and the reading of their values."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from machine.cli.options import (
    changes_of,
    describe_target,
    duration,
    open_store,
    pairs,
    read_hosts,
    read_servers,
    read_value,
    store_flag,
)
from machine.errors import StoreError, UsageError
from machine.runtime.secrets import Reference


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("30s", 30), ("1h30m", 5400), ("100ms", 0.1), ("2.5", 2.5)])
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "nan", "inf", "1s and more", "9" * 400])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        duration(text)


def test_pairs_are_divided_at_the_first_equals_sign_and_the_last_of_a_name_counts() -> None:
    assert pairs(["a=1", "b=x=y", "c=", "a=2"], "-i") == {"a": "2", "b": "x=y", "c": ""}


@pytest.mark.parametrize("text", ["hf_a-token", "=hf_a-token", ""])
def test_what_is_no_pair_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        pairs([text], "-i")

    assert "hf_a-token" not in str(caught.value) + caught.value.next


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("@@home", "@home"),
        ("@env:NAME", Reference("@env:NAME")),
        ("@file:a b", Reference("@file:a b")),
        ("@cmd:echo x", Reference("@cmd:echo x")),
        ("@prompt", Reference("@prompt")),
    ],
)
def test_a_value_is_a_text_or_a_reference(text: str, value: object) -> None:
    assert read_value("name", text) == value


@pytest.mark.parametrize("text", ["@hf_a-token", "@env:", "@prompt:hf_a-token"])
def test_a_text_behind_a_stray_at_sign_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_value("hfToken", text)

    assert caught.value.code == "AZM-U044"
    assert "'hfToken'" in caught.value.message
    assert "@@" in caught.value.next
    assert "hf_a-token" not in str(caught.value) + caught.value.next
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        pytest.param([], {}, id="none"),
        pytest.param(["https://h/v1"], {"a": "https://h/v1", "b": "https://h/v1"}, id="for-all"),
        pytest.param(["b=https://h"], {"b": "https://h"}, id="for-one"),
        pytest.param(["https://h", "b=https://i"], {"a": "https://h", "b": "https://i"}, id="one-apart"),
        pytest.param(["https://h/?x=y"], {"a": "https://h/?x=y", "b": "https://h/?x=y"}, id="an-equals-sign-in-it"),
    ],
)
def test_a_server_is_given_for_one_source_or_for_all(texts: list[str], found: dict[str, str]) -> None:
    assert read_servers(texts, ["a", "b"]) == found


@pytest.mark.parametrize("text", ["c=https://h", "a=", ""])
def test_a_server_of_nothing_or_for_nobody_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_servers([text], ["a", "b"])

    assert caught.value.code == "AZM-U061"
    assert caught.value.next


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Host.Example.", "host.example"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("http://LOCALHOST:8/v1", "localhost"),
        ("[::1]:8080", "::1"),
        ("::1", "::1"),
    ],
)
def test_a_host_is_compared_without_port_case_and_closing_dot(text: str, host: str) -> None:
    assert read_hosts([text]) == [host]


@pytest.mark.parametrize("text", ["", "http://", "[x"])
def test_no_host_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_hosts([text])


def test_only_the_settings_that_were_given_are_changes() -> None:
    given = {"deadline": 0.0, "visits": None, "calls": 5, "workflow": "w"}

    assert changes_of(given) == {"deadline": 0.0, "calls": 5}


def test_commands_name_a_store_only_when_it_is_not_the_usual_one() -> None:
    assert store_flag(None) == ""
    assert store_flag(Path("a b.db")) == " --store 'a b.db'"


def test_a_document_is_found_by_its_name() -> None:
    description = describe_target("deploy-inference-endpoint", {"sources": (), "overlay": None, "strict": False})

    assert [one.workflow_id for one in description.document.workflows] == ["deploy-inference-endpoint"]
    assert description.trusted


def test_a_named_store_is_not_given_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "missing" / "runs.db")

    assert caught.value.exit_code == 74
    assert not (tmp_path / "missing").exists()


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path)

    assert caught.value.next == f"name a file in it: --store {tmp_path / 'runs.db'}"


def test_the_usual_store_is_given_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARAZZO_MACHINE_STORE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    open_store(None).close()
    folder = tmp_path / "state" / "arazzo-machine"

    assert (folder / "runs.db").is_file()
    assert folder.stat().st_mode & 0o777 == 0o700
