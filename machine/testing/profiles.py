"""The three descriptions of the Inference Endpoints API that exist side by side, and what each accepts in a create.

Makes the first refusal of a create body from the body and a profile. Texts of refusals are worded as the service
words them. It keeps no state and does no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from ..errors import UsageError
from .scenarios import near_matches

__all__ = ["PROFILES", "Profile", "find_profile", "first_problem", "provider_listing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One description of the API; a client must take nothing for sure in which these differ."""

    name: str
    summary: str
    create_status: int
    types: tuple[str, ...]
    required: frozenset[str]
    """Dotted paths required of a create body in addition to those every profile requires."""
    nullable: frozenset[str] = frozenset()
    early_url: bool = True
    """Whether ``status.url`` has a text before the endpoint is running."""
    delete_body: bytes = b"{}"
    status_in_errors: bool = False
    """Whether an error body has ``statusCode`` beside ``error``."""


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(
                name="published",
                summary="the widely copied third-party description: create answers 201, model.task is required",
                create_status=201,
                types=("public", "protected", "private"),
                required=frozenset({"model.task"}),
                delete_body=b"",
                status_in_errors=True,
            ),
            Profile(
                name="live",
                summary="the service's own description 2.0.0: create answers 200, model.image is required",
                create_status=200,
                types=("public", "authenticated", "private"),
                required=frozenset({"model.framework", "model.image"}),
            ),
            Profile(
                name="legacy",
                summary="the service's own description 0.1.0: create answers 202, status.url is null until running",
                create_status=202,
                types=("public", "protected", "private"),
                required=frozenset({"model.image"}),
                nullable=frozenset({"model.task"}),
                early_url=False,
            ),
        )
    }
)


def find_profile(name: str) -> Profile:
    """The profile of that name; UsageError (AZM-U702) with near matches when there is none."""
    profile = PROFILES.get(name)
    if profile is None:
        raise UsageError(
            f"there is no profile of that name; {near_matches(name, PROFILES)}",
            code="AZM-U702",
            seen=name,
            next="choose one of the profiles that are listed",
        )
    return profile


_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}[a-z0-9]")
_IMAGES_WITHOUT_URL: Final = frozenset({"huggingface", "huggingfaceNeuron"})
_IMAGES: Final = _IMAGES_WITHOUT_URL | {
    *("tgi", "tgiNeuron", "tei", "llamacpp", "vLLM", "vLLMOmni", "vLLMNeuron", "sGLang", "hfServe", "custom")
}
_HARDWARE: Final = {
    (vendor, region, accelerator, kind): sizes
    for vendor, region, accelerator, kind, sizes in (
        ("aws", "us-east-1", "cpu", "intel-spr", ("x1", "x2", "x4", "x8")),
        ("aws", "us-east-1", "gpu", "nvidia-t4", ("x1", "x4")),
        ("aws", "us-east-1", "gpu", "nvidia-l4", ("x1", "x4")),
        ("aws", "us-east-1", "gpu", "nvidia-a100", ("x1", "x2", "x4", "x8")),
        ("aws", "eu-west-1", "cpu", "intel-spr", ("x1", "x2", "x4")),
        ("azure", "eastus", "cpu", "intel-spr", ("x1", "x2")),
        ("gcp", "us-east4", "gpu", "nvidia-l4", ("x1", "x4")),
    )
}
_TYPE_NAMES: Final[Mapping[type, str]] = {str: "string", int: "integer", dict: "object", list: "array"}
_FIELDS: Final[tuple[tuple[str, type, str], ...]] = (
    ("name", str, "required"),
    ("type", str, "required"),
    ("provider", dict, "required"),
    ("provider.vendor", str, "required"),
    ("provider.region", str, "required"),
    ("compute", dict, "required"),
    ("compute.accelerator", str, "required"),
    ("compute.instanceType", str, "required"),
    ("compute.instanceSize", str, "required"),
    ("compute.scaling", dict, "required"),
    ("compute.scaling.minReplica", int, "required"),
    ("compute.scaling.maxReplica", int, "required"),
    ("compute.scaling.scaleToZeroTimeout", int, "nullable"),
    ("model", dict, "required"),
    ("model.repository", str, "required"),
    ("model.framework", str, "optional"),
    ("model.image", dict, "optional"),
    ("model.task", str, "optional"),
    ("model.revision", str, "nullable"),
    ("model.env", dict, "optional"),
    ("model.secrets", dict, "optional"),
    ("tags", list, "optional"),
)


