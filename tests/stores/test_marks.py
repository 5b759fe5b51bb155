"""A store that has fallen back behind what a run had reached is refused, whatever took it back."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from machine.errors import DamageError, StoreError
from machine.stores import Lease, SqliteStore
from machine.stores.marks import Reached, marked
from machine.testing.store_samples import head_of, record_at, snapshot_at

pytestmark = pytest.mark.no_history("the runs are samples, and the stores are damaged or put back")

RUN = "run-1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def note(path: Path) -> Path:
    return path.with_name("runs.db.marks") / RUN


def begin(store: SqliteStore, upto: int) -> None:
    with store.lock(RUN) as lease:
        store.create(lease, head_of(RUN), {}, snapshot_at(1), record_at(1))
        for seq in range(2, upto + 1):
            store.append(lease, snapshot_at(seq), record_at(seq))


def take_up(path: Path) -> None:
    with SqliteStore(path) as store, store.lock(RUN):
        pass


def killed_copy(store: SqliteStore, path: Path, to: Path) -> None:
    """What a killed process leaves: the file, its journal and the notes, while they are open."""
    for one in (path, path.with_name("runs.db-wal")):
        shutil.copy(one, to / one.name)
    shutil.copytree(path.with_name("runs.db.marks"), to / "runs.db.marks")


@pytest.fixture(params=["cut", "damaged", "gone"])
def fallen(request: pytest.FixtureRequest, path: Path, tmp_path: Path) -> Path:
    """A store whose last commits SQLite does not see any more."""
    folder = tmp_path / "killed"
    folder.mkdir()
    with SqliteStore(path) as store:
        begin(store, 4)
        killed_copy(store, path, folder)
    journal = folder / "runs.db-wal"
    content = bytearray(journal.read_bytes())
    if request.param == "cut":
        journal.write_bytes(content[: len(content) - 4096])
    elif request.param == "damaged":
        content[-100] ^= 1
        journal.write_bytes(content)
    else:
        journal.unlink()
    return folder / "runs.db"


def test_a_damaged_journal_takes_no_run_back_and_the_file_to_look_at_is_named(fallen: Path) -> None:
    with pytest.raises(DamageError, match="has fallen back") as caught:
        take_up(fallen)

    assert caught.value.code == "AZM-T026"
    assert caught.value.exit_code == 65
    assert caught.value.seen == str(fallen.with_name("runs.db.marks") / RUN)


def test_a_whole_store_is_taken_up_however_its_process_ended(path: Path, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    with SqliteStore(path) as store:
        begin(store, 3)
        killed_copy(store, path, killed)

    take_up(path)
    take_up(killed / "runs.db")


def test_an_older_copy_is_refused_until_somebody_says_that_it_counts(path: Path, tmp_path: Path, note: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, 2)
    shutil.copy(path, tmp_path / "older.db")
    with SqliteStore(path) as store, store.lock(RUN) as lease:
        store.append(lease, snapshot_at(3), record_at(3))
    shutil.copy(tmp_path / "older.db", path)

    with pytest.raises(DamageError, match="step 3 of attempt 1, and the store holds step 2 of attempt 1"):
        take_up(path)
    note.unlink()
    take_up(path)


WRITES: dict[str, Callable[[SqliteStore, Lease], None]] = {
    "append": lambda store, lease: store.append(lease, snapshot_at(3), record_at(3)),
    "restart": lambda store, lease: store.restart(lease, head_of(RUN), {}, snapshot_at(1), record_at(1)),
    "replan": lambda store, lease: store.replan(lease, head_of(RUN), {}, snapshot_at(3), record_at(3)),
    "mark_intent": lambda store, lease: store.mark_intent(lease, 2, 5.0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_nothing_that_was_written_can_be_taken_back(
    path: Path, tmp_path: Path, write: Callable[[SqliteStore, Lease], None]
) -> None:
    with SqliteStore(path) as store:
        begin(store, 2)
    shutil.copy(path, tmp_path / "before.db")
    with SqliteStore(path) as store, store.lock(RUN) as lease:
        write(store, lease)
    shutil.copy(path, tmp_path / "after.db")
    shutil.copy(tmp_path / "before.db", path)

    with pytest.raises(DamageError):
        take_up(path)
    shutil.copy(tmp_path / "after.db", path)
    take_up(path)


def test_a_run_that_was_only_begun_cannot_be_taken_back_either(path: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, 1)
    path.unlink()

    with pytest.raises(DamageError, match="had come to step 1 of attempt 1"):
        take_up(path)


def test_a_store_that_is_gone_does_not_make_its_runs_new(path: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, 2)
    path.unlink()

    with pytest.raises(DamageError, match="nothing of it"):
        take_up(path)


def test_an_intent_that_is_lost_is_noticed_too(path: Path, tmp_path: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, 2)
    shutil.copy(path, tmp_path / "before.db")
    with SqliteStore(path) as store, store.lock(RUN) as lease:
        store.mark_intent(lease, 2, 5.0)
    shutil.copy(tmp_path / "before.db", path)

    with pytest.raises(DamageError):
        take_up(path)


def test_a_new_attempt_is_further_than_the_last_one(path: Path, note: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, 3)
        with store.lock(RUN) as lease:
            store.restart(lease, head_of(RUN), {}, snapshot_at(1), record_at(1))

    take_up(path)
    with marked(note) as mark, pytest.raises(DamageError):
        mark.check(Reached(1, 3))


def test_a_run_that_was_forgotten_leaves_no_note(path: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, 3)
        with store.lock(RUN) as lease:
            store.delete(lease)
        begin(store, 1)

    take_up(path)


def test_a_copy_without_its_notes_is_taken_up(path: Path, note: Path) -> None:
    with SqliteStore(path) as store:
        begin(store, 2)
    shutil.rmtree(note.parent)

    take_up(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 64, b"1 99 0 00000000", b"\xff" * 64, b"x y z", b"1 99", b"9" * 5000], ids=repr
)
def test_a_note_that_cannot_be_read_is_none(note: Path, content: bytes) -> None:
    note.parent.mkdir()
    note.write_bytes(content)

    with marked(note) as mark:
        mark.check(None)
        mark.check(Reached(1, 1))


def test_a_note_is_only_for_its_owner_and_never_follows_a_link(note: Path, tmp_path: Path) -> None:
    with marked(note) as mark:
        mark.write(Reached(1, 2, 3))

    assert stat.S_IMODE(os.stat(note).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(note.parent).st_mode) == 0o700

    target = tmp_path / "target"
    target.write_bytes(b"precious")
    note.unlink()
    note.symlink_to(target)
    with pytest.raises(StoreError) as caught, marked(note):
        pass

    assert caught.value.code == "AZM-T027"
    assert target.read_bytes() == b"precious"


def test_a_note_that_cannot_be_written_stops_nothing(note: Path) -> None:
    with marked(note) as mark:
        reading = os.open(note, os.O_RDONLY)
        os.dup2(reading, mark._handle)
        os.close(reading)
        mark.write(Reached(1, 2))
        mark.check(None)


def test_a_note_is_let_go_of_after_its_block(note: Path) -> None:
    with marked(note) as mark:
        handle = mark._handle

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "planted").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError) as caught, marked(tmp_path / "planted" / "run"):
        pass

    assert caught.value.code == "AZM-T027"
    assert list((tmp_path / "elsewhere").iterdir()) == []
