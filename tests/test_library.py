"""Documents by path and shipped workflows by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from machine import library
from machine.errors import DocumentError, SourceError, UsageError
from machine.library import load, shipped
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
    def refuse(path: Path, *flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "d.yaml"
    path.touch()
    monkeypatch.setattr(os, "open", refuse)
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
        library.read_file(tmp_path / "file", largest=1 << 20)


def test_what_was_read_is_remembered_and_a_change_is_seen(tmp_path: Path) -> None:
    for name in ("same.yaml", "other.yaml", "gone.yaml"):
        (tmp_path / name).write_text("one")
    files = library.Files(tmp_path)
    read = library._Reader(["same.yaml"], files)
    texts = [read(name) for name in ("same.yaml", "other.yaml", "gone.yaml")]
    (tmp_path / "other.yaml").write_text("two")
    (tmp_path / "gone.yaml").unlink()

    assert texts == [b"one"] * 3
    assert files.changed() == ["other.yaml"]


# -- which files a document leads to -----------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a document in ``work/arazzo``; the current folder and the home are others."""
    for folder in ("work/arazzo", "work/openapi", "work/.hidden", "home", "here", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    for name in (
        "work/arazzo/api.json",
        "work/openapi/api.json",
        "work/.hidden/api.json",
        "outside/api.json",
        "outside/other.json",
        "a.json",
    ):
        (tmp_path / name).write_text(json.dumps({"openapi": "3.1.0", "info": {}, "paths": {}}))
    (tmp_path / "work/arazzo/link.json").symlink_to(tmp_path / "outside/api.json")
    (tmp_path / "work/arazzo/beside.json").symlink_to(tmp_path / "work/openapi/api.json")
    os.mkfifo(tmp_path / "work/arazzo/pipe.json")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("work/arazzo/api.json", None, id="in-its-folder"),
        pytest.param("work/arazzo/../openapi/api.json", None, id="beside-its-folder"),
        pytest.param("work/arazzo/beside.json", None, id="a-link-that-stays"),
        pytest.param("work/arazzo/none.json", FileNotFoundError, id="not-there"),
        pytest.param("work/arazzo", FileNotFoundError, id="a-folder"),
        pytest.param("work/arazzo/pipe.json", FileNotFoundError, id="a-pipe"),
        pytest.param("work/arazzo/nul\0.json", FileNotFoundError, id="no-name-at-all"),
        pytest.param("a.json", PermissionError, id="two-folders-up"),
        pytest.param("outside/api.json", PermissionError, id="elsewhere"),
        pytest.param("work/arazzo/link.json", PermissionError, id="a-link-that-leads-out"),
        pytest.param("work/.hidden/api.json", PermissionError, id="hidden"),
        pytest.param("/dev/zero", PermissionError, id="a-device"),
        pytest.param("/etc/passwd", PermissionError, id="of-the-system"),
    ],
)
def test_a_document_leads_to_what_lies_with_it(elsewhere: Path, name: str, error: type[OSError] | None) -> None:
    read = library._Reader([str(elsewhere / "work/arazzo/w.yaml")])
    if error is None:
        assert b"openapi" in read(str(elsewhere / name))
        return

    with pytest.raises(error):
        read(str(elsewhere / name))


@pytest.mark.parametrize(
    ("document", "current", "name", "allowed"),
    [
        pytest.param("work/arazzo/w.yaml", "work", ".hidden/api.json", False, id="hidden-in-the-current-folder"),
        pytest.param("work/arazzo/w.yaml", ".", "outside/api.json", True, id="below-the-current-folder"),
        pytest.param("checkout/a/b/w.yaml", "here", "checkout/api.json", True, id="in-its-checkout"),
        pytest.param("checkout/a/b/w.yaml", "here", "checkout/.git/config", False, id="hidden-in-its-checkout"),
        pytest.param("home/w.yaml", "here", "outside/api.json", False, id="not-beside-a-home"),
        pytest.param("home/x/w.yaml", "here", "home/other/api.json", False, id="not-beside-one-in-a-home"),
        pytest.param("home/w.yaml", "here", "home/other/api.json", True, id="in-the-home-of-a-document-there"),
        pytest.param("outside/api.json", "here", "outside/api.json", True, id="what-was-named"),
        pytest.param("work/.hidden/api.json", "here", "work/.hidden/api.json", True, id="what-was-named-though-hidden"),
    ],
)
def test_the_current_folder_counts_where_the_document_lies_in_it(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, document: str, current: str, name: str, allowed: bool
) -> None:
    for folder in ("home/other", "checkout/.git", "checkout/a/b"):
        (elsewhere / folder).mkdir(parents=True)
    for file in ("home/other/api.json", "checkout/api.json", "checkout/.git/config"):
        (elsewhere / file).write_text("{}")
    monkeypatch.chdir(elsewhere / current)
    read = library._Reader([str(elsewhere / document)])
    if allowed:
        assert read(str(elsewhere / name))
        return

    with pytest.raises(PermissionError):
        read(str(elsewhere / name))


def test_a_source_that_lies_elsewhere_says_so_and_may_be_named(elsewhere: Path) -> None:
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "A", "version": "1"},
        "sourceDescriptions": [{"name": "api", "url": str(elsewhere / "outside/other.json"), "type": "openapi"}],
        "workflows": [{"workflowId": "w", "steps": [{"stepId": "a", "operationId": "get"}]}],
    }
    path = elsewhere / "work/arazzo/w.json"
    path.write_text(json.dumps(document))

    with pytest.raises(SourceError) as caught:
        build_plan(library.load(path))
    with pytest.raises(DocumentError):
        build_plan(library.load(path, sources={"api": str(elsewhere / "outside/other.json")}))
    assert "it does not lie with the document" in str(caught.value)
    assert "--source api=" in caught.value.next
