from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from machine.chart.snapshot import Record
from machine.errors import BusyError, DamageError, MachineError, StoreError, UsageError, VersionError
from machine.stores import Lease, SqliteStore, StoredRun, default_path, open_store
from machine.stores.rows import checksum
from machine.testing.store_contract import head_of, record_at, snapshot_at

pytestmark = pytest.mark.no_history("the runs are samples, and some are damaged")

DOCUMENT = b"arazzo: 1.1.0\n"
DIGEST = hashlib.sha256(DOCUMENT).hexdigest()

APPEND = """
import sys
from machine.stores import SqliteStore
from machine.testing.store_contract import head_of, record_at, snapshot_at
with SqliteStore(sys.argv[1]) as store, store.lock("run-1") as lease:
    store.create(lease, head_of(), {}, snapshot_at(1), record_at(1))
    sys.stdout.write("begin\\n")
    sys.stdout.flush()
    for seq in range(2, int(sys.argv[2]) + 2):
        store.append(lease, snapshot_at(seq), record_at(seq))
        sys.stdout.write(f"{seq}\\n")
        sys.stdout.flush()
    sys.stdout.write("end\\n")
    sys.stdout.flush()
"""

TEXT, NUMBER, REAL = "'~' || substr({0}, 2)", "{0} + 7", "{0} + 0.5"

