"""``--report``: a run as JUnit XML or Markdown, on standard output or in a file, and what its verbs share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import click

from ..errors import UsageError
from .app import concealer

if TYPE_CHECKING:
    from ..plan.model import Plan
    from ..reports.stopping import Way
    from ..runtime.result import Result
    from ..stores.base import Store
    from .progress import Progress

__all__ = ["FORMS", "read_reports", "report_option", "report_text", "ways_of", "write_reports"]

FORMS: Final = ("junit", "markdown")

report_option = click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="FORM=FILE",
    help="Report how it ended: junit=FILE is written, markdown=FILE appended to.",
)


def read_reports(texts: Iterable[str]) -> dict[str, str]:
    """``FORM=FILE`` texts by form. Raises UsageError for a form there is none of."""
    found = {}
    for text in texts:
        form, _, path = text.partition("=")
        if form not in FORMS or not path:
            raise UsageError(
                "--report takes junit=FILE or markdown=FILE",
                code="AZM-U128",
                seen=text[:80],
                next="for example --report junit=run.xml",
            )
        found[form] = path
    return found


def ways_of(store: Store, run_id: str, result: Result) -> list[Way]:
    """How what a run left could be ended; nothing where it is ready, or its history cannot be read."""
    from ..reports.stopping import ways_to_stop
    from ..runtime.history import Charts

    if result.ready or all(effect.outcome == "not_applied" for effect in result.effects):
        return []
    try:
        stored = store.load(run_id)
        plan = Charts(store)(stored.head.plan_sha256).plan
        return ways_to_stop(store, stored.head, plan, stored.snapshot, store.history(run_id))
    except Exception:
        # Advice that cannot be given must not hide how the run ended.
        return []


def report_text(form: str, store: Store, run_id: str, plan: Plan, result: Result) -> str:
    """The report of a stored run, with no secret this command knows."""
    from ..chart.edit import in_terms_of_now
    from ..reports.junit import junit
    from ..reports.markdown import markdown

    records = in_terms_of_now(store.history(run_id))
    make = junit if form == "junit" else markdown
    return concealer().scrub(make(result, plan, records, ways_of(store, run_id, result)))


def write_reports(
    reports: Mapping[str, str], store: Store, run_id: str, plan: Plan, result: Result, progress: Progress
) -> None:
    """Write what was asked for. How the run ended is not changed by a file that cannot be written: that is a line."""
    for form, path in reports.items():
        try:
            text = report_text(form, store, run_id, plan, result)
            # A step summary belongs to several programs; a report of tests to one.
            with open(path, "a" if form == "markdown" else "w", encoding="utf-8") as file:
                file.write(text)
        except Exception as error:
            # Whatever it is, it comes after the run has ended and says nothing about it.
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            progress.line(f"warning: the report {path} cannot be written: {why}; the run is not affected")
