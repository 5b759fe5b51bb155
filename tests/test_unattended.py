"""What runs without anybody: the action, the image, and the examples for cron, systemd, CI and Kubernetes.

None of them can be run where they belong, so each is held to what can be: the commands in them are read by the command
line itself, and the script of the action is run against the simulator.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
import yaml

from machine.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "how-to" / "unattended.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
YAML = {text.splitlines()[0].removeprefix("# "): yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"}
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, re.MULTILINE)


def read(words: list[str]) -> dict[str, Any]:
    """A command as the command line reads it; it refuses what it would refuse of a user."""
    verb, *arguments = words
    command = app.get_command(click.Context(app), verb)
    assert command is not None, verb
    with command.make_context(verb, arguments, parent=click.Context(app)) as context:
        return dict(context.params)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_every_command_in_a_text_block_is_read_by_the_command_line() -> None:
    lines = [line for kind, text in BLOCKS if kind == "text" for line in text.splitlines() if "arazzo-machine" in line]
    given = [read(shlex.split(line.partition("arazzo-machine ")[2])) for line in lines]

    assert [one["run_id"] for one in given] == ["deploy-main", "by-cron"]
    assert given[1]["once"]
    assert re.match(r"(\S+ ){4}\S+  ", lines[1]), "five fields of cron"


def test_the_systemd_unit_restarts_on_what_can_go_on_and_on_nothing_else() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(next(text for kind, text in BLOCKS if kind == "ini"))
    service = unit["Service"]
    program, *words = shlex.split(service["ExecStart"])

    assert program == "arazzo-machine"
    assert read(words)["run_id"] == "by-systemd"
    assert {int(one) for one in service["RestartPreventExitStatus"].split()} == FINAL


def test_the_kubernetes_job_fails_on_what_cannot_go_on_and_runs_as_the_image_does() -> None:
    pod = YAML["job.yaml"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    rule = YAML["job.yaml"]["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]
    given = read(container["args"])

    assert given["run_id"] == "by-kubernetes"
    assert set(rule["values"]) == FINAL
    assert pod["securityContext"]["runAsNonRoot"]
    assert str(pod["securityContext"]["runAsUser"]) == dict(INSTRUCTIONS)["USER"].partition(":")[0]
    store = next(one["value"] for one in container["env"] if one["name"] == "ARAZZO_MACHINE_STORE")
    assert store.startswith(container["volumeMounts"][0]["mountPath"] + "/")


FINAL = {10, 11, 13, 14, 64, 65, 78}
"""The exit codes after which typing the same command again does not help."""


def test_the_page_tells_of_every_code_after_which_a_person_is_asked() -> None:
    rows = re.findall(r"^\|([\d, ]+)\| tell", PAGE, re.MULTILINE)

    assert {int(number) for row in rows for number in re.findall(r"\d+", row)} == FINAL


# -- the action --------------------------------------------------------------------------------------------------------


def test_the_example_gives_the_action_what_it_takes() -> None:
    steps = YAML[".github/workflows/deploy.yml"]["jobs"]["deploy"]["steps"]
    given = next(one["with"] for one in steps if "arazzo-machine@" in one.get("uses", ""))
    assert YAML[".github/workflows/deploy.yml"]["concurrency"]["cancel-in-progress"] is False
    required = {name for name, one in ACTION["inputs"].items() if one.get("required")}

    assert required <= set(given) <= set(ACTION["inputs"])


def test_nothing_that_is_given_stands_in_a_script() -> None:
    assert [one["name"] for one in ACTION["runs"]["steps"] if "${{" in one.get("run", "")] == []


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "code", "phase"), [("happy", 0, "ready"), ("failed-image", 10, "failed")])
def test_the_script_of_the_action_runs_and_leaves_outputs_summary_and_report(
    tmp_path: Path, scenario: str, code: int, phase: str
) -> None:
    step = next(one for one in ACTION["runs"]["steps"] if one.get("id") == "run")
    given = {name: one.get("default", "") for name, one in ACTION["inputs"].items()}
    given |= {
        "document": "deploy-inference-endpoint",
        "id": "it is; touch hacked",
        "inputs": "namespace=acme\nname=demo\nrepository=gpt2\n",
        "arguments": f"--simulate={scenario}\n--poll-interval=0s\n",
    }
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "arazzo-machine").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m machine "$@"\n')
    (programs / "arazzo-machine").chmod(0o700)
    (programs / "python").symlink_to(sys.executable)

    def run(run_id: str) -> int:
        values = {**given, "id": run_id}
        named = {name: text.removeprefix("${{ inputs.").removesuffix(" }}") for name, text in step["env"].items()}
        environment = {
            **os.environ,
            **{name: values[one] for name, one in named.items()},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
        return subprocess.run(command, cwd=tmp_path, env=environment, timeout=60, check=False).returncode

    assert run("it is; touch hacked") == 64
    assert not (tmp_path / "hacked").exists()
    (tmp_path / "output").unlink()
    assert run("deploy-main") == code
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert (outputs["exit-code"], outputs["phase"]) == (str(code), phase)
    assert json.loads(outputs["result"])["run"] == "deploy-main"
    assert set(outputs) == set(ACTION["outputs"])
    assert (tmp_path / "summary.md").read_text().startswith("## deploy-inference-endpoint: ")
    assert ElementTree.parse(tmp_path / given["report"]).getroot().get("failures") == str(int(code != 0))
    assert (tmp_path / given["store"]).is_file()


def test_what_the_action_keeps_is_where_it_writes() -> None:
    kept = {one["with"]["path"] for one in ACTION["runs"]["steps"] if "cache" in one.get("uses", "")}
    saves = [one for one in ACTION["runs"]["steps"] if "cache/save" in one.get("uses", "")]

    assert {Path(ACTION["inputs"][name]["default"]).parts[0] for name in ("store", "report")} == kept
    assert [one["if"] for one in saves] == ["always()"]


# -- the image ---------------------------------------------------------------------------------------------------------


def test_the_image_runs_the_command_as_a_user_that_is_not_root() -> None:
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    last = dict(INSTRUCTIONS)

    assert json.loads(last["ENTRYPOINT"])[0] in script
    assert last["USER"].partition(":")[0].isdecimal()
    assert int(last["USER"].partition(":")[0]) > 0
    assert all(":" in text and not text.endswith(":latest") for name, text in INSTRUCTIONS if name == "FROM")


def test_the_image_is_made_of_files_that_are_there_and_let_in() -> None:
    copied = [
        one for name, text in INSTRUCTIONS if name == "COPY" and "--from" not in text for one in text.split()[:-1]
    ]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert set(copied) == let_in
    assert [one for one in copied if not (ROOT / one).exists()] == []
