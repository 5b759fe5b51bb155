"""``resume --use-edited``: the document of a run read again from where it was, and what it says otherwise, in words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import options as flags
from .calling import reading_of

if TYPE_CHECKING:
    from ..chart.snapshot import Record
    from ..library import Files
    from ..plan.model import Plan
    from ..runtime.edited import Edited
    from ..stores.base import RunHead, StoredRun
    from .progress import Progress

__all__ = ["edited_of", "edits_of", "read_edited", "reading"]


def reading(target: str, given: Mapping[str, Any], files: Files) -> dict[str, Any]:
    """How a document was read, kept as an option of its run so that it can be read so again."""
    return {
        "target": target,
        "folder": _here(),
        "sources": flags.pairs(given["sources"], "--source"),
        "overlay": str(given["overlay"] or ""),
        "strict": given["strict"],
        "unmatched": given["unmatched"],
        "allow_sources": list(given["allow_sources"]),
        "digests": files.digests,
    }


def read_edited(head: RunHead, path: Path | None, given: Mapping[str, Any]) -> Edited:
    """What the document of a run says now; ``path`` where it is another file. Its workflow is the same one. ``given``
    says how sources at URLs are fetched.

    Raises UsageError AZM-U097 where nobody noted where it was, and what a document raises that cannot be compiled.
    """
    from ..library import Files, load
    from ..plan.build import build_plan
    from ..runtime.edited import Edited

    kept = head.options.get("read_from")
    if kept is None and path is None:
        raise UsageError(
            f"nobody noted where the document of run {head.id} was",
            code="AZM-U097",
            next="say where it is now: --use-edited --document PATH",
        )
    kept = kept or {"folder": "", "sources": {}, "overlay": "", "strict": False, "unmatched": None, "allow_sources": []}
    if path is not None:
        kept = {**_from_anywhere(kept), "target": str(path), "folder": _here()}
    files = Files(kept["folder"])
    description = load(
        path or kept["target"],
        sources=kept["sources"],
        overlay=kept["overlay"],
        strict=kept["strict"],
        files=files,
        **reading_of({**given, "allow_sources": kept["allow_sources"]}),
    )
    plan = build_plan(description, workflow=head.workflow, unmatched=kept["unmatched"], strict=kept["strict"])
    read_from = {**kept, "digests": files.digests}
    return Edited(plan=plan, texts=description.texts, read_from=read_from)


def _from_anywhere(kept: Mapping[str, Any]) -> dict[str, Any]:
    """What was named beside the document was named from the folder it was read in; URLs are the same everywhere."""
    from ..sources.resolve import is_remote

    def whole(name: str) -> str:
        return os.path.join(kept["folder"], name) if name and not is_remote(name) else name

    sources = {name: whole(one) for name, one in kept["sources"].items()}
    return {**kept, "sources": sources, "overlay": whole(kept["overlay"])}


def edited_of(
    stored: StoredRun, plan: Plan, given: Mapping[str, Any], progress: Progress
) -> tuple[Edited | None, dict[str, Any]]:
    """What ``resume`` goes on with where it was told to use the edited document, and what is said of it in JSON. Its
    difference is told before anything is done; without the flag, that there is one."""
    from ..runtime.result import is_resumable

    goes_on = is_resumable(stored.snapshot)
    if not given["use_edited"]:
        for name in _differing(stored.head) if goes_on and not given["quiet"] else ():
            progress.line(f"note: {name} was edited; the run goes on with what is stored (--use-edited takes it up)")
        return None, {}
    if not goes_on:
        progress.line(f"note: run {stored.head.id} has ended, so an edited document changes nothing")
        return None, {}
    edited = read_edited(stored.head, given["document"], given)
    before, after, difference = plan.sha256, edited.plan.sha256, edited.difference(plan)
    progress.line(f"the document was edited: plan {before[:12]} becomes {after[:12]}")
    for change in difference.changes:
        progress.line(f"  {change}")
    if not difference.changes:
        progress.line("  the machine does nothing otherwise")
    return edited, {"edited": {"before": before, "after": after, **difference.to_json()}}


def _differing(head: RunHead) -> list[str]:
    """The files a run was read from in which something else is now."""
    from ..library import Files

    kept = head.options.get("read_from")
    if not kept:
        return []
    files = Files(kept["folder"])
    files.digests = dict(kept["digests"])
    return files.changed()


def _here() -> str:
    """The folder names are relative to; empty where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def edits_of(records: list[Record]) -> list[dict[str, Any]]:
    """Every change of plan in a history: when, by whom, from which to which."""
    from ..chart.edit import edit_of
    from ..runtime.result import timestamp

    return [
        {"seq": one.seq, "at": timestamp(one.at), "by": one.event["by"], "before": edit.before, "after": edit.after}
        for one in records
        if (edit := edit_of(one)) is not None
    ]
