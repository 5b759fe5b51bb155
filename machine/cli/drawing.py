"""``diagram``: a workflow's machine as a picture, or a run on it at any moment of its history."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import StoreError, UsageError
from . import options as flags
from .completing import run_ids, workflow_names

if TYPE_CHECKING:
    from ..chart.snapshot import Record

__all__ = ["diagram"]

_FORMS = {
    "": "dot",
    ".dot": "dot",
    ".gv": "dot",
    ".svg": "svg",
    ".png": "png",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".txt": "text",
}


@click.command()
@click.argument("target", metavar="[DOCUMENT]", required=False, default="", shell_complete=workflow_names)
@flags.document
@click.option("--run", "run_id", default="", shell_complete=run_ids, help="Draw this run's history on its machine.")
@click.option("--at", "moment", type=click.IntRange(1), metavar="N", help="With --run: as it was after its record N.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["dot", "svg", "png", "mermaid", "text"]),
    help="[by the file's ending, else dot]",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file.")
@flags.store_option
@flags.as_json
def diagram(
    target: str,
    workflow: str,
    run_id: str,
    moment: int | None,
    form: str | None,
    output: Path | None,
    store: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Draw a workflow's machine, or a run on it.

    A run is drawn with how often it took each way, how long it was where, and the move that decided last; --at draws
    any moment of it, by the number of a record as `show --why` tells it. On standard output without -o. SVG and PNG
    need Graphviz; DOT, Mermaid and text need nothing.

    \b
    arazzo-machine diagram deploy-inference-endpoint -o machine.svg
    arazzo-machine diagram --run 1ng9 -o run.svg
    arazzo-machine diagram --run 1ng9 --at 5 --format text
    """
    from ..diagram import render
    from .printing import echo_json

    source = click.get_current_context().get_parameter_source("form")
    if output is not None and source is click.core.ParameterSource.DEFAULT_MAP:
        # The name of a file says more about it than a default.
        form = None
    form = form or _form_of(output)
    if form == "png" and output is None and (as_json or sys.stdout.isatty()):
        raise UsageError("a PNG is no text", code="AZM-U127", next="write it to a file with -o, or choose --format svg")
    if moment is not None and not run_id:
        raise UsageError("--at is a moment of a run", code="AZM-U126", next="name the run with --run")
    records: Sequence[Record] = ()
    if run_id:
        from ..chart.edit import in_terms_of_now
        from ..runtime.runner import Runner

        with flags.open_store(store, read_only=True) as opened:
            found = opened.find(run_id)
            drawn = Runner(opened).plan_of(opened.load(found))
            records = _until(in_terms_of_now(opened.history(found)), moment)
        if target:
            # The run is drawn on the machine it has; a document named beside it only has to be the one it came from.
            named = flags.describe_target(target, given).document
            if drawn.document_sha256 != named.sha256 and named.workflow(drawn.workflow) is None:
                raise UsageError(
                    f"run {found} is not of this document",
                    code="AZM-U072",
                    seen=f"{drawn.workflow} of {drawn.document}",
                    next="leave the document out: a run is drawn on the machine it has stored",
                )
    elif target:
        from ..plan.build import build_plan

        description = flags.describe_target(target, given)
        drawn = build_plan(description, workflow=workflow, unmatched=given["unmatched"], strict=given["strict"])
    else:
        raise UsageError(
            "name a document, or a run with --run", code="AZM-U070", next="list the runs with: arazzo-machine runs"
        )
    text = render(
        drawn, format="mermaid" if form == "mermaid" else "text" if form == "text" else "dot", records=records
    )
    picture = _laid_out(text, form)
    if output is None and as_json:
        echo_json({"format": form, "diagram": text if form != "svg" else picture.decode()})
        return
    if output is None:
        click.echo(picture if form == "png" else picture.decode(), nl=not picture.endswith(b"\n"))
        return
    try:
        output.write_bytes(picture)
    except OSError as error:
        raise StoreError(
            "the diagram cannot be written",
            code="AZM-T080",
            seen=f"{output}: {error.strerror}",
            next="choose another -o",
        ) from error
    if as_json:
        echo_json({"format": form, "output": str(output)})


def _laid_out(text: str, form: str) -> bytes:
    """The bytes of the file: the text itself, or what Graphviz draws of it."""
    if form not in ("svg", "png"):
        return text.encode()
    from ..runtime.layout import render_png, render_svg

    return render_svg(text).encode() if form == "svg" else render_png(text)


def _until(records: list[Record], moment: int | None) -> list[Record]:
    if moment is not None and moment > len(records):
        raise UsageError(
            f"the run has no record {moment}",
            code="AZM-U125",
            next=f"choose --at 1 to {len(records)}, as `show --why` numbers them",
        )
    return records[:moment]


def _form_of(output: Path | None) -> str:
    """The format a file's ending asks for; a picture of another kind is refused, not written under a wrong name."""
    ending = output.suffix if output else ""
    if ending not in _FORMS:
        raise UsageError(
            f"no format is known by the ending {ending}",
            code="AZM-U073",
            next=f"use one of {', '.join(one for one in _FORMS if one)}, or say --format",
        )
    return _FORMS[ending]
