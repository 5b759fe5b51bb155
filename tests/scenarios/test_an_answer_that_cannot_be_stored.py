"""The disk fills up while a create is under way: its answer is said, left in a file, and settles the doubt later."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux changes the limits of another process"),
]


def test_the_only_copy_of_an_answer_is_not_lost(
    shell: Any, told: Any, deploy: Any, canary: str, tmp_path: Path
) -> None:
    def fill() -> None:
        # From here on the store's journal cannot grow; a small file of another name can still be written.
        size = (tmp_path / "runs.db-wal").stat().st_size
        resource.prlimit(runner.pid, resource.RLIMIT_FSIZE, (size, size))

    told.hold = "POST"
    runner = shell.start("run", *deploy, "--server", told.url, "--id", "one", "--json")
    assert told.arrived.wait(30)
    fill()
    told.release.set()
    ended = runner.end()
    told.hold = ""
    (line,) = [one for one in ended.err.splitlines() if one.startswith("{")]
    rescued = tmp_path / "runs.db.one.reply.json"
    doubtful = shell.show("one")
    settled = shell("resolve", "one", "--reply", rescued.name, "--json")
    resumed = shell("resume", "one", "--poll-interval", "0s", "--json")

    assert ended.code == 74
    assert ended.json["error"]["answer"] == json.loads(line)
    assert json.loads(line)["command"] == "arazzo-machine resolve one --reply FILE"
    assert json.loads(line)["body"]["name"] == "demo"
    assert json.loads(rescued.read_text()) == json.loads(line)
    assert rescued.stat().st_mode & 0o777 == 0o600
    assert canary not in ended.err + ended.out + rescued.read_text()
    assert [one["outcome"] for one in doubtful["effects"]] == ["unknown"]
    assert (settled.code, settled.json["effects"][0]["identity"]["endpointName"]) == (0, "demo")
    assert (resumed.code, told.posts) == (0, 1)


def test_a_disk_that_is_full_before_it_sends_nothing(shell: Any, told: Any, deploy: Any) -> None:
    under = ["/bin/sh", "-c", 'ulimit -f 4; exec "$@"', "sh"]
    ended = shell.start("run", *deploy, "--server", told.url, "--id", "one", "--json", under=under).end()
    resumed = shell("run", *deploy, "--server", told.url, "--id", "one", "--poll-interval", "0s", "--json")

    assert ended.code == 74
    assert os.path.exists(shell.store)
    assert (resumed.code, told.posts) == (0, 1)
