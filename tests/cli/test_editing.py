"""``resume --use-edited``: what is said, in words and in JSON. Whole stories are in ``tests/scenarios``."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

OPENAPI = Path(__file__).resolve().parents[2] / "workflows" / "openapi" / "hugging-face-inference-endpoints-api.yml"

PEM = str(Path(__file__).parents[1] / "runtime" / "loopback.pem")


@pytest.fixture
def document(user_document: Path, tmp_path: Path) -> Path:
    """The user's document, where it can be edited, with its source beside it."""
    (tmp_path / "api.yml").write_text(OPENAPI.read_text())
    copied = tmp_path / "mine.arazzo.yaml"
    copied.write_text(user_document.read_text())
    return copied


@pytest.fixture
def described() -> Iterator[str]:
    """The URL of the description on a server of this machine."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = OPENAPI.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PEM)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/api.yml"
        server.shutdown()


@pytest.fixture
def left(machine: Any, document: Path, deploy: Any) -> Callable[..., Any]:
    """``left()`` begins run ``one`` of the document and leaves it polling."""

    def begin(*more: object, source: str = "api.yml") -> Any:
        words = ["./mine.arazzo.yaml", "--source", f"inferenceEndpointsApi={source}", *deploy[2:]]
        sizes = ["-i", "instanceType=intel-spr", "-i", "instanceSize=x2", "--id", "one"]
        done = machine("run", *words, *sizes, *more, "--once", "--json")
        assert (done.code, done.json.get("reason")) == (16, "waiting"), done.json
        return done

    return begin


def change(document: Path, before: str, after: str) -> None:
    text = document.read_text()
    assert before in text
    document.write_text(text.replace(before, after))


@pytest.fixture
def go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Give every later command in another folder."""

    def go() -> None:
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")

    return go


def test_an_edited_file_changes_nothing_and_one_line_says_that_it_differs(
    machine: Any, left: Any, document: Path, go_elsewhere: Any
) -> None:
    left()
    go_elsewhere()
    change(document, "- name: ready", "- name: serving")
    quiet = machine("resume", "one", "--once", "-q")
    done = machine("resume", "one")

    assert "edited" not in quiet.err
    assert (done.code, done.err.count("was edited")) == (0, 1)
    assert "note: ./mine.arazzo.yaml was edited; the run goes on with what is stored" in done.err
    assert machine("show", "one", "--json").json["state"] == "ready"


def test_nothing_is_said_of_a_file_that_is_as_it_was_or_is_gone(machine: Any, left: Any, document: Path) -> None:
    left()
    same = machine("resume", "one", "--once")
    document.unlink()
    gone = machine("resume", "one", "--once")

    assert "edited" not in same.err + gone.err


def test_the_difference_is_shown_and_the_run_goes_on_with_it(
    machine: Any, left: Any, document: Path, go_elsewhere: Any
) -> None:
    left()
    go_elsewhere()
    change(document, "- name: ready", "- name: serving")
    done = machine("resume", "one", "--use-edited", "--json")
    shown = machine("show", "one")
    as_json = machine("show", "one", "--json").json
    why = machine("show", "one", "--why").out
    drawn = machine("diagram", "--run", "one")

    assert (done.code, done.json["state"]) == (0, "serving")
    assert "  state ready is gone" in done.err
    assert {"what", "where", "before", "after", "name", "text"} == set(done.json["edited"]["changes"][0])
    (edit,) = as_json["edits"]
    assert (edit["before"], edit["after"]) == (done.json["edited"]["before"], done.json["edited"]["after"])
    assert "@" in edit["by"]
    assert (
        f"edited    {edit['at']} by {edit['by']}: plan {edit['before'][:12]} became {edit['after'][:12]}" in shown.out
    )
    assert "createEndpoint -> created" in why
    assert (drawn.code, "serving" in drawn.out) == (0, True)


def test_what_was_done_already_is_refused_with_everything_that_differs(machine: Any, left: Any, document: Path) -> None:
    left()
    change(document, "type: public", "type: protected")
    before = machine("show", "one", "--json").json
    done = machine("resume", "one", "--use-edited", "--json")
    said = machine("resume", "one", "--use-edited")

    assert (done.code, done.json["error"]["code"]) == (65, "AZM-C013")
    assert [one["state"] for one in done.json["error"]["contradictions"]] == ["createEndpoint"]
    assert done.json["error"]["changes"][0]["name"] == "body/type"
    assert "  createEndpoint: request 'body/type': public becomes protected" in said.err
    assert machine("show", "one", "--json").json == before
    assert machine("resume", "one").code == 0


