"""What each code of a finding means: the one place where that is said, for ``check`` and for the documentation.

Codes are stable across releases. ``AZM-D1xx`` is the structure of a document, ``AZM-D2xx`` what it refers to,
``AZM-L0xx`` what is allowed and may not be what was meant, ``C..`` a tolerance: what other documents do that the
specification does not have, and how it is read. Errors that are no findings explain themselves where they are raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..document.findings import Severity

__all__ = ["CODES", "Code", "advice_of", "explain", "severity_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """``title`` names what was found, ``why`` says why it is told and what becomes of it."""

    title: str
    why: str
    severity: Severity = "warning"
    """Of what keeps nothing from being compiled: ``error`` where a step can only fail, ``info`` where nobody has to do
    anything about it."""
    advice: str = ""
    """What to do about it, where no finding of the code knows better."""


def explain(code: str) -> str:
    """Why a finding of this code is told; empty for a code that explains itself in its message."""
    return CODES[code].why if code in CODES else ""


def advice_of(code: str) -> str:
    """What to do about a finding of this code that has no advice of its own."""
    return CODES[code].advice if code in CODES else ""


def severity_of(code: str) -> Severity:
    """How much something weighs that was found in what compiles."""
    return CODES[code].severity if code in CODES else "warning"


_STRUCTURE: Final = {
    "AZM-D100": Code(title="Too many findings", why="Only the first ones are listed; mend those and check again."),
    "AZM-D101": Code(title="Unknown field", why="Objects have the fields of the specification and x- extensions only."),
    "AZM-D102": Code(title="Missing field", why="The specification requires it."),
    "AZM-D103": Code(title="Wrong type", why="The field holds another kind of value."),
    "AZM-D104": Code(title="Value not allowed", why="The field is one of a few words, or excludes another field."),
    "AZM-D105": Code(title="Name not allowed", why="Names are used in expressions, so their characters are limited."),
    "AZM-D106": Code(
        title="Duplicate",
        why="What identifies an entry may stand once; otherwise nobody knows which is meant.",
    ),
    "AZM-D107": Code(title="Unknown version", why="The version decides what a document means, so it is not guessed."),
    "AZM-D108": Code(title="Empty list", why="The specification asks for at least one entry."),
    "AZM-D109": Code(title="A step has one target", why="A step calls exactly one operation, workflow or channel."),
    "AZM-D110": Code(title="An action has one target", why="It leads to a step or to a workflow, and an end to none."),
    "AZM-D111": Code(title="Unknown step", why="Actions and dependencies name steps of their own workflow."),
    "AZM-D112": Code(title="Missing context", why="A condition with a type is about something, which context names."),
    "AZM-D113": Code(title="Unknown component", why="A reusable object names a component of its own document."),
    "AZM-D114": Code(
        title="Newer than the document",
        why="It came with a later version than the document says it has.",
    ),
    "AZM-D115": Code(title="Number out of range", why="It would not be honoured, so it is refused."),
    "AZM-D116": Code(title="No effect", why="It may stand there, and nothing comes of it."),
    "AZM-D117": Code(
        title="Where a parameter goes",
        why="Parameters of operations say in what they go; inputs of workflows do not.",
    ),
    "AZM-D118": Code(
        title="Tolerated form",
        why="The specification does not have it, and it can mean one thing only. A strict reading refuses it.",
    ),
    "AZM-D119": Code(title="Not an Arazzo description", why="The root is an object with the field arazzo."),
    "AZM-D120": Code(
        title="Schema reference",
        why="References of input schemas stay in the document and lead somewhere.",
    ),
    "AZM-D121": Code(title="Too many documents", why="What belongs together is bounded."),
    "AZM-D122": Code(title="Reserved prefix", why="Extensions that begin so belong to the specification."),
}

_REFERENCES: Final = {
    "AZM-D201": Code(title="Unknown operation", why="The source description has no such operation."),
    "AZM-D202": Code(title="Several operations fit", why="Which one is meant has to be said."),
    "AZM-D203": Code(title="Repeated operationId", why="The source description uses the id more than once."),
    "AZM-D204": Code(title="Unknown source", why="Operations are called through a source description of type openapi."),
    "AZM-D205": Code(title="Not an operationPath", why="It is a source and a JSON Pointer to an operation of it."),
    "AZM-D206": Code(
        title="Not a document",
        why="Workflows of others are reached through a source description of type arazzo.",
    ),
    "AZM-P014": Code(title="Reference to no step", why="Outputs are read from steps of the same workflow."),
    "AZM-P020": Code(title="Unreachable step", why="No step leads there, so its call is never made."),
    "AZM-P021": Code(
        title="Undeclared input",
        why="Nobody is asked for it; it is absent unless somebody gives it unasked.",
        advice="declare it under inputs",
    ),
    "AZM-P023": Code(
        title="A reference that is text",
        why="From 1.1 on an expression inside text needs braces; without them the words themselves are sent.",
        advice="put it in braces: {$inputs.name}",
    ),
    "AZM-P022": Code(
        title="About a condition", why="It holds as written, and reads as if more was meant.", severity="info"
    ),
    "AZM-P024": Code(
        title="Step in the wrong order", why="It reads what a later step makes, which is always absent by then."
    ),
    "AZM-P025": Code(
        title="Condition that never holds",
        why="Arazzo 1.1 lets a condition fail that cannot be read, and says nothing. So the step always fails, or its "
        "action never applies.",
        advice="write what the message expects, or leave the condition out",
    ),
    "AZM-P026": Code(
        title="JSON text that is no JSON",
        why="The body is declared as JSON and no JSON can be made of it. The step fails before it sends anything.",
        severity="error",
    ),
    "AZM-P027": Code(
        title="Replacement that cannot be made",
        why="Its target is not in the payload, whatever the values are. The step fails before it sends anything.",
        severity="error",
    ),
    "AZM-P028": Code(
        title="Read where it is not",
        why="What an expression sees depends on when it is read. What is absent is left out of what is sent, and in a "
        "comparison it equals nothing but null. A strict reading refuses it.",
        advice="read it where it is known, for example as an output of a step",
    ),
    "AZM-P029": Code(
        title="Reference to nothing",
        why="Nothing has that name, so the value is always absent. A strict reading refuses it.",
    ),
    "AZM-P031": Code(
        title="Text that looks like an expression",
        why="No expression begins so, and what is none is sent as it stands. A strict reading refuses it.",
        advice="mend the word, or leave out the dollar sign if text is meant",
    ),
    "AZM-S001": Code(title="Missing source", why="Its file is not where it was looked for."),
    "AZM-S002": Code(title="Remote source", why="Nothing is fetched unasked."),
    "AZM-S003": Code(title="Swagger 2.0", why="Operations are read from OpenAPI 3."),
    "AZM-S004": Code(title="Not an OpenAPI description", why="Its version is not known here."),
    "AZM-S005": Code(title="AsyncAPI", why="Messages are not supported."),
    "AZM-S006": Code(
        title="Incomplete description",
        why="A reference in it leads nowhere, or a key stands twice: what it says there is not known, and what it asks "
        "for is not checked.",
    ),
    "AZM-S007": Code(title="Not a file", why="The URL of the source names no file."),
    "AZM-S008": Code(title="Unreadable source", why="It is neither JSON nor YAML."),
}

_TOLERANCES: Final = {
    "C1": Code(
        title="Condition in place of a JSONPath query",
        why="Operators between queries are no RFC 9535 query. Arazzo 1.1 lets such a condition fail; a 1.0 "
        "document gets the meaning its author had.",
        advice="write one criterion for each comparison",
    ),
    "C2": Code(
        title="Filter about an object",
        why="By RFC 9535 a filter looks at the members of an object. Where the object itself has the member that "
        "is named, the object is what is meant.",
        advice="write a simple condition about $response.body#/MEMBER",
    ),
    "C3": Code(
        title="count() of one value",
        why="By RFC 9535 it is 0 or 1; the length of the list is what is meant.",
        advice="write length() in place of count()",
    ),
    "C4": Code(
        title="Reference without braces",
        why="Inside text an expression needs braces. It is filled in because the name is declared.",
        advice="put braces around it",
    ),
    "C5": Code(
        title="Repaired reference",
        why="The expression is not as the grammar has it, and can mean one thing only.",
        advice="write it as it is read",
    ),
    "C6": Code(
        title="Operation named otherwise",
        why="The reference is not as the specification has it, and fits one operation only.",
        advice="write the operationId, {$sourceDescriptions.NAME.url}#/paths/~1PATH/METHOD, or for a workflow "
        "$sourceDescriptions.NAME.ID",
    ),
    "C7": Code(
        title="Source found elsewhere",
        why="The file is not where the URL says, and lies where such files lie.",
    ),
    "C8": Code(
        title="Retry after a success",
        why="Only failure actions can retry. It is read as a loop with a pace and an end.",
    ),
    "C9": Code(
        title="Retry through itself",
        why="A step that repairs itself would be called twice each time. It is read as a plain retry.",
        advice="leave out its stepId",
    ),
    "C10": Code(
        title="Object in quotes",
        why="In JSON text it would be a text of JSON; its author means the object.",
        advice="write the payload as an object, not as text",
    ),
    "C11": Code(
        title="Version beside the type",
        why="Arazzo 1.1 has it inside the type, 1.0 beside it and its schema the other way round; both are read.",
    ),
    "C12": Code(title="Parameter in the body", why="1.0.0 had it; it is a member of the request body."),
    "C13": Code(title="Unusable answers waited out", why="A poll waits out a few answers that are none."),
    "C14": Code(
        title="Quotes",
        why="Strings of simple conditions stand in single quotes.",
        advice="write strings in single quotes",
    ),
    "C15": Code(
        title="Pattern between slashes",
        why="A pattern has no delimiters; its flags would be lost.",
        advice="leave out the slashes",
    ),
}

_LINT: Final = {
    "AZM-L010": Code(
        title="Values that match nothing",
        why="The description lists them and no action speaks of them. What happens then is decided by a rule of "
        "this machine, which other engines do not share.",
    ),
    "AZM-L011": Code(
        title="One success status pinned",
        why="The description declares other successes. A service that answers with one of those did what was "
        "asked, and the step fails all the same.",
    ),
    "AZM-L012": Code(
        title="No policy for doubt",
        why="When the answer to this call is lost nobody knows whether it was applied. The run then stops and "
        "asks, and nothing is done twice; with a probe it could look by itself.",
        severity="info",
    ),
    "AZM-L013": Code(
        title="Loop without a pace",
        why="The specification has no pace for a loop. Ours is a default; what the service allows is known to the "
        "author.",
    ),
    "AZM-L014": Code(title="Loop through a call that changes something", why="Each round makes the call again."),
    "AZM-L015": Code(
        title="Optional input for something required",
        why="Without the input the request lacks what the description requires, and the service refuses it.",
    ),
    "AZM-L016": Code(
        title="Falls through into a change",
        why="By the specification's words the next step follows when no action applies, and that step changes "
        "something. This machine stops instead.",
    ),
    "AZM-L017": Code(title="Output never declared", why="It is always absent."),
    "AZM-L018": Code(
        title="Output of a step that has not run",
        why="No way leads from that step to this one, so it is always absent here.",
    ),
    "AZM-L019": Code(
        title="Status the description does not have",
        why="Either the description lacks it or the condition never holds.",
    ),
    "AZM-L020": Code(
        title="Undeclared parameter",
        why="It is sent, and the description says nothing of it; perhaps its name is wrong.",
    ),
    "AZM-L021": Code(title="Missing parameter", why="The description requires it and nothing gives it."),
    "AZM-L022": Code(
        title="Path parameter without a value",
        why="No URL can be made without it. The step fails before it sends anything.",
        severity="error",
    ),
    "AZM-L023": Code(
        title="Workflow that runs itself",
        why="Unless something ends it before, it fails where workflows run each other deeper than is allowed.",
    ),
    "AZM-L024": Code(
        title="Workflow that has not run",
        why="Its inputs and outputs are absent: naming a workflow does not run it, dependsOn does.",
    ),
    "AZM-L025": Code(
        title="Required input that nothing gives",
        why="A workflow gets what its caller says and nothing else. It cannot begin without it, and its caller fails.",
        severity="error",
    ),
    "AZM-L026": Code(
        title="Required input that is given only by name",
        why="Inputs of the same name are passed on there, and none is declared. The workflow cannot begin unless "
        "somebody gives it when the run starts.",
    ),
    "AZM-L027": Code(
        title="Parameter for no input",
        why="The workflow that is run declares no input of that name; it is passed on, and nothing asks for it.",
    ),
    "AZM-L028": Code(
        title="Constant that does not fit an input",
        why="The schema of the workflow that is run refuses the value. It cannot begin, and its caller fails.",
        severity="error",
    ),
    "AZM-L029": Code(
        title="Input schema that is none",
        why="It is no JSON Schema 2020-12. Inputs cannot be held against it: a run refuses them, or does not look.",
        severity="error",
    ),
    "AZM-L030": Code(
        title="Default that does not fit",
        why="The schema of the input refuses its own default. A run without the input does not begin.",
        severity="error",
    ),
    "AZM-L031": Code(
        title="Success that may match nothing",
        why="Arazzo does not say what follows when no success action applies. This machine fails there as unmatched "
        "(exit 11) unless x-machine.unmatched says otherwise.",
    ),
    "AZM-L032": Code(
        title="Depends on a step that has not run",
        why="dependsOn waits and starts nothing. The step fails before it sends anything.",
        severity="error",
    ),
    "AZM-L033": Code(
        title="Path parameter that the path does not have",
        why="Nothing in the path is called so, and it is not sent; perhaps its name is wrong.",
    ),
    "AZM-L034": Code(
        title="Credential to be given",
        why="The description demands it and the document leaves it to whoever runs it. Without it no run is begun.",
        severity="info",
    ),
    "AZM-L035": Code(
        title="Credential nobody can give",
        why="This machine has no way to meet the scheme. Without another one no run is begun.",
    ),
}

CODES: Final[Mapping[str, Code]] = {**_STRUCTURE, **_REFERENCES, **_TOLERANCES, **_LINT}