def first_problem(config: Mapping[str, Any], profile: Profile) -> str:
    """The text of the 400 for a create body (or a merged update), empty when it is fine.

    The order is: fields, types, image, hardware, name.
    """
    return next(_problems(config, profile), "")


def _problems(config: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    """Each check may rely on all checks before it having passed: only the first problem counts."""
    for path, kind, rule in _FIELDS:
        *parents, key = path.split(".")
        holder: Any = config  # every parent stands above its children in the table, and is required
        for parent in parents:
            holder = holder.get(parent, {})
        if key not in holder:
            if rule == "required" or path in profile.required:
                yield f"VALIDATION_FAILED: {'.'.join(parents) + ': ' if parents else ''}missing field `{key}`"
            continue
        value = holder[key]
        if value is None:
            if rule != "nullable" and path not in profile.nullable:
                yield f"Failed to parse the request body as JSON: {path}: expected value"
        elif not isinstance(value, kind) or isinstance(value, bool):
            yield f"VALIDATION_FAILED: {path}: invalid type, expected {_TYPE_NAMES[kind]}"
        elif isinstance(value, int) and value < 0:
            yield f"VALIDATION_FAILED: {path}: invalid value `{value}`, expected 0 or more"
    if config["type"] not in profile.types:
        known = ", ".join(f"`{name}`" for name in profile.types)
        yield f"VALIDATION_FAILED: type: unknown variant `{config['type']}`, expected one of {known}"
    scaling = config["compute"]["scaling"]
    if scaling["maxReplica"] < max(1, scaling["minReplica"]):
        yield "VALIDATION_FAILED: compute.scaling.maxReplica: must be at least 1 and not below minReplica"
    yield from _image_problems(config["model"].get("image"))
    provider, compute = config["provider"], config["compute"]
    place = (provider["vendor"], provider["region"], compute["accelerator"], compute["instanceType"])
    if compute["instanceSize"] not in _HARDWARE.get(place, ()):
        yield (
            f"Instance compute '{compute['accelerator'].capitalize()}' - '{compute['instanceType']}' - "
            f"'{compute['instanceSize']}' in '{provider['vendor']}' - '{provider['region']}' not found"
        )
    if not _NAME.fullmatch(config["name"]):
        yield "VALIDATION_FAILED: name: 2 to 32 lowercase letters, digits or '-', not at the start or the end"


def _image_problems(image: dict[str, Any] | None) -> Iterator[str]:
    if image is None:
        return
    if len(image) != 1 or not image.keys() <= _IMAGES:
        yield "VALIDATION_FAILED: model.image: expected exactly one known image"
        return
    ((kind, content),) = image.items()
    if not isinstance(content, dict):
        yield f"VALIDATION_FAILED: model.image.{kind}: invalid type, expected object"
    elif kind not in _IMAGES_WITHOUT_URL and not isinstance(content.get("url"), str):
        yield f"VALIDATION_FAILED: model.image.{kind}: missing field `url`"


def provider_listing(profile: Profile) -> dict[str, Any]:
    """The body of GET /v2/provider: the hardware a create may ask for."""
    regions: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (vendor, region, accelerator, kind), sizes in _HARDWARE.items():
        computes = regions.setdefault(vendor, {}).setdefault(region, [])
        for size in sizes:
            compute = {"accelerator": accelerator, "instanceType": kind, "instanceSize": size}
            computes.append({"id": f"{vendor}-{region}-{kind}-{size}", **compute, "status": "available"})
    if profile.name == "published":
        items = [
            {"vendor": vendor, "region": region, "status": "available", "accelerators": computes}
            for vendor, places in regions.items()
            for region, computes in places.items()
        ]
        return {"items": items}
    vendors = [
        {
            "name": vendor,
            "status": "available",
            "regions": [
                {"name": region, "label": region, "status": "available", "computes": computes}
                for region, computes in places.items()
            ],
        }
        for vendor, places in regions.items()
    ]
    return {"vendors": vendors}
