"""The create body against each of the three descriptions."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from machine.errors import UsageError
from machine.testing.profiles import PROFILES, find_profile, first_problem, provider_listing

MISSING = object()


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the body with one dotted path set, or removed."""
    body = copy.deepcopy(body)
    *parents, key = path.split(".")
    holder = body
    for parent in parents:
        holder = holder[parent]
    if value is MISSING:
        del holder[key]
    else:
        holder[key] = value
    return body


@pytest.mark.parametrize("profile", PROFILES)
def test_a_full_body_is_fine_everywhere(profile: str, create_body: dict[str, Any]) -> None:
    assert first_problem(create_body, PROFILES[profile]) == ""


@pytest.mark.parametrize(
    ("profile", "path", "value", "text"),
    [
        ("published", "model.image", MISSING, ""),
        ("live", "model.image", MISSING, "VALIDATION_FAILED: model: missing field `image`"),
        ("legacy", "model.image", MISSING, "VALIDATION_FAILED: model: missing field `image`"),
        ("published", "model.task", MISSING, "VALIDATION_FAILED: model: missing field `task`"),
        ("live", "model.task", MISSING, ""),
        ("legacy", "model.task", MISSING, ""),
        ("live", "model.task", None, "Failed to parse the request body as JSON: model.task: expected value"),
        ("legacy", "model.task", None, ""),
        ("published", "model.framework", MISSING, ""),
        ("live", "model.framework", MISSING, "VALIDATION_FAILED: model: missing field `framework`"),
        ("published", "type", "protected", ""),
        ("live", "type", "protected", "VALIDATION_FAILED: type: unknown variant `protected`"),
        ("published", "type", "authenticated", "VALIDATION_FAILED: type: unknown variant `authenticated`"),
        ("live", "type", "authenticated", ""),
        ("published", "name", MISSING, "VALIDATION_FAILED: missing field `name`"),
        ("published", "name", "Not-Allowed", "VALIDATION_FAILED: name: 2 to 32"),
        ("published", "name", "x" * 33, "VALIDATION_FAILED: name: 2 to 32"),
        ("published", "name", "ends-in-newline\n", "VALIDATION_FAILED: name: 2 to 32"),
        ("published", "name", 7, "VALIDATION_FAILED: name: invalid type, expected string"),
        ("published", "provider", [], "VALIDATION_FAILED: provider: invalid type, expected object"),
        ("published", "compute.instanceType", MISSING, "VALIDATION_FAILED: compute: missing field `instanceType`"),
        ("published", "compute.instanceType", None, "Failed to parse the request body as JSON: compute.instanceType"),
        ("published", "compute.instanceSize", 2, "VALIDATION_FAILED: compute.instanceSize: invalid type"),
        ("published", "compute.scaling.minReplica", True, "VALIDATION_FAILED: compute.scaling.minReplica: invalid"),
        ("published", "compute.scaling.minReplica", -1, "VALIDATION_FAILED: compute.scaling.minReplica: invalid value"),
        ("published", "compute.scaling.maxReplica", 0, "VALIDATION_FAILED: compute.scaling.maxReplica: must be"),
        ("published", "compute.scaling.scaleToZeroTimeout", None, ""),
        ("live", "model.image", {"vLLM": {}}, "VALIDATION_FAILED: model.image.vLLM: missing field `url`"),
        ("live", "model.image", {}, "VALIDATION_FAILED: model.image: expected exactly one"),
        ("live", "model.image", {"tgi": 1}, "VALIDATION_FAILED: model.image.tgi: invalid type"),
        ("live", "model.image", {"vLLM": {"url": "registry/image"}}, ""),
        ("live", "model.secrets", None, "Failed to parse the request body as JSON: model.secrets: expected value"),
        ("live", "provider.region", "mars", "Instance compute 'Cpu' - 'intel-spr' - 'x2' in 'aws' - 'mars' not found"),
    ],
)
def test_the_first_problem_is_told_in_the_words_of_the_service(
    profile: str, path: str, value: Any, text: str, create_body: dict[str, Any]
) -> None:
    found = first_problem(changed(create_body, path, value), PROFILES[profile])

    assert found.startswith(text)
    assert bool(found) == bool(text)


@pytest.mark.parametrize("path", ["model", "compute.scaling", "compute", "provider", "type", "name"])
def test_every_field_may_be_missing_or_of_any_type_without_an_exception(path: str, create_body: dict[str, Any]) -> None:
    for value in (MISSING, None, 1, "text", [], {}, True):
        found = first_problem(changed(create_body, path, value), PROFILES["live"])

        assert found or value == "text"


@pytest.mark.parametrize(("kind", "size"), [("intel-spr", "x1"), ("intel-spr", "x2"), ("intel-spr", "x4")])
def test_common_hardware_is_known(kind: str, size: str, create_body: dict[str, Any]) -> None:
    body = changed(changed(create_body, "compute.instanceType", kind), "compute.instanceSize", size)

    assert first_problem(body, PROFILES["published"]) == ""


def test_a_gpu_is_known_under_its_accelerator_only(create_body: dict[str, Any]) -> None:
    body = changed(changed(create_body, "compute.instanceType", "nvidia-t4"), "compute.instanceSize", "x1")

    assert first_problem(body, PROFILES["published"]).startswith("Instance compute 'Cpu' - 'nvidia-t4' - 'x1'")
    assert first_problem(changed(body, "compute.accelerator", "gpu"), PROFILES["published"]) == ""


def test_hardware_is_told_before_the_name(create_body: dict[str, Any]) -> None:
    body = changed(changed(create_body, "name", "NO"), "compute.instanceSize", "x3")

    assert first_problem(body, PROFILES["published"]).startswith("Instance compute")


def test_the_provider_listing_has_the_shape_of_the_profile() -> None:
    assert provider_listing(PROFILES["published"])["items"][0]["vendor"] == "aws"
    assert provider_listing(PROFILES["live"])["vendors"][0]["regions"][0]["name"] == "us-east-1"


def test_an_unknown_profile_is_refused_with_near_matches() -> None:
    with pytest.raises(UsageError, match="did you mean live") as caught:
        find_profile("life")

    assert caught.value.code == "AZM-U702"
