from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from machine.errors import BusyError, StoreError
from machine.stores import Holder, locks

HOLD = """
import sys
from pathlib import Path
from machine.stores.locks import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

CONTEND = """
import os, sys
from pathlib import Path
from machine.errors import BusyError
from machine.stores.locks import hold, holder
lock, mark = Path(sys.argv[1]), sys.argv[2]
won = 0
while won < 40:
    holder(lock)
    try:
        with hold(lock):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            os.unlink(mark)
            won += 1
    except BusyError:
        pass
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "runs.db.locks" / "run-1"


@contextmanager
def other_process(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its standard input ends."""
    arguments = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_with_the_pid_of_the_first(lock: Path) -> None:
    with other_process(lock) as process, pytest.raises(BusyError) as error, locks.hold(lock):
        pass

    assert f"run run-1 is held by process {process.pid} on {os.uname().nodename} since 2" in error.value.message
    assert error.value.exit_code == 75
    assert "show run-1" in error.value.next


def test_a_second_process_sees_who_holds_the_lock(lock: Path) -> None:
    with other_process(lock) as process:
        seen = locks.holder(lock)

    assert seen is not None
    assert (seen.pid, seen.host) == (process.pid, os.uname().nodename)


def test_the_lock_of_a_killed_process_is_free(lock: Path) -> None:
    with other_process(lock) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert locks.holder(lock) is None
        with locks.hold(lock) as mine:
            assert mine.pid == os.getpid()
            assert locks.holder(lock) == mine


def test_the_lock_of_a_stopped_process_is_not_free(lock: Path) -> None:
    with other_process(lock) as process:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(BusyError), locks.hold(lock):
            pass


def test_of_many_processes_one_holds_the_lock_at_a_time(lock: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", CONTEND, str(lock), str(tmp_path / "mark")]
    processes = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    outcomes = [(process.communicate()[1], process.returncode) for process in processes]

    assert outcomes == [("", 0)] * 4


def test_somebody_looking_at_a_lock_does_not_keep_others_from_taking_it(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locks.hold(lock):
        pass
    onlooker = os.open(lock, os.O_RDONLY)
    fcntl.flock(onlooker, fcntl.LOCK_SH)
    monkeypatch.setattr("machine.stores.locks.time.sleep", lambda _: fcntl.flock(onlooker, fcntl.LOCK_UN))
    try:
        with locks.hold(lock) as mine:
            assert locks.holder(lock) == mine
    finally:
        os.close(onlooker)


def test_who_waits_for_an_onlooker_holds_nothing_meanwhile(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locks.hold(lock):
        pass
    onlooker, third = os.open(lock, os.O_RDONLY), os.open(lock, os.O_RDONLY)
    fcntl.flock(onlooker, fcntl.LOCK_SH)
    taken = []

    def meanwhile(_: float) -> None:
        fcntl.flock(onlooker, fcntl.LOCK_UN)
        fcntl.flock(third, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken.append(third)
        fcntl.flock(third, fcntl.LOCK_UN)

    monkeypatch.setattr("machine.stores.locks.time.sleep", meanwhile)
    try:
        with locks.hold(lock):
            assert taken == [third]
    finally:
        os.close(onlooker)
        os.close(third)


def test_an_onlooker_that_never_goes_away_is_a_holder(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locks.hold(lock):
        pass
    onlooker = os.open(lock, os.O_RDONLY)
    fcntl.flock(onlooker, fcntl.LOCK_SH)
    monkeypatch.setattr("machine.stores.locks.time.sleep", lambda _: None)
    try:
        with pytest.raises(BusyError, match="another process"), locks.hold(lock):
            pass
    finally:
        os.close(onlooker)


def test_looking_at_a_lock_nobody_took_makes_no_file(lock: Path) -> None:
    assert locks.holder(lock) is None
    assert not lock.parent.exists()


def test_the_file_and_its_folder_are_private_whatever_the_umask(lock: Path) -> None:
    before = os.umask(0)
    try:
        with locks.hold(lock):
            pass
    finally:
        os.umask(before)

    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700


def test_a_released_lock_keeps_its_file_and_forgets_its_holder(lock: Path) -> None:
    with locks.hold(lock):
        inode = lock.stat().st_ino
    with locks.hold(lock):
        assert lock.stat().st_ino == inode

    assert lock.read_bytes() == b""


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff",
        b"null",
        b"{}",
        b'{"pid": "x", "host": 1, "since": 2}',
        b'{"pid": 1, "host": "h", "since": 1e999}',
        b'{"pid": 1, "host": "h", "since": "now"}',
        b"[" * 2000,
    ],
)
def test_a_note_that_says_nothing_still_leaves_the_run_held(lock: Path, note: bytes) -> None:
    with locks.hold(lock):
        lock.write_bytes(note)

        assert locks.holder(lock) == Holder()
        with pytest.raises(BusyError, match="held by another process"), locks.hold(lock):
            pass


def test_a_note_that_cannot_be_written_does_not_keep_a_run_from_starting(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("machine.stores.locks.os.pwrite", full)
    with locks.hold(lock):
        assert locks.holder(lock) == Holder()


def test_a_link_in_the_place_of_a_lock_is_not_followed(lock: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep me")
    lock.parent.mkdir()
    lock.symlink_to(target)
    with pytest.raises(StoreError) as taking, locks.hold(lock):
        pass
    with pytest.raises(StoreError):
        locks.holder(lock)

    assert taking.value.code == "AZM-T023"
    assert target.read_text() == "keep me"


def test_a_lock_beside_a_store_without_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as error, locks.hold(tmp_path / "none" / "locks" / "run-1"):
        pass

    assert error.value.exit_code == 74


def test_a_file_system_without_locks_is_refused(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("machine.stores.locks.fcntl.flock", unsupported)
    with pytest.raises(StoreError, match="No locks available"), locks.hold(lock):
        pass


def test_a_folder_of_locks_that_is_a_link_is_not_followed(lock: Path, tmp_path: Path) -> None:
    other = tmp_path / "of-somebody-else"
    other.mkdir()
    lock.parent.symlink_to(other)
    with pytest.raises(StoreError) as taking, locks.hold(lock):
        pass

    assert taking.value.code == "AZM-T023"
    assert list(other.iterdir()) == []


def opened(folder: Path) -> list[str]:
    """What this process has open in a folder, or the folder itself."""
    found = []
    for one in os.listdir("/proc/self/fd"):
        # The descriptor of the listing itself has gone when it is looked at.
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{one}"))
    return [one for one in found if Path(one).is_relative_to(folder)]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="what a process has open is not listed here")
def test_a_lock_that_was_let_go_leaves_nothing_open(lock: Path) -> None:
    with locks.hold(lock):
        held = opened(lock.parent)

    assert str(lock) in held
    assert opened(lock.parent) == []
