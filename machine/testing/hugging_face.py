"""The simulated Inference Endpoints service as a value: requests in, responses out, no socket, clock or chance.

The same requests in the same order always give the same responses. The service moves on only when it is polled, and
its clock is a count of the calls that did something. It can be written out as JSON and read back. It never keeps a
credential: of an Authorization header it records the scheme, and wherever else the token or a model secret turns up
in a request, a mark is recorded in its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast
from urllib.parse import unquote

from ..errors import UsageError
from .configs import existing_config, merged
from .profiles import Profile, first_problem, provider_listing
from .redaction import hidden_texts, log_entry, parse_body, scrub
from .scenarios import Cut, Fault, Route, Scenario, Stage

__all__ = ["Response", "Simulation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back. ``delay`` is in seconds; with ``cut`` the connection ends early, see :data:`.scenarios.Cut`."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    cut: Cut = ""
    delay: float = 0.0


class _Refused(Exception):
    """A call that ends with an error body."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class _Call(NamedTuple):
    """A request as far as the path tells it. ``route`` None: no such path, or no such method there."""

    route: Route | None
    namespace: str = ""
    name: str = ""
    allowed: str = ""


@dataclass(slots=True, kw_only=True)
class _Endpoint:
    namespace: str
    config: dict[str, Any]
    """The create body, later merged with those of updates, without secrets."""
    track: str
    """Which timeline it is on, a key of ``Simulation._timelines``."""
    state: str
    by: dict[str, str]
    created_by: dict[str, str]
    created: int = 0
    updated: int = 0
    polls: int = 0
    """Polls since it entered the timeline."""

    @property
    def name(self) -> str:
        return str(self.config["name"])


_START: Final = datetime(2026, 10, 2, 12, 41, 53, tzinfo=UTC)
_REVISION: Final = "11c5a3d5811f50298f278a704980280950aedb10"
_CALLER: Final = "6273f303f6d63a28483fde12"
_COLLEAGUE: Final = {"id": "62a1c0de5e9b7d0c1f2e3a4b", "name": "colleague"}
_JSON: Final = (("Content-Type", "application/json"),)
_ACTIONS: Final[Mapping[str, Route]] = {"pause": "pause", "resume": "resume", "scale-to-zero": "scale-to-zero"}
_MESSAGES: Final = {
    "pending": "Endpoint waiting to be scheduled",
    "initializing": "Endpoint is initializing",
    "running": "Endpoint is ready",
    "updating": "Endpoint waiting for the update",
    "updateFailed": "Endpoint failed to update",
    "failed": "Endpoint failed to deploy",
    "paused": "Endpoint is paused",
    "scaledToZero": "Endpoint is scaled to zero",
}


