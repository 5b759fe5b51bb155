"""Documents by path and shipped workflows by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from machine.errors import DocumentError, SourceError, UsageError
from machine.library import Files, load, read_file, shipped
from machine.plan.build import build_plan

ROOT = Path(__file__).resolve().parent.parent
API = ROOT / "workflows" / "openapi" / "hugging-face-inference-endpoints-api.yml"
NAME = "deploy-inference-endpoint"


def test_every_shipped_document_is_known_by_the_name_of_its_file() -> None:
    files = sorted((ROOT / "workflows" / "arazzo").glob("*.arazzo.yaml"))

    assert list(shipped().values()) == files
    assert list(shipped()) == [file.name.removesuffix(".arazzo.yaml") for file in files]
    assert NAME in shipped()


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_workflow_compiles_and_may_name_a_secret(name: str) -> None:
    description = load(name)

    assert description.trusted
    for workflow in description.document.workflows:
        assert build_plan(description, workflow=workflow.workflow_id).states


def test_the_same_file_by_its_path_is_not_trusted() -> None:
    by_path = load(shipped()[NAME])
    origins = {one.origin for one in build_plan(by_path).inputs}

    assert not by_path.trusted
    assert origins == {""}
    assert {one.origin for one in build_plan(load(NAME)).inputs} == {"", "@env:HF_TOKEN"}


@pytest.mark.parametrize("spelling", ["d.yaml", "./d.yaml", "folder/../d.yaml", "d.yml", "./d", "d.json"])
def test_a_target_with_a_slash_or_an_ending_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_document: Path, spelling: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    Path(spelling).write_bytes(user_document.read_bytes())
    description = load(spelling, sources={"inferenceEndpointsApi": str(API)})

    assert set(description.texts) == {spelling, str(API)}


def test_a_path_object_is_a_path_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_document: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(NAME).write_bytes(user_document.read_bytes())
    description = load(Path(NAME), sources={"inferenceEndpointsApi": str(API)})

    assert description.document.uri == NAME
    assert not description.trusted


def test_a_name_that_is_not_shipped_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError) as caught:
        load("deploy")

    assert caught.value.code == "AZM-U032"
    assert NAME in caught.value.next
    assert "./deploy" in caught.value.next


@pytest.mark.parametrize("name", ["missing.yaml", "./missing", "folder/", "pipe.yaml", "x.yaml/y.yaml", "nul\0.yaml"])
def test_what_is_no_file_is_no_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.yaml").touch()
    # Opening it would wait for somebody to write.
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(SourceError) as caught:
        load(name)

    assert caught.value.exit_code == 78
    assert caught.value.seen == name
    assert caught.value.next


def test_a_document_the_system_does_not_let_us_read_is_a_source_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "d.yaml"
    path.touch()
    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(SourceError) as caught:
        load(path)

    assert caught.value.code == "AZM-S021"
    assert "Permission denied" in caught.value.message


def test_a_source_that_cannot_be_read_is_named(user_document: Path) -> None:
    description = load(user_document)
    with pytest.raises(SourceError) as caught:
        build_plan(description)

    assert caught.value.code == "AZM-S001"
    assert "--source inferenceEndpointsApi=PATH" in caught.value.next


def test_a_source_the_document_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError):
        load(NAME, sources={"other": str(API)})


def test_a_document_with_errors_says_them_all(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("arazzo: 1.0.1\ninfo: {title: x}\nsourceDescriptions: []\nworkflows: []\n")
    with pytest.raises(DocumentError) as caught:
        load(path)

    assert len(caught.value.findings) > 1


def test_an_overlay_annotates_a_shipped_workflow_or_a_document(tmp_path: Path) -> None:
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(
        "overlay: 1.0.0\ninfo: {title: mine, version: '1'}\nactions:\n"
        "- target: $.workflows[0]\n  update: {x-machine: {deadline: 5m}}\n"
    )

    assert build_plan(load(NAME, overlay=overlay)).deadline == 300.0
    assert build_plan(load(shipped()[NAME], overlay=str(overlay))).deadline == 300.0


def test_an_overlay_that_is_not_there_is_told_from_a_document_that_is_not(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        load(NAME, overlay=tmp_path / "no.yaml")

    assert caught.value.seen == str(tmp_path / "no.yaml")
    assert "overlay" in caught.value.next


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(os.mkfifo, "it is not a regular file", id="a-pipe"),
        pytest.param(os.mkdir, "it is not a regular file", id="a-folder"),
        pytest.param(
            lambda path: Path(path).write_bytes(b"x" * ((1 << 20) + 1)), "it is larger than 1 MiB", id="large"
        ),
    ],
)
def test_only_a_regular_file_of_some_size_is_read(tmp_path: Path, make: Callable[[Path], object], why: str) -> None:
    make(tmp_path / "file")

    with pytest.raises(OSError, match=why):
        read_file(tmp_path / "file", largest=1 << 20)


def test_what_was_read_is_remembered_and_a_change_is_seen(tmp_path: Path) -> None:
    for name in ("same.yaml", "other.yaml", "gone.yaml"):
        (tmp_path / name).write_text("one")
    files = Files(tmp_path)
    read = [files(name) for name in ("same.yaml", "other.yaml", "gone.yaml")]
    (tmp_path / "other.yaml").write_text("two")
    (tmp_path / "gone.yaml").unlink()

    assert read == [b"one"] * 3
    assert Files(tmp_path).changed(dict(files.digests)) == ["other.yaml"]
