"""What was written stays readable: runs of a stored file are resumed by today's code and come to the right end."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from write import ABSENT, BUSY, DONE, FIXTURE, MADE, Answers, dumped, runner

from machine.stores.sqlite import SqliteStore
from machine.testing.clock import ManualClock

READY = {"name": "demo", "state": "done"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """The fixture, as the file it was."""
    path = tmp_path / "runs.db"
    connection = sqlite3.connect(path)
    connection.executescript(FIXTURE.read_text(encoding="utf-8"))
    connection.close()
    with SqliteStore(path) as opened:
        yield opened


RESUMED = [
    pytest.param("polling", [BUSY, DONE], {}, 0, id="killed-while-it-polled"),
    pytest.param("doubt", [DONE, BUSY, DONE], {}, 0, id="killed-as-its-create-left-and-found"),
    pytest.param("doubt", [ABSENT, MADE, DONE], {"settle": 0.0}, 0, id="killed-before-its-create-arrived"),
    pytest.param("held", [], {}, 13, id="left-to-somebody"),
    pytest.param("held", [DONE, BUSY, DONE], {"on_doubt": "probe"}, 0, id="looked-for-after-all"),
    pytest.param("edited", [BUSY, DONE], {}, 0, id="gone-on-with-an-edited-document"),
]


@pytest.mark.parametrize(("run", "answers", "changes", "code"), RESUMED)
def test_a_stored_run_comes_to_its_end(
    store: SqliteStore, run: str, answers: list[Any], changes: dict[str, Any], code: int
) -> None:
    transport, clock = Answers(*answers), ManualClock()
    # Later than anything in the file.
    clock.advance(60.0)
    result = runner(store, transport, clock=clock).resume(run, changes=changes).result()

    assert (result.exit_code, transport.answers) == (code, [])
    assert code or dict(result.outputs) == READY
    assert transport.methods.count("POST") == answers.count(MADE)


def test_a_run_begun_from_a_token_is_resumed_like_any_other(store: SqliteStore) -> None:
    (copy,) = [one.head.id for one in store.runs() if one.head.origin]
    result = runner(store, Answers(DONE)).resume(copy).result()

    assert (result.exit_code, dict(result.outputs)) == (0, READY)


def shape(text: str) -> set[str]:
    """The format of a dumped store without its values: every column, and every path in its JSON, with the type."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(text)
    found = {str(row) for row in connection.execute("SELECT sql FROM sqlite_master")}
    found |= {
        f"{name} {connection.execute(f'PRAGMA {name}').fetchone()[0]}" for name in ("application_id", "user_version")
    }
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        cursor = connection.execute(f"SELECT * FROM {table}")
        for row in cursor.fetchall():
            for (column, *_), value in zip(cursor.description, row, strict=True):
                if column not in ("checksum", "sha256", "id", "run"):
                    found |= set(_paths(f"{table}.{column}", value))
    connection.close()
    return found


def _paths(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, (str, bytes)):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, dict):
        for key, item in value.items():
            # What a document is named by, or where a plan is kept, is no part of the format.
            yield from _paths(f"{path}/{'#' if len(key) == 64 else key}", item)
    elif isinstance(value, list):
        for item in value:
            yield from _paths(f"{path}/-", item)
    else:
        yield f"{path}: {'version ' + str(value) if path.endswith('/v') else type(value).__name__}"


def test_todays_code_writes_the_format_of_the_fixture() -> None:
    today, kept = shape(dumped()), shape(FIXTURE.read_text(encoding="utf-8"))

    assert today == kept, "the format changed: read machine/stores/sqlite_file.py, then `make golden`"


def test_another_format_is_noticed() -> None:
    kept = FIXTURE.read_text(encoding="utf-8")

    for word, other in (('"seq":', '"sequence":'), ('"v":1', '"v":2'), ('"delay":2.0', '"delay":"2"')):
        assert shape(kept.replace(word, other)) != shape(kept)


def test_the_fixture_names_nobody_and_holds_no_secret() -> None:
    kept = FIXTURE.read_text(encoding="utf-8")

    assert "somebody@somewhere" in kept
    assert "never stored" not in kept
    assert str(Path(__file__).parents[2]) not in kept
