from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.errors import DamageError, StoreError, VersionError
from machine.stores import sqlite_file
from machine.stores.sqlite_file import APPLICATION_ID, FORMAT, SCHEMA, open_reading, open_writing, reported

pytestmark = pytest.mark.no_history("the files are no stores, or not of this format")

READ_AS_NOBODY = """
import os, sys
from machine.errors import MachineError
from machine.stores import SqliteStore
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with SqliteStore(sys.argv[1], read_only=sys.argv[2] == "read") as store:
        print([run.head.id for run in store.runs()])
except MachineError as error:
    print(error.code)
"""

OPEN = """
import sys
from machine.stores import SqliteStore
sys.stdin.read()
with SqliteStore(sys.argv[1]) as store:
    assert store.runs() == []
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder any user can read, which the ones of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)
        os.chmod(name, 0o755)


def make(path: Path) -> None:
    open_writing(path, create_folder=False).close()


def open_either(path: Path, read: bool) -> sqlite3.Connection:
    return open_reading(path, missing_folder_is_empty=False) if read else open_writing(path, create_folder=False)


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_new_file_is_a_store_of_this_format(path: Path) -> None:
    make(path)
    connection = sqlite3.connect(path)

    assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.parametrize(
    ("pragma", "value"), [("synchronous", 2), ("journal_mode", b"wal"), ("trusted_schema", 0), ("busy_timeout", 10_000)]
)
def test_a_connection_is_durable_and_trusts_nothing(path: Path, pragma: str, value: object) -> None:
    connection = open_writing(path, create_folder=False)

    assert connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)
    connection.close()


def test_the_file_and_its_side_files_are_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        connection = open_writing(path, create_folder=False)
    finally:
        os.umask(before)
    modes = {name.name: stat.S_IMODE(name.stat().st_mode) for name in path.parent.iterdir()}

    assert modes == {"runs.db": 0o600, "runs.db-wal": 0o600, "runs.db-shm": 0o600}
    connection.close()


@pytest.mark.parametrize("read", [False, True], ids=["writing", "reading"])
def test_a_named_folder_that_is_missing_is_refused_and_not_made(tmp_path: Path, read: bool) -> None:
    path = tmp_path / "none" / "runs.db"
    with pytest.raises(StoreError) as error:
        open_either(path, read)

    assert (error.value.code, error.value.exit_code) == ("AZM-T001", 74)
    assert str(path.parent) in error.value.message
    assert not path.parent.exists()


def test_the_default_folder_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "arazzo-machine" / "runs.db"
    open_writing(path, create_folder=True).close()

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as error, reported(tmp_path):
        open_writing(tmp_path / "file" / "runs.db", create_folder=True)

    assert error.value.exit_code == 74


def test_a_folder_is_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError), reported(tmp_path):
        open_writing(tmp_path, create_folder=False)


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    make(path)
    make(path)


def test_an_empty_file_is_read_as_a_store_without_runs_and_left_empty(path: Path) -> None:
    path.touch()
    open_reading(path, missing_folder_is_empty=False).close()

    assert path.stat().st_size == 0


def test_processes_that_make_the_same_store_at_once_all_get_it(path: Path) -> None:
    arguments = [sys.executable, "-c", OPEN, str(path)]
    processes = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)
    ]
    outcomes = [(process.communicate()[1], process.returncode) for process in processes]

    assert outcomes == [("", 0)] * 6


def test_a_newer_store_is_refused_by_its_format_and_left_alone(path: Path) -> None:
    make(path)
    change(path, "PRAGMA user_version = 7", "CREATE TABLE later (x)")
    before = path.read_bytes()
    with pytest.raises(VersionError, match="format 7, this release reads format 1") as error:
        open_writing(path, create_folder=False)

    assert error.value.exit_code == 65
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statements",
    [
        ("PRAGMA user_version = 0",),
        ("PRAGMA user_version = -1",),
        ("PRAGMA application_id = 0",),
        ("PRAGMA application_id = 1", "PRAGMA user_version = 9"),
        ("DROP TABLE blobs",),
        ("ALTER TABLE runs ADD COLUMN more",),
        ("ALTER TABLE runs RENAME COLUMN head TO tail",),
        ("CREATE TABLE more (x)",),
        ("CREATE VIEW more AS SELECT 1",),
        ("CREATE INDEX more ON runs (head)",),
        ("CREATE TRIGGER more AFTER INSERT ON runs BEGIN DELETE FROM records; END",),
        ("DROP TABLE blobs", "CREATE VIEW blobs AS SELECT 1 AS sha256, 2 AS content"),
    ],
    ids=lambda statements: statements[-1][:40],
)
@pytest.mark.parametrize("read", [False, True], ids=["writing", "reading"])
def test_a_file_with_another_schema_is_refused(path: Path, statements: tuple[str, ...], read: bool) -> None:
    make(path)
    change(path, *statements)
    with pytest.raises(DamageError) as error:
        open_either(path, read)

    assert (error.value.code, error.value.exit_code) == ("AZM-T006", 65)


def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    change(path, "CREATE TABLE customers (name)", "INSERT INTO customers VALUES ('kept')")
    before = path.read_bytes()
    with pytest.raises(DamageError, match="not a store of arazzo-machine"):
        open_writing(path, create_folder=False)

    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["runs.db"]


@pytest.mark.parametrize("read", [False, True], ids=["writing", "reading"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, read: bool) -> None:
    path.write_text("arazzo: 1.1.0\n" * 100)
    with pytest.raises(DamageError), reported(path):
        open_either(path, read)

    assert path.read_text() == "arazzo: 1.1.0\n" * 100


def test_a_file_held_by_another_program_is_a_store_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 0.0)
    make(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection = open_writing(path, create_folder=False)
    with pytest.raises(StoreError) as error, reported(path):
        connection.execute("BEGIN IMMEDIATE")

    assert (error.value.code, error.value.exit_code) == ("AZM-T005", 74)
    connection.close()
    other.close()


def test_a_new_file_held_by_another_program_is_waited_for_and_then_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 0.02)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError) as error, reported(path):
        open_writing(path, create_folder=False)

    assert error.value.code == "AZM-T005"
    other.close()


def test_a_full_disk_is_a_store_error(path: Path) -> None:
    connection = open_writing(path, create_folder=False)
    connection.execute("PRAGMA max_page_count = 10")
    with pytest.raises(StoreError, match="disk is full") as error, reported(path):
        connection.execute("INSERT INTO blobs VALUES ('x', zeroblob(100000))")

    assert (error.value.code, error.value.exit_code) == ("AZM-T003", 74)
    connection.close()


def test_a_connection_for_reading_cannot_write(path: Path) -> None:
    make(path)
    connection = open_reading(path, missing_folder_is_empty=False)
    with pytest.raises(StoreError, match="read-only") as error, reported(path):
        connection.execute("DELETE FROM runs")

    assert (error.value.code, error.value.exit_code) == ("AZM-T004", 74)
    connection.close()


@pytest.mark.parametrize("missing", ["file", "folder"])
def test_a_missing_store_is_read_as_one_without_runs_and_not_made(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "runs.db" if missing == "file" else tmp_path / "none" / "runs.db"
    connection = open_reading(path, missing_folder_is_empty=missing == "folder")

    assert connection.execute("SELECT * FROM runs").fetchall() == []
    assert list(tmp_path.iterdir()) == []
    connection.close()


@pytest.mark.parametrize(("access", "shown"), [("read", "[]"), ("write", "AZM-T004")])
def test_a_store_on_a_medium_that_cannot_be_written_can_be_read(public_folder: Path, access: str, shown: str) -> None:
    path = public_folder / "runs.db"
    make(path)
    path.chmod(0o444)
    public_folder.chmod(0o555)
    arguments = [sys.executable, "-c", READ_AS_NOBODY, str(path), access]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == shown
    assert [one.name for one in public_folder.iterdir()] == ["runs.db"]


@pytest.mark.parametrize("access", ["read", "write"])
def test_a_store_in_a_folder_that_may_not_be_entered_is_a_store_error(public_folder: Path, access: str) -> None:
    path = public_folder / "closed" / "runs.db"
    path.parent.mkdir(mode=0o700)
    make(path)
    path.parent.chmod(0)
    arguments = [sys.executable, "-c", READ_AS_NOBODY, str(path), access]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    path.parent.chmod(0o700)

    assert done.stdout.strip() == "AZM-T002"


def test_what_still_stands_in_the_journal_of_such_a_store_is_not_passed_over(public_folder: Path) -> None:
    path = public_folder / "runs.db"
    make(path)
    path.chmod(0o444)
    path.with_name("runs.db-wal").write_bytes(b"\0" * 64)
    public_folder.chmod(0o555)
    arguments = [sys.executable, "-c", READ_AS_NOBODY, str(path), "read"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "AZM-T004"


def test_every_table_has_a_key(path: Path) -> None:
    assert all("PRIMARY KEY" in statement for statement in SCHEMA.values())


def test_an_empty_file_others_could_read_is_private_before_anything_is_written(path: Path) -> None:
    path.touch()
    path.chmod(0o644)
    open_writing(path, create_folder=False).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_file_of_another_user_is_not_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(StoreError) as caught:
        open_writing(path, create_folder=False)

    assert (caught.value.code, path.stat().st_size) == ("AZM-T002", 0)
    assert "another user" in caught.value.message
