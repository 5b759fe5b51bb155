"""What a release contains: built once from this checkout, without the network, and looked into."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email import message_from_bytes
from importlib.metadata import requires
from pathlib import Path, PurePosixPath
from posixpath import normpath

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("workflows/arazzo", "workflows/openapi")

MOST = 25
"""Distributions of the core install."""

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The members of both archives: path inside the archive (without the sdist's own top folder) to content."""

    wheel: dict[str, bytes]
    sdist: dict[str, bytes]

    def info(self, name: str) -> bytes:
        """The file of the wheel's dist-info folder with that name."""
        return next(data for path, data in self.wheel.items() if path.endswith(f".dist-info/{name}"))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The sdist of this checkout, and the wheel built from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert built.returncode == 0, built.stdout + built.stderr

    (wheel_path,) = out.glob("*.whl")
    (sdist_path,) = out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel_path) as wheel:
        wheel_files = {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}
    sdist_files = {}
    with tarfile.open(sdist_path) as sdist:
        for member in sdist.getmembers():
            content = sdist.extractfile(member)
            if content is not None:
                sdist_files[member.name.partition("/")[2]] = content.read()
    return Release(wheel=wheel_files, sdist=sdist_files)


def test_the_wheel_holds_the_package_and_its_metadata_and_nothing_else(release: Release) -> None:
    top = {PurePosixPath(path).parts[0] for path in release.wheel}
    info = {name for name in top if name.endswith(".dist-info")}

    assert len(info) == 1
    assert top - info == {"machine"}


def test_the_wheel_holds_every_source_file_and_no_test(release: Release) -> None:
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "machine").rglob("*.py")}
    shipped = {path for path in release.wheel if path.endswith(".py")}

    assert shipped == code
    assert not [path for path in release.wheel if PurePosixPath(path).name.startswith(("test_", "conftest"))]


def test_the_wheel_says_that_it_is_typed(release: Release) -> None:
    assert "machine/py.typed" in release.wheel


def test_the_library_is_shipped_byte_for_byte_inside_the_package(release: Release) -> None:
    expected = {
        path.relative_to(ROOT / "workflows").as_posix(): path.read_bytes()
        for folder in SHIPPED
        for path in (ROOT / folder).iterdir()
    }
    library = {
        path.removeprefix("machine/_library/"): data
        for path, data in release.wheel.items()
        if path.startswith("machine/_library/")
    }

    assert expected
    assert library == expected


def test_every_shipped_workflow_finds_its_sources_inside_the_wheel(release: Release) -> None:
    sought = []
    for path, data in release.wheel.items():
        if path.startswith("machine/_library/arazzo/"):
            folder = str(PurePosixPath(path).parent)
            sources = yaml.safe_load(data)["sourceDescriptions"]
            sought += [normpath(f"{folder}/{source['url']}") for source in sources]

    assert sought
    assert [path for path in sought if path not in release.wheel] == []


def test_the_command_is_an_entry_point(release: Release) -> None:
    points = configparser.ConfigParser()
    points.read_string(release.info("entry_points.txt").decode())

    assert dict(points["console_scripts"]) == {"arazzo-machine": "machine.__main__:main"}


def test_the_metadata_says_what_it_needs_and_what_is_optional(release: Release) -> None:
    metadata = message_from_bytes(release.info("METADATA"))
    asked = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    core = {one.name for one in asked if one.marker is None}

    assert (metadata["Name"], metadata["Requires-Python"]) == ("arazzo-machine", ">=3.11")
    assert set(metadata.get_all("Provides-Extra", [])) == {"all", "crypto", "dev", "diagrams", "testing", "xml"}
    assert core == {
        *("click", "durationpy", "jsonpath-rfc9535", "jsonschema", "python-statemachine"),
        *("pyyaml", "regex", "requests", "structlog"),
    }
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True) == (ROOT / "README.md").read_bytes()


def test_the_core_install_is_small() -> None:
    """Counted in what is installed here, by what each distribution says it needs on this interpreter."""

    def needed(name: str, extras: frozenset[str]) -> None:
        for text in requires(name) or ():
            one = Requirement(text)
            wanted = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras or {""})
            if wanted and canonicalize_name(one.name) not in found:
                found.add(canonicalize_name(one.name))
                needed(one.name, frozenset(one.extras))

    found = {"arazzo-machine"}
    needed("arazzo-machine", frozenset())

    assert {"click", "urllib3"} <= found
    assert "hypothesis" not in found
    assert len(found) <= MOST


def test_the_licence_goes_with_the_code(release: Release) -> None:
    metadata = message_from_bytes(release.info("METADATA"))

    assert metadata["License-Expression"] == "Apache-2.0"
    assert release.info("licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert release.sdist["LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_can_be_tested_but_carries_no_machinery_of_ours(release: Release) -> None:
    top = {PurePosixPath(path).parts[0] for path in release.sdist}

    assert top - {"Dockerfile", ".dockerignore", "action.yml"} == {
        *("machine", "tests", "workflows", "diagrams", "docs"),
        *("pyproject.toml", "PKG-INFO", "Makefile", "LICENSE", ".gitignore"),
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "DECISIONS.md", "SECURITY.md"),
    }
    assert not [path for path in release.sdist if path.endswith((".pyc", ".db", ".log"))]


@pytest.mark.parametrize("folder", ["workflows", "diagrams"])
def test_a_data_folder_holds_no_python(release: Release, folder: str) -> None:
    checkout = [path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py*")]
    archive = [path for path in release.sdist if path.startswith(f"{folder}/") and ".py" in PurePosixPath(path).suffix]

    assert checkout == []
    assert archive == []