class Simulation:
    """The whole service. Not safe for several threads at once: the server around it takes turns.

    ``base`` is the scheme, host and port under which ``/health/...`` can be reached. With ``token`` only that Bearer
    token is accepted, else any. ``renewed`` ends the faults that last until the token is renewed.
    """

    def __init__(
        self,
        *,
        scenario: Scenario,
        profile: Profile,
        token: str | None = None,
        base: str = "http://127.0.0.1",
        renewed: bool = False,
    ) -> None:
        self.scenario, self.profile = scenario, profile
        self.base, self.renewed = base, renewed
        self.creates = 0
        """How many POSTs created an endpoint."""
        self.requests: list[dict[str, Any]] = []
        """One entry per request: n (from 1), method, path, body, auth, status (None: reset without an answer)."""
        self._token = token
        self._ticks = 0
        self._counts: dict[str, int] = {}
        self._endpoints: dict[str, _Endpoint] = {}
        self._deleted: list[str] = []

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer one request; ``path`` may have a query, header names are of any case. Never raises for what came in.

        The order of refusals: path, credentials, JSON syntax, fields, hardware, name, quota, duplicate.
        """
        authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        call = self._call(method, path.partition("?")[0])
        fault = self._next_fault(call.route) if call.route else None
        hidden = hidden_texts(authorization, self._token)
        if fault is None:
            response = self._answer(call, authorization, body, hidden)
        else:
            real = self._answer(call, authorization, body, hidden) if fault.effect else Response(status=200)
            response = self._spoiled(real, fault)
        number = len(self.requests) + 1
        entry = log_entry(method, path, authorization, body, hidden)
        answered = None if response.cut == "reset" else response.status
        self.requests.append({"n": number, **entry, "status": answered})
        return replace(response, headers=(*response.headers, ("X-Request-Id", f"simulated-{number}")))

    def count(self, method: str, path_prefix: str = "") -> int:
        """How many requests of that method came for paths with that prefix."""
        return sum(1 for one in self.requests if one["method"] == method and one["path"].startswith(path_prefix))

    @property
    def create_requests(self) -> int:
        """How many create POSTs came, whatever became of them."""
        return self._counts.get("create", 0)

    def summary(self) -> dict[str, Any]:
        """``{creates, create_requests, polls, endpoints: {"ns/name": state}}``; a poll is a GET of one endpoint."""
        return {
            "creates": self.creates,
            "create_requests": self.create_requests,
            "polls": self._counts.get("get", 0) + self._counts.get("probe", 0),
            "endpoints": {key: endpoint.state for key, endpoint in sorted(self._endpoints.items())},
        }

    def to_json(self) -> dict[str, Any]:
        """Everything that happened so far, without the token."""
        return {
            "scenario": self.scenario.name,
            "profile": self.profile.name,
            "renewed": self.renewed,
            "creates": self.creates,
            "ticks": self._ticks,
            "counts": self._counts,
            "endpoints": [asdict(endpoint) for endpoint in self._endpoints.values()],
            "deleted": self._deleted,
            "requests": self.requests,
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Continue from what :meth:`to_json` gave; UsageError (AZM-U703) if that was another scenario or profile.

        KeyError or TypeError when ``data`` did not come from there.
        """
        before, now = (data["scenario"], data["profile"]), (self.scenario.name, self.profile.name)
        if before != now:
            raise UsageError(
                f"the state belongs to scenario {before[0]}, profile {before[1]}; asked for {now[0]}, {now[1]}",
                code="AZM-U703",
                seen=f"{before[0]}, {before[1]}",
                next="start with the same scenario and profile, or with another state file",
            )
        endpoints = [_Endpoint(**one) for one in data["endpoints"]]
        self._endpoints = {f"{one.namespace}/{one.name}": one for one in endpoints}
        self.renewed = self.renewed or bool(data["renewed"])
        self.creates, self._ticks = int(data["creates"]), int(data["ticks"])
        self._counts, self._deleted = dict(data["counts"]), list(data["deleted"])
        self.requests = list(data["requests"])

    def _call(self, method: str, path: str) -> _Call:
        routes: dict[str, Route]
        match [unquote(segment) for segment in path.split("/")[1:]]:
            case ["v2", "provider"]:
                namespace, name, routes = "", "", {"GET": "provider"}
            case ["health", name, *_]:
                namespace, routes = "", {"GET": "health"}
            case ["v2", "health"]:
                # A simulator stands for every source of a workflow, an endpoint's own address among them.
                namespace, name, routes = "", "", {"GET": "health"}
            case ["v2", "endpoint", namespace] if namespace:
                name, routes = "", {"GET": "list", "POST": "create"}
            case ["v2", "endpoint", namespace, name] if namespace and name:
                there = self._find(namespace, name) is not None
                routes = {"GET": "get" if there else "probe", "PUT": "update", "DELETE": "delete"}
            case ["v2", "endpoint", namespace, name, action] if action in _ACTIONS:
                routes = {"POST": _ACTIONS[action]}
            case _:
                return _Call(None)
        if method not in routes:
            return _Call(None, allowed=", ".join(routes))
        return _Call(routes[method], namespace, name)

    def _next_fault(self, route: Route) -> Fault | None:
        number = self._counts[route] = self._counts.get(route, 0) + 1
        for fault in self.scenario.faults:
            in_turn = fault.first <= number and (not fault.last or number <= fault.last)
            if fault.route == route and in_turn and not (fault.until_renewed and self.renewed):
                return fault
        return None

    def _spoiled(self, real: Response, fault: Fault) -> Response:
        response = replace(real, status=fault.status or real.status, cut=fault.cut, delay=fault.delay)
        if fault.body is not None:
            response = replace(response, headers=real.headers or _JSON, body=fault.body.encode())
        elif fault.error:
            response = replace(response, headers=_JSON, body=self._error_body(response.status, fault.error))
        replaced = {name.lower() for name, _ in fault.headers}
        kept = tuple(header for header in response.headers if header[0].lower() not in replaced)
        return replace(response, headers=kept + fault.headers)

    def _answer(self, call: _Call, authorization: str, body: bytes, hidden: tuple[str, ...]) -> Response:
        try:
            if call.route is None:
                return self._no_such_call(call)
            if call.route == "provider":
                return _json_response(200, provider_listing(self.profile))
            if call.route == "health":
                return self._health(call.name)
            scheme, _, sent = authorization.strip().partition(" ")
            if scheme.lower() != "bearer" or not sent or "," in sent or self._token not in (None, sent.strip()):
                raise _Refused(401, "A valid user or organization token, sent as a Bearer, is required")
            if call.route == "list":
                return self._list(call.namespace)
            if call.route == "create":
                return self._create(call.namespace, self._fields(body, hidden))
            endpoint = self._find(call.namespace, call.name)
            if endpoint is None:
                raise _Refused(404, "Endpoint not found")
            if call.route == "update":
                return self._update(endpoint, self._fields(body, hidden))
            works: dict[str, Callable[[_Endpoint], Response]] = {
                "get": self._poll,
                "delete": self._delete,
                "pause": self._pause,
                "resume": self._resume,
                "scale-to-zero": self._scale_to_zero,
            }
            return works[call.route](endpoint)
        except _Refused as refused:
            body = self._error_body(refused.status, refused.text)
            return Response(status=refused.status, headers=_JSON, body=body)

    def _no_such_call(self, call: _Call) -> Response:
        if not call.allowed:
            raise _Refused(404, "Not found")
        body = self._error_body(405, "Method not allowed")
        return Response(status=405, headers=(*_JSON, ("Allow", call.allowed)), body=body)

    def _fields(self, body: bytes, hidden: tuple[str, ...]) -> dict[str, Any]:
        try:
            value = parse_body(body)
        except ValueError as error:
            raise _Refused(400, f"Failed to parse the request body as JSON: {error}") from None
        if not isinstance(value, dict):
            raise _Refused(400, "Failed to parse the request body as JSON: expected an object")
        return cast("dict[str, Any]", scrub(value, hidden, None))

    def _create(self, namespace: str, config: dict[str, Any]) -> Response:
        if problem := first_problem(config, self.profile):
            raise _Refused(400, problem)
        self._refuse_over_quota(namespace)
        if self._find(namespace, config["name"]) is not None:
            raise _Refused(409, "An endpoint with the same name already exists")
        endpoint = self._add(namespace, config, "created", {"id": _CALLER, "name": namespace})
        self.creates += 1
        return _json_response(self.scenario.create_status or self.profile.create_status, self._view(endpoint))

    def _add(self, namespace: str, config: dict[str, Any], track: str, account: dict[str, str]) -> _Endpoint:
        state = next(stage.state for stage in self._timelines(track) if not stage.absent)
        endpoint = _Endpoint(
            namespace=namespace,
            config=config,
            track=track,
            state=state,
            by=account,
            created_by=account,
            created=self._ticks,
            updated=self._ticks,
        )
        self._endpoints[f"{namespace}/{config['name']}"] = endpoint
        return endpoint

    def _find(self, namespace: str, name: str) -> _Endpoint | None:
        key = f"{namespace}/{name}"
        if key not in self._endpoints and self.scenario.existing and key not in self._deleted:
            return self._add(namespace, existing_config(name, self.scenario.idle_after), "existing", dict(_COLLEAGUE))
        return self._endpoints.get(key)

    def _refuse_over_quota(self, namespace: str) -> None:
        used = sum(1 for one in self._endpoints.values() if one.namespace == namespace and one.state != "paused")
        if self.scenario.quota is not None and used >= self.scenario.quota:
            raise _Refused(409, "Quota exceeded")

    def _poll(self, endpoint: _Endpoint) -> Response:
        self._ticks += 1
        endpoint.polls += 1
        stage = self._stage(endpoint)
        if stage.absent:
            if stage.absent == "gone":
                self._remove(endpoint)
            raise _Refused(404, "Endpoint not found")
        self._move(endpoint, stage)
        return _json_response(200, self._view(endpoint))

    def _list(self, namespace: str) -> Response:
        shown = [one for one in self._endpoints.values() if one.namespace == namespace and not self._stage(one).absent]
        page = {"items": [self._view(one) for one in shown], "totalItems": len(shown)}
        return _json_response(200, {**page, "nextCursor": None, "prevCursor": None})

    def _update(self, endpoint: _Endpoint, changes: dict[str, Any]) -> Response:
        config = merged(endpoint.config, changes)
        if problem := first_problem(config, self.profile):
            raise _Refused(400, problem)
        endpoint.config = config
        # A workload that is off stays off: the new configuration waits for the next resume.
        if endpoint.state not in {"paused", "scaledToZero"}:
            return self._switch(endpoint, "updated")
        return _json_response(200, self._view(endpoint))

    def _delete(self, endpoint: _Endpoint) -> Response:
        self._ticks += 1
        self._remove(endpoint)
        body = self.profile.delete_body
        return Response(status=200, headers=_JSON if body else (), body=body)

    def _remove(self, endpoint: _Endpoint) -> None:
        key = f"{endpoint.namespace}/{endpoint.name}"
        del self._endpoints[key]
        if self.scenario.existing:
            self._deleted.append(key)

    def _pause(self, endpoint: _Endpoint) -> Response:
        return self._switch(endpoint, "paused")

    def _resume(self, endpoint: _Endpoint) -> Response:
        if endpoint.state == "updateFailed":
            raise _Refused(400, "Endpoint has a configuration error: update it")
        if endpoint.state not in {"paused", "scaledToZero", "failed"}:
            raise _Refused(400, "Endpoint is already running")
        self._refuse_over_quota(endpoint.namespace)
        return self._switch(endpoint, "resumed")

    def _scale_to_zero(self, endpoint: _Endpoint) -> Response:
        if endpoint.config["compute"]["scaling"].get("scaleToZeroTimeout") is None:
            raise _Refused(400, "workload cannot be scaled to zero")
        return self._switch(endpoint, "scaledToZero")

    def _switch(self, endpoint: _Endpoint, track: str) -> Response:
        self._ticks += 1
        endpoint.track, endpoint.polls = track, 0
        self._move(endpoint, self._stage(endpoint))
        return _json_response(200, self._view(endpoint))

    def _move(self, endpoint: _Endpoint, stage: Stage) -> None:
        if stage.state == endpoint.state:
            return
        endpoint.state, endpoint.updated = stage.state, self._ticks
        endpoint.by = dict(_COLLEAGUE) if stage.by_colleague else {"id": _CALLER, "name": endpoint.namespace}

    def _timelines(self, track: str) -> tuple[Stage, ...]:
        return {
            "created": self.scenario.created,
            "resumed": self.scenario.resumed,
            "updated": self.scenario.updated,
            "existing": self.scenario.existing,
            "paused": (Stage(state="paused"),),
            "scaledToZero": (Stage(state="scaledToZero"),),
        }[track]

    def _stage(self, endpoint: _Endpoint) -> Stage:
        left = max(endpoint.polls, 1)
        timeline = self._timelines(endpoint.track)
        for stage in timeline:
            if not stage.polls or left <= stage.polls:
                return stage
            left -= stage.polls
        return timeline[-1]

    def _health(self, name: str) -> Response:
        """What stands behind ``status.url``; those of one name in several namespaces share it, without one all."""
        named = [one for one in self._endpoints.values() if name in ("", one.name)]
        if not named:
            raise _Refused(404, "Not found")
        if any(one.state == "running" and self._stage(one).healthy for one in named):
            return _json_response(200, {"status": "ok"})
        if all(one.state == "paused" for one in named):
            raise _Refused(400, "Bad Request: Invalid state")
        raise _Refused(503, "Service Unavailable")

    def _view(self, endpoint: _Endpoint) -> dict[str, Any]:
        """The endpoint as every answer shows it: all the fields the description 2.0.0 requires."""
        config = endpoint.config
        model, provider, compute = config["model"], config["provider"], config["compute"]
        hardware = (provider["vendor"], provider["region"], compute["instanceType"], compute["instanceSize"])
        custom = model.get("image", {}).get("custom", {})
        route = custom.get("healthRoute", custom.get("health_route"))
        revision = model.get("revision")
        body = {
            "name": config["name"],
            "type": config["type"],
            "provider": provider,
            "compute": {
                "id": "-".join(hardware),
                **compute,
                "scaling": {"scaleToZeroTimeout": None, "measure": {"hardwareUsage": None}, **compute["scaling"]},
            },
            "model": {
                "image": {"huggingface": {}},
                "env": {},
                "secrets": {},
                "framework": "pytorch",
                **model,
                "task": model.get("task") or "text-generation",
                # A branch name is resolved when the endpoint is made: the answer shows a commit.
                "revision": _REVISION if revision in {None, "main"} else revision,
            },
            "healthRoute": route if isinstance(route, str) and route.startswith("/") else "/health",
            "tags": config.get("tags", []),
            "experimentalFeatures": {"cacheHttpResponses": False},
            "notifications": {"email": True, "push": False},
            "status": self._status(endpoint),
        }
        return {key: value for key, value in body.items() if key not in self._stage(endpoint).omit}

    def _status(self, endpoint: _Endpoint) -> dict[str, Any]:
        stage = self._stage(endpoint)
        running = endpoint.state == "running"
        early = self.profile.early_url if self.scenario.url == "profile" else self.scenario.url == "early"
        target = 0 if endpoint.state == "scaledToZero" else max(endpoint.config["compute"]["scaling"]["minReplica"], 1)
        return {
            "createdAt": self._time(endpoint.created),
            "createdBy": endpoint.created_by,
            "updatedAt": self._time(endpoint.updated),
            "updatedBy": endpoint.by,
            "private": None,
            "state": endpoint.state,
            "message": _MESSAGES.get(endpoint.state, f"Endpoint is {endpoint.state}"),
            **({"errorMessage": stage.error} if stage.error else {}),
            "url": f"{self.base}/health/{endpoint.name}" if running or early else None,
            "readyReplica": target if running and stage.healthy else 0,
            "targetReplica": target,
        }

    def _time(self, ticks: int) -> str:
        second = (_START + timedelta(seconds=ticks)).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{second}.{'263078506' if self.scenario.nanoseconds else '263'}Z"

    def _error_body(self, status: int, text: str) -> bytes:
        body = {"error": text, "statusCode": status} if self.profile.status_in_errors else {"error": text}
        return json.dumps(body).encode()


def _json_response(status: int, body: dict[str, Any]) -> Response:
    return Response(status=status, headers=_JSON, body=json.dumps(body).encode())