def test_a_document_that_moved_is_named(machine: Any, left: Any, document: Path, tmp_path: Path) -> None:
    left()
    (tmp_path / "new").mkdir()
    document.rename(tmp_path / "new" / "moved.yaml")
    lost = machine("resume", "one", "--use-edited", "--json")
    found = machine("resume", "one", "--use-edited", "--document", "new/moved.yaml", "--once", "--json")
    again = machine("resume", "one", "--use-edited", "--json")

    assert (lost.code, lost.json["error"]["code"]) == (78, "AZM-S020")
    assert (found.code, found.json["edited"]["changes"]) == (16, [])
    assert (again.code, again.json["document"]) == (0, "new/moved.yaml")


@pytest.mark.parametrize("remote", [False, True], ids=["file", "url"])
def test_the_source_of_a_document_that_moved_is_where_it_was_named(
    machine: Any, left: Any, document: Path, go_elsewhere: Any, described: str, remote: bool
) -> None:
    reach = ("--ca-bundle", PEM) if remote else ()
    left("--allow-source", "127.0.0.1", *reach, source=described if remote else "api.yml")
    go_elsewhere()
    document.rename("moved.yaml")
    found = machine("resume", "one", "--use-edited", "--document", "moved.yaml", *reach, "--once", "--json")
    again = machine("resume", "one", "--use-edited", *reach, "--once", "--json")

    assert (found.code, found.json.get("edited", {}).get("changes")) == (16, []), found.json
    assert (again.code, again.json.get("document")) == (16, "moved.yaml"), again.json


def test_a_source_at_a_url_is_fetched_again_with_the_certificates_of_this_command(
    machine: Any, left: Any, document: Path, described: str
) -> None:
    reach = ("--allow-source", "127.0.0.1", "--ca-bundle", PEM)
    left(*reach, source=described)
    change(document, "- name: ready", "- name: serving")
    done = machine("resume", "one", "--use-edited", *reach[2:], "--json")

    assert (done.code, done.json.get("state")) == (0, "serving"), done.json


def test_a_document_alone_is_no_edit(machine: Any, left: Any) -> None:
    left()
    done = machine("resume", "one", "--document", "mine.arazzo.yaml", "--json")

    assert (done.code, done.json["error"]["code"]) == (64, "AZM-U098")


def test_a_run_of_which_nobody_noted_where_its_document_was(machine: Any, left: Any, tmp_path: Path) -> None:
    from machine.runtime.runner import Runner
    from machine.stores import SqliteStore

    left()
    with SqliteStore(tmp_path / "runs.db") as store, store.lock("one") as lease:
        options = dict(store.load("one").head.options)
        del options["read_from"]
        store.set_options(lease, options)
        assert Runner(store).result("one").resumable
    done = machine("resume", "one", "--use-edited", "--json")

    assert (done.code, done.json["error"]["code"]) == (64, "AZM-U097")
    assert machine("resume", "one", "--use-edited", "--document", "mine.arazzo.yaml").code in (0, 78)


def test_a_document_that_cannot_be_compiled_stops_nothing_but_the_command(
    machine: Any, left: Any, document: Path
) -> None:
    left()
    change(document, "type: goto", "type: go")
    done = machine("resume", "one", "--use-edited", "--json")

    assert done.code == 65
    assert machine("resume", "one").code == 0


def test_a_run_that_has_ended_takes_no_edited_document(machine: Any, left: Any, document: Path) -> None:
    left()
    assert machine("resume", "one").code == 0
    change(document, "- name: ready", "- name: serving")
    done = machine("resume", "one", "--use-edited", "--json")

    assert (done.code, done.json["state"]) == (0, "ready")
    assert "has ended, so an edited document changes nothing" in done.err


def test_the_same_id_with_the_edited_document_says_how_to_take_it_up(machine: Any, left: Any, document: Path) -> None:
    left()
    change(document, "- name: ready", "- name: serving")
    words = ["run", "./mine.arazzo.yaml", "--source", "inferenceEndpointsApi=api.yml", "--simulate", "--id", "one"]
    inputs = ["namespace=acme", "name=demo", "repository=gpt2", "instanceType=intel-spr", "instanceSize=x2"]
    done = machine(*words, *(word for one in inputs for word in ("-i", one)), "--json")

    assert (done.code, done.json["error"]["code"]) == (65, "AZM-C010")
    assert done.json["error"]["next"].endswith("arazzo-machine resume one --use-edited")
