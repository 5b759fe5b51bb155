"""What an endpoint of the simulated service is asked to be: configurations in, configurations out.

Pure values as they stand in the bodies of create and update; nothing here knows of states, requests or time.
"""

from __future__ import annotations

from typing import Any

__all__ = ["existing_config", "merged"]


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """An update lays the given fields over the stored ones; null means not given, except where it is a value."""
    result = dict(old)
    for key, item in new.items():
        if isinstance(item, dict) and isinstance(old.get(key), dict) and key not in {"image", "env", "secrets"}:
            result[key] = merged(old[key], item)
        elif key != "name" and (item is not None or key in {"revision", "scaleToZeroTimeout"}):
            result[key] = item
    return result


def existing_config(name: str, idle_after: int | None) -> dict[str, Any]:
    """Of an endpoint somebody else made. ``idle_after``: minutes until it is scaled to zero; None for never."""
    return {
        "name": name,
        "type": "public",
        "provider": {"vendor": "aws", "region": "us-east-1"},
        "compute": {
            "accelerator": "cpu",
            "instanceType": "intel-spr",
            "instanceSize": "x2",
            "scaling": {"minReplica": 1, "maxReplica": 1, "scaleToZeroTimeout": idle_after},
        },
        "model": {"repository": "gpt2", "revision": "main", "task": "text-generation", "framework": "pytorch"},
    }
