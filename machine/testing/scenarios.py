"""Named scenarios of the simulated Inference Endpoints service, as data: timelines of states and scripts of faults.

A timeline is a row of stages, and it moves by the number of polls (GETs of the endpoint), never by a clock, so a
scenario replays exactly. A fault script says what goes wrong on which call of which route. This file holds values
and the two look-ups; it knows nothing of HTTP servers and does no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from ..errors import UsageError

__all__ = ["SCENARIOS", "Cut", "Fault", "Route", "Scenario", "Stage", "find_scenario", "near_matches"]

Route: TypeAlias = Literal[
    "create", "list", "get", "probe", "update", "delete", "pause", "resume", "scale-to-zero", "provider", "health"
]
"""A call of the API. ``get`` asks for an endpoint that exists, ``probe`` for one that does not: a client that looks
before it creates therefore meets the same script as one that does not look."""

Cut: TypeAlias = Literal["", "reset", "truncate"]
"""How the connection ends: as it should, by a TCP reset with nothing sent, or in the middle of the promised body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What an endpoint looks like for a number of polls. ``polls=0`` means: from now on."""

    state: str
    polls: int = 0
    absent: Literal["", "hidden", "gone"] = ""
    """``hidden``: it exists but GET and list do not show it yet. ``gone``: somebody deleted it."""
    error: str = ""
    """The text of ``status.errorMessage``; left out of the body when empty."""
    healthy: bool = True
    """Whether a running endpoint has a ready replica and answers its health route with 200."""
    by_colleague: bool = False
    """Whether another person than the caller caused this stage (``status.updatedBy``)."""
    omit: tuple[str, ...] = ()
    """Top-level fields left out of the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong on calls ``first`` to ``last`` (from 1, both included) of one route; ``last=0``: for ever."""

    route: Route
    first: int = 1
    last: int = 0
    effect: bool = False
    """Whether the call does its work before the fault. A poll without effect does not move the timeline."""
    cut: Cut = ""
    status: int = 0
    """The status sent instead; 0 keeps the one of the real answer (200 if the call did no work)."""
    error: str = ""
    """The text of an error body in the shape of the profile."""
    body: str | None = None
    """The exact body, sent instead of any other; not necessarily JSON."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers added, or replaced when the answer has them already: Content-Type, Location, Retry-After."""
    delay: float = 0.0
    """Seconds between the work and the answer."""
    until_renewed: bool = False
    """Whether the fault ends for good when the token is renewed."""