COLUMNS = {
    "runs": {"id": TEXT, "attempt": NUMBER, "head": "replace({0}, 'deploy', 'deplox')", "checksum": TEXT},
    "snapshots": {
        "run": TEXT,
        "attempt": NUMBER,
        "seq": NUMBER,
        "epoch": NUMBER,
        "owner": TEXT,
        "intent": NUMBER,
        "intended_at": REAL,
        "kept": "{0} || ' '",
        "snapshot": "replace({0}, 'unknown', 'applied')",
        "checksum": TEXT,
    },
    "records": {
        "run": TEXT,
        "attempt": NUMBER,
        "seq": NUMBER,
        "record": "replace({0}, 'ready', 'reads')",
        "checksum": TEXT,
    },
    "blobs": {"sha256": TEXT, "content": "CAST(replace(CAST({0} AS TEXT), '1.1', '1.0') AS BLOB)"},
}
"""Table and column to a small change of it."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


def started(store: SqliteStore, run_id: str = "run-1", *, records: int = 2) -> Lease:
    with store.lock(run_id) as lease:
        store.create(lease, head_of(run_id), {DIGEST: DOCUMENT}, snapshot_at(1), record_at(1))
        for seq in range(2, records + 1):
            store.append(lease, snapshot_at(seq), record_at(seq))
    return lease


def everything(store: SqliteStore) -> tuple[StoredRun, list[Record], int, bytes, list[StoredRun]]:
    """All there is to read of one run."""
    return store.load("run-1"), store.history("run-1"), store.intent("run-1"), store.blob(DIGEST), store.runs()


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Where the store is


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"HOME": "/home/ada"}, "/home/ada/.local/state/arazzo-machine/runs.db"),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": ""}, "/home/ada/.local/state/arazzo-machine/runs.db"),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": "state"}, "/home/ada/.local/state/arazzo-machine/runs.db"),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": "/var/ada"}, "/var/ada/arazzo-machine/runs.db"),
        ({"XDG_STATE_HOME": "/var/ada", "ARAZZO_MACHINE_STORE": "mine.db"}, "mine.db"),
    ],
    ids=["home", "empty", "relative", "xdg", "named"],
)
def test_the_default_store_is_in_the_state_folder_unless_named(environment: dict[str, str], path: str) -> None:
    assert str(default_path(environment)) == path


def test_a_user_the_system_does_not_know_has_a_default_store_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    monkeypatch.delenv("HOME", raising=False)

    assert default_path({}) == Path("/.local/state/arazzo-machine/runs.db")


def test_the_folder_of_the_default_store_is_made_private(tmp_path: Path) -> None:
    with open_store(environment={"XDG_STATE_HOME": str(tmp_path / "state")}) as store:
        assert store.path == tmp_path / "state" / "arazzo-machine" / "runs.db"
        assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_the_folder_of_a_named_store_is_not_made(tmp_path: Path) -> None:
    named = tmp_path / "none" / "runs.db"
    with pytest.raises(StoreError) as by_path:
        open_store(named)
    with pytest.raises(StoreError) as by_variable:
        open_store(environment={"ARAZZO_MACHINE_STORE": str(named)})

    assert by_path.value.exit_code == by_variable.value.exit_code == 74

    assert not named.parent.exists()


def test_a_default_store_that_is_not_there_is_read_as_empty_and_not_made(tmp_path: Path) -> None:
    with open_store(read_only=True, environment={"XDG_STATE_HOME": str(tmp_path / "state")}) as store:
        assert store.runs() == []
        with pytest.raises(UsageError):
            store.load("run-1")

    assert list(tmp_path.iterdir()) == []


def test_two_names_of_one_store_have_the_same_locks(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(store.path)
    with SqliteStore(link) as other, store.lock("run-1"):
        with pytest.raises(BusyError), other.lock("run-1"):
            pass
        assert other.held("run-1") is not None


def test_everything_beside_the_store_is_private(store: SqliteStore) -> None:
    started(store)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in store.path.parent.rglob("*")}

    assert modes == {
        "runs.db": 0o600,
        "runs.db-wal": 0o600,
        "runs.db-shm": 0o600,
        "runs.db.locks": 0o700,
        "runs.db.marks": 0o700,
        "run-1": 0o600,
    }


# Reading only


def test_a_store_open_for_reading_sees_what_a_runner_writes_meanwhile(store: SqliteStore) -> None:
    lease = started(store)
    with SqliteStore(store.path, read_only=True) as reader:
        assert reader.load("run-1").head.seq == 2
        store.append(lease, snapshot_at(3), record_at(3))
        assert reader.load("run-1").snapshot == snapshot_at(3)
        assert len(reader.history("run-1")) == 3
        with store.lock("run-1"):
            holder = reader.held("run-1")
            assert holder is not None
            assert holder.pid == os.getpid()


def test_a_store_open_for_reading_refuses_every_write(store: SqliteStore) -> None:
    lease = started(store)
    with SqliteStore(store.path, read_only=True) as reader:
        with pytest.raises(StoreError), reader.lock("run-1"):
            pass
        writes: list[Callable[[], None]] = [
            lambda: reader.create(lease, head_of(), {}, snapshot_at(1), record_at(1)),
            lambda: reader.restart(lease, head_of(), {}, snapshot_at(1), record_at(1)),
            lambda: reader.append(lease, snapshot_at(3), record_at(3)),
            lambda: reader.mark_intent(lease, 1, 1.0),
            lambda: reader.keep(lease, {}),
            lambda: reader.set_options(lease, {}),
        ]
        for write in writes:
            with pytest.raises(StoreError, match="for reading only") as error:
                write()
            assert error.value.exit_code == 74

    assert store.load("run-1").head.seq == 2


# Damage


@pytest.mark.parametrize(
    ("table", "column", "to"),
    [(table, column, to) for table, columns in COLUMNS.items() for column, to in columns.items()],
    ids=[f"{table}.{column}" for table, columns in COLUMNS.items() for column in columns],
)
def test_a_change_in_any_column_is_noticed(path: Path, table: str, column: str, to: str) -> None:
    with SqliteStore(path) as store:
        started(store)
    change(path, f"UPDATE {table} SET {column} = {to.format(column)} WHERE rowid = 1")
    with SqliteStore(path) as store, pytest.raises(DamageError) as error:
        everything(store)

    assert error.value.exit_code == 65
    if table != "blobs":
        assert "run-1" in error.value.message + error.value.seen
        assert error.value.seen.startswith(f"row {table}") or column in ("id", "run", "attempt")


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in COLUMNS.items() for column in columns]
)
@pytest.mark.parametrize("value", ["x'ff'", "'x'", "9.5", "x''"], ids=["blob", "text", "real", "empty"])
def test_a_value_of_another_type_is_noticed(path: Path, table: str, column: str, value: str) -> None:
    with SqliteStore(path) as store:
        lease = started(store)
        store.keep(lease, {"event": "replied"})
    change(path, f"UPDATE {table} SET {column} = {value} WHERE rowid = 1")
    with SqliteStore(path) as store:
        with pytest.raises(DamageError):
            everything(store)
        if table in ("runs", "snapshots"):
            with pytest.raises(DamageError):
                store.append(lease, snapshot_at(3), record_at(3))


@pytest.mark.parametrize("table", COLUMNS)
def test_a_row_that_is_gone_is_noticed(path: Path, table: str) -> None:
    with SqliteStore(path) as store:
        started(store)
        started(store, "run-2")
    change(path, f"DELETE FROM {table} WHERE rowid = 1")
    with SqliteStore(path) as store, pytest.raises(DamageError):
        everything(store)


def test_the_last_record_of_an_earlier_attempt_is_missed(path: Path) -> None:
    with SqliteStore(path) as store:
        lease = started(store)
        store.restart(lease, head_of(), {}, snapshot_at(1), record_at(1))
    change(path, "DELETE FROM records WHERE attempt = 1 AND seq = 2")
    with SqliteStore(path) as store:
        assert len(store.history("run-1")) == 1
        with pytest.raises(DamageError):
            store.history("run-1", 1)


@pytest.mark.parametrize("table", ["runs", "snapshots"])
def test_an_attempt_that_is_gone_does_not_bring_back_the_one_before(path: Path, table: str) -> None:
    with SqliteStore(path) as store:
        lease = started(store)
        store.restart(lease, head_of(), {}, snapshot_at(1), record_at(1))
    change(path, f"DELETE FROM {table} WHERE attempt = 2")
    with SqliteStore(path) as store, pytest.raises(DamageError, match="a row is missing"):
        store.load("run-1")


@pytest.mark.parametrize("table", ["runs", "snapshots"])
def test_a_damaged_run_cannot_be_locked_or_begun_again(path: Path, table: str) -> None:
    """Else its calls would leave a second time."""
    with SqliteStore(path) as store:
        started(store)
    key = next(iter(COLUMNS[table]))
    change(path, f"UPDATE {table} SET {key} = 'run-2'")
    with SqliteStore(path) as store, pytest.raises(DamageError), store.lock("run-1") as lease:
        store.create(lease, head_of(), {}, snapshot_at(1), record_at(1))


def test_damage_in_one_run_leaves_the_others_readable(path: Path) -> None:
    with SqliteStore(path) as store:
        started(store)
        started(store, "run-2")
    change(path, "UPDATE snapshots SET snapshot = '{}' WHERE run = 'run-1'")
    with SqliteStore(path) as store:
        assert store.load("run-2").snapshot == snapshot_at(2)


def test_a_damaged_document_is_healed_by_the_next_run_that_brings_it(path: Path) -> None:
    with SqliteStore(path) as store:
        started(store)
    change(path, "UPDATE blobs SET content = x'00'")
    with SqliteStore(path) as store:
        started(store, "run-2")

        assert store.blob(DIGEST) == DOCUMENT


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("runs", {"head": "[]"}),
        ("runs", {"head": "{}"}),
        ("runs", {"head": "[" * 100_000}),
        ("snapshots", {"snapshot": "no json"}),
        ("snapshots", {"snapshot": "[]"}),
        ("snapshots", {"snapshot": '{"v": 1}'}),
        ("snapshots", {"snapshot": '{"v": 2}'}),
        ("snapshots", {"attempt": b"\xff"}),
        ("snapshots", {"seq": "many"}),
        ("snapshots", {"epoch": "many"}),
        ("snapshots", {"intent": 1.5}),
        ("records", {"record": "{}"}),
        ("records", {"record": '{"v": 1, "guards": 1}'}),
        ("records", {"seq": "many"}),
    ],
)
def test_a_row_made_up_with_a_good_checksum_is_refused_cleanly(
    path: Path, table: str, values: dict[str, object]
) -> None:
    with SqliteStore(path) as store:
        started(store, records=1)
    connection = sqlite3.connect(path, isolation_level=None)
    names = list(COLUMNS[table])
    row = dict(zip(names, connection.execute(f"SELECT * FROM {table}").fetchone(), strict=True)) | values
    row["checksum"] = checksum(table, *[row[name] for name in names[:-1]])
    connection.execute(f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in names)}", list(row.values()))
    connection.close()
    with SqliteStore(path) as store, pytest.raises((DamageError, VersionError)):
        everything(store)


def test_a_flipped_bit_gives_a_clean_refusal_or_the_same_result(path: Path, tmp_path: Path) -> None:
    with SqliteStore(path) as store:
        started(store)
        expected = everything(store)
    whole = path.read_bytes()
    copy = tmp_path / "copy.db"
    dice = random.Random(20240601)
    silent, refused = [], 0
    for _ in range(400):
        spot, bit = dice.randrange(len(whole)), dice.randrange(8)
        copy.write_bytes(whole[:spot] + bytes([whole[spot] ^ 1 << bit]) + whole[spot + 1 :])
        try:
            with SqliteStore(copy, read_only=True) as store:
                if everything(store) != expected:
                    silent.append((spot, bit))
        except MachineError:
            refused += 1

    assert silent == []
    assert refused > 10


# Disks that fail, processes that die


def test_a_write_that_does_not_fit_leaves_the_run_as_it_was(store: SqliteStore, path: Path) -> None:
    lease = started(store)
    before = everything(store)
    size = path.with_name("runs.db-wal").stat().st_size
    with file_size_limit(size), pytest.raises(StoreError) as error:
        store.append(lease, snapshot_at(3), record_at(3))

    assert error.value.exit_code == 74
    assert error.value.next
    assert everything(store) == before
    store.append(lease, snapshot_at(3), record_at(3))
    assert store.load("run-1").head.seq == 3


def test_a_write_that_fits_in_part_leaves_the_run_as_it_was(store: SqliteStore, path: Path) -> None:
    lease = started(store)
    journal = path.with_name("runs.db-wal")
    for seq in range(3, 8):
        for room in range(0, 4096 * 3, 1500):
            before = store.load("run-1")
            with file_size_limit(journal.stat().st_size + room):
                try:
                    store.append(lease, snapshot_at(seq), record_at(seq))
                except StoreError:
                    assert store.load("run-1") == before
                else:
                    break
        if store.load("run-1").head.seq < seq:
            store.append(lease, snapshot_at(seq), record_at(seq))

    assert [record.seq for record in store.history("run-1")] == list(range(1, 8))


@pytest.mark.parametrize("wait_for", [2, 5, 17, 40])
def test_what_was_appended_when_a_process_was_killed_is_there(path: Path, wait_for: int) -> None:
    arguments = [sys.executable, "-c", APPEND, str(path), "1000000"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == f"{wait_for}\n":
                process.send_signal(signal.SIGKILL)
                break
        told = [line for line in process.stdout.read().split("\n") if line.isdigit()]
    last = int(told[-1]) if told else wait_for
    with SqliteStore(path) as store, store.lock("run-1") as lease:
        run = store.load("run-1")

        assert run.head.seq in (last, last + 1)
        assert run.snapshot == snapshot_at(run.head.seq)
        assert [record.seq for record in store.history("run-1")] == list(range(1, run.head.seq + 1))
        store.append(lease, snapshot_at(run.head.seq + 1), record_at(run.head.seq + 1))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_an_append_is_one_flush_of_one_file(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    traced = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", str(trace)]
    done = subprocess.run(
        [*traced, sys.executable, "-c", APPEND, str(path), "50"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"strace cannot trace here: {done.stderr.strip()[-80:]}")
    lines = trace.read_text().split("\n")
    begin = next(number for number, line in enumerate(lines) if '"begin\\n"' in line)
    end = next(number for number, line in enumerate(lines) if '"end\\n"' in line)
    flushes = [line for line in lines[begin:end] if "sync(" in line]

    assert len(flushes) == 50
    assert all("runs.db-wal" in line for line in flushes)


def test_a_store_used_after_it_was_closed_is_a_store_error(path: Path) -> None:
    store = SqliteStore(path)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.runs()


def test_a_store_used_by_another_thread_is_a_store_error(store: SqliteStore) -> None:
    errors: list[BaseException] = []

    def use() -> None:
        try:
            store.runs()
        except StoreError as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert len(errors) == 1


def test_an_interrupted_write_is_undone(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = started(store)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_add_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.append(lease, snapshot_at(3), record_at(3))

    monkeypatch.undo()
    assert store.load("run-1").snapshot == snapshot_at(2)
    store.append(lease, snapshot_at(3), record_at(3))


def test_a_second_runner_with_its_own_connection_is_fenced_off(store: SqliteStore) -> None:
    """As when the folder of the locks was deleted under a running process."""
    stale = started(store)
    with SqliteStore(store.path) as other, store.lock("run-1"):
        shutil.rmtree(f"{store.path}.locks")
        with other.lock("run-1") as fresh:
            other.append(fresh, snapshot_at(3), record_at(3))
        with pytest.raises(StoreError) as error:
            store.append(stale, snapshot_at(3), record_at(3))

    assert error.value.code == "AZM-T020"
    assert store.load("run-1").head.epoch == 2


def test_half_a_surrogate_pair_is_kept_in_whatever_a_run_stores(tmp_path: Path) -> None:
    odd = "cut \ud83d short"
    with SqliteStore(tmp_path / "runs.db") as store, store.lock("run-1") as lease:
        store.create(lease, replace(head_of(), options={"a": odd}), {}, snapshot_at(1, state=odd), record_at(1))
        store.keep(lease, {"body": odd})
        store.request_cancel("run-1", odd, 0.0)
        before, asked, kept = store.load("run-1"), store.cancel_requested("run-1"), store.kept("run-1")
        store.set_options(lease, {"b": odd})

        assert (before.head.options, before.snapshot) == ({"a": odd}, snapshot_at(1, state=odd))
        assert (asked, kept) == ("cut \\ud83d short", {"body": odd})
        assert store.load("run-1").head.options == {"b": odd}