PENDING: Final = Stage(state="pending", polls=2)
INITIALIZING: Final = Stage(state="initializing", polls=3)
RUNNING: Final = Stage(state="running")
STARTING: Final = (PENDING, INITIALIZING, RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way the service can behave. Every timeline's last stage has ``polls=0``."""

    name: str
    summary: str
    """One line, for ``--help`` and the documentation."""
    created: tuple[Stage, ...] = STARTING
    """After POST create."""
    resumed: tuple[Stage, ...] = STARTING
    """After POST resume."""
    updated: tuple[Stage, ...] = (Stage(state="updating", polls=2), RUNNING)
    """After PUT."""
    existing: tuple[Stage, ...] = ()
    """If not empty: an endpoint of any name is there already, at the first stage, when it is first spoken of."""
    idle_after: int | None = None
    """The scale-to-zero timeout of an endpoint that is there already; without one it cannot be scaled to zero."""
    faults: tuple[Fault, ...] = ()
    """The first one that matches a call applies."""
    create_status: int = 0
    """The status of a create that worked; 0 leaves it to the profile."""
    quota: int | None = None
    """How many endpoints of a namespace may be other than paused; None means any number."""
    url: Literal["profile", "early", "late"] = "profile"
    """When ``status.url`` has a text: as the profile says, from the start, or only when running."""
    nanoseconds: bool = False
    """Whether times have nine digits after the second, not three."""


_HTML: Final = "<html><head><title>503 Service Unavailable</title></head><body><h1>Try again later</h1></body></html>"

_ALL: Final = (
    Scenario(name="happy", summary="pending twice, initializing three times, then running"),
    Scenario(
        name="slow-start",
        summary="running only on the 40th poll",
        created=(Stage(state="pending", polls=9), Stage(state="initializing", polls=30), RUNNING),
    ),
    Scenario(
        name="failed-image",
        summary="the container exits while starting: state failed, with an errorMessage",
        created=(PENDING, INITIALIZING, Stage(state="failed", error="Container exited with code 1")),
    ),
    Scenario(
        name="stuck-initializing",
        summary="initializing for ever",
        created=(PENDING, Stage(state="initializing")),
    ),
    Scenario(
        name="scaled-to-zero-mid-wait",
        summary="becomes idle between two polls and is scaled to zero before running was ever seen",
        created=(PENDING, INITIALIZING, Stage(state="scaledToZero")),
    ),
    Scenario(
        name="paused-by-colleague",
        summary="somebody else pauses the endpoint while it starts",
        created=(PENDING, INITIALIZING, Stage(state="paused", by_colleague=True)),
    ),
    Scenario(
        name="update-failed",
        summary="somebody else changes the configuration while it starts, and that fails: updateFailed",
        created=(
            PENDING,
            Stage(state="updating", polls=2, by_colleague=True),
            Stage(state="updateFailed", error="Container exited with code 1"),
        ),
        updated=(
            Stage(state="updating", polls=2),
            Stage(state="updateFailed", error="Container exited with code 1"),
        ),
    ),
    Scenario(
        name="deleted-mid-wait",
        summary="somebody else deletes the endpoint while it starts: 404 from then on",
        created=(PENDING, INITIALIZING, Stage(state="initializing", absent="gone")),
    ),
    Scenario(
        name="flap",
        summary="running once, back to initializing twice, then running",
        created=(
            PENDING,
            INITIALIZING,
            Stage(state="running", polls=1),
            Stage(state="initializing", polls=2),
            RUNNING,
        ),
    ),
    Scenario(
        name="running-without-health",
        summary="running, but with no ready replica and a health route that keeps answering 503",
        created=(PENDING, INITIALIZING, Stage(state="running", healthy=False)),
    ),
    Scenario(name="url-late", summary="status.url is null until the endpoint is running", url="late"),
    Scenario(name="url-early", summary="status.url is there from the start, long before anything answers", url="early"),
    Scenario(name="created-200", summary="a create that worked answers 200", create_status=200),
    Scenario(name="created-202", summary="a create that worked answers 202", create_status=202),
    Scenario(
        name="duplicate-409",
        summary="an endpoint of that name is there already, and running: create answers 409",
        existing=(RUNNING,),
    ),
    Scenario(name="quota-409", summary="the quota is used up: create answers 409", quota=0),
    Scenario(
        name="ambiguous-create",
        summary="the first create works, but the connection is reset before the answer",
        faults=(Fault(route="create", last=1, effect=True, cut="reset"),),
    ),
    Scenario(
        name="create-500-but-created",
        summary="the first create works, but answers 500",
        faults=(Fault(route="create", last=1, effect=True, status=500, error="Internal Server Error"),),
    ),
    Scenario(
        name="created-but-unreadable",
        summary="the first create works and says so, but the body is not complete JSON",
        faults=(Fault(route="create", last=1, effect=True, body='{"name":"my-endpoint","status":{"state":"pen'),),
    ),
    Scenario(
        name="get-404-grace",
        summary="the first two polls after a create answer 404, as if it were not there yet",
        created=(Stage(state="pending", polls=2, absent="hidden"), *STARTING),
    ),
    Scenario(
        name="poll-502-burst",
        summary="polls 2, 3 and 4 answer 502",
        faults=(Fault(route="get", first=2, last=4, status=502, error="Bad Gateway"),),
    ),
    Scenario(
        name="poll-429-retry-after",
        summary="poll 2 answers 429 with Retry-After: 1",
        faults=(
            Fault(
                route="get",
                first=2,
                last=2,
                status=429,
                error="Too Many Requests",
                headers=(("Retry-After", "1"),),
            ),
        ),
    ),
    Scenario(
        name="token-expired-401-mid-poll",
        summary="the token expires after the third poll: 401 until it is renewed",
        faults=(
            Fault(
                route="get",
                first=4,
                status=401,
                error="A valid user or organization token, sent as a Bearer, is required",
                until_renewed=True,
            ),
        ),
    ),
    Scenario(
        name="unknown-state",
        summary="the third poll and all later ones show a state no description lists: deleting",
        created=(PENDING, Stage(state="deleting")),
    ),
    Scenario(
        name="missing-status-field",
        summary="the third poll and all later ones have no status in the body",
        created=(PENDING, Stage(state="initializing", omit=("status",))),
    ),
    Scenario(
        name="nanosecond-timestamps",
        summary="times have nine digits after the second",
        nanoseconds=True,
    ),
    Scenario(
        name="503-html-body",
        summary="polls 2 and 3 answer 503 with a page of HTML",
        faults=(
            Fault(
                route="get",
                first=2,
                last=3,
                status=503,
                body=_HTML,
                headers=(("Content-Type", "text/html; charset=utf-8"),),
            ),
        ),
    ),
    Scenario(
        name="updating-then-running",
        summary="pending twice, updating twice, then running",
        created=(PENDING, Stage(state="updating", polls=2), RUNNING),
    ),
    Scenario(
        name="toggle-running",
        summary="an endpoint of any name is there already: running",
        existing=(RUNNING,),
    ),
    Scenario(
        name="idle-running",
        summary="an endpoint of any name is there already: running, with a scale-to-zero timeout",
        existing=(RUNNING,),
        idle_after=15,
    ),
    Scenario(
        name="update-refused-by-image",
        summary="an endpoint of any name is there already: running, and no update of it can start",
        existing=(RUNNING,),
        updated=(Stage(state="updating", polls=2), Stage(state="updateFailed", error="Container exited with code 1")),
    ),
    Scenario(
        name="toggle-paused",
        summary="an endpoint of any name is there already: paused",
        existing=(Stage(state="paused"),),
    ),
    Scenario(
        name="toggle-initializing",
        summary="an endpoint of any name is there already: initializing, and stays so",
        existing=(Stage(state="initializing"),),
    ),
    Scenario(
        name="existing-starting",
        summary="an endpoint of any name is there already, and starts: running on the sixth poll",
        existing=STARTING,
    ),
    Scenario(
        name="health-flaps",
        summary="an endpoint of any name is there already: running; its health route answers 503 on looks 2 and 5",
        existing=(RUNNING,),
        faults=(
            Fault(route="health", first=2, last=2, status=503, error="Service Unavailable"),
            Fault(route="health", first=5, last=5, status=503, error="Service Unavailable"),
        ),
    ),
    Scenario(
        name="health-never",
        summary="an endpoint of any name is there already: running; its health route keeps answering 503",
        existing=(RUNNING,),
        faults=(Fault(route="health", status=503, error="Service Unavailable"),),
    ),
)

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType({scenario.name: scenario for scenario in _ALL})
"""Every shipped scenario by name, in the order they are documented."""


def near_matches(name: str, known: Mapping[str, object]) -> str:
    """What to say after a name that is not known: the ones spelt nearly so, or else all of them."""
    from difflib import get_close_matches

    parts = [key for key in known if len(name) > 1 and name in key]
    near = list(dict.fromkeys([*parts, *get_close_matches(name, known, n=3, cutoff=0.5)]))
    return f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(known)}"


def find_scenario(name: str) -> Scenario:
    """The shipped scenario of that name; UsageError (AZM-U701) with near matches when there is none."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise UsageError(
            f"there is no scenario of that name; {near_matches(name, SCENARIOS)}",
            code="AZM-U701",
            seen=name,
            next="choose one of the scenarios that are listed",
        )
    return scenario
