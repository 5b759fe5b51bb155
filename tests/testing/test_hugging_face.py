"""The resource model by itself: calls in, answers out, no socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from machine.errors import UsageError
from machine.testing.hugging_face import Response, Simulation
from machine.testing.profiles import find_profile
from machine.testing.scenarios import Fault, Scenario, Stage, find_scenario

ENDPOINT = "/v2/endpoint/acme/my-endpoint"


class Service:
    """A simulation with a caller who always sends a token."""

    def __init__(self, scenario: str | Scenario = "happy", profile: str = "published", **more: Any) -> None:
        self.simulation = Simulation(
            scenario=find_scenario(scenario) if isinstance(scenario, str) else scenario,
            profile=find_profile(profile),
            base="http://127.0.0.1:1",
            **more,
        )

    def send(self, method: str, path: str, body: Any = None, authorization: str = "Bearer hf_any-token") -> Response:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.simulation.handle(method, path, {"Authorization": authorization}, data)

    def create(self, body: Any) -> Response:
        return self.send("POST", "/v2/endpoint/acme", body)

    def poll(self, times: int = 1) -> dict[str, Any]:
        """The status of the last of so many polls."""
        replies = [self.send("GET", ENDPOINT) for _ in range(times)]
        return dict(json.loads(replies[-1].body)["status"])

    def act(self, action: str) -> tuple[int, str]:
        """The status of the answer, and the state or error in it."""
        reply = self.send("POST", f"{ENDPOINT}/{action}")
        body = json.loads(reply.body)
        return reply.status, body["status"]["state"] if "status" in body else body["error"]


@pytest.mark.parametrize(("profile", "status"), [("published", 201), ("live", 200), ("legacy", 202)])
def test_create_answers_the_status_of_the_profile(profile: str, status: int, create_body: dict[str, Any]) -> None:
    assert Service(profile=profile).create(create_body).status == status


def test_the_answer_of_create_is_the_full_endpoint(create_body: dict[str, Any]) -> None:
    reply = Service().create(create_body)

    assert json.loads(reply.body) == {
        "name": "my-endpoint",
        "type": "public",
        "provider": {"vendor": "aws", "region": "us-east-1"},
        "compute": {
            "id": "aws-us-east-1-intel-spr-x2",
            "accelerator": "cpu",
            "instanceType": "intel-spr",
            "instanceSize": "x2",
            "scaling": {
                "minReplica": 1,
                "maxReplica": 1,
                "scaleToZeroTimeout": None,
                "measure": {"hardwareUsage": None},
            },
        },
        "model": {
            "repository": "gpt2",
            "revision": "11c5a3d5811f50298f278a704980280950aedb10",
            "task": "text-generation",
            "framework": "pytorch",
            "image": {"huggingface": {}},
            "env": {},
            "secrets": {},
        },
        "healthRoute": "/health",
        "tags": [],
        "experimentalFeatures": {"cacheHttpResponses": False},
        "notifications": {"email": True, "push": False},
        "status": {
            "createdAt": "2026-10-02T12:41:53.263Z",
            "createdBy": {"id": "6273f303f6d63a28483fde12", "name": "acme"},
            "updatedAt": "2026-10-02T12:41:53.263Z",
            "updatedBy": {"id": "6273f303f6d63a28483fde12", "name": "acme"},
            "private": None,
            "state": "pending",
            "message": "Endpoint waiting to be scheduled",
            "url": "http://127.0.0.1:1/health/my-endpoint",
            "readyReplica": 0,
            "targetReplica": 1,
        },
    }


def test_updated_at_moves_only_when_the_state_does(create_body: dict[str, Any]) -> None:
    service = Service()
    service.create(create_body)

    seconds = [service.poll()["updatedAt"][17:19] for _ in range(8)]

    assert seconds == ["53", "53", "56", "56", "56", "59", "59", "59"]


def test_two_services_given_the_same_calls_answer_the_same_bytes(create_body: dict[str, Any]) -> None:
    one, other = Service("flap"), Service("flap")
    for service in (one, other):
        service.create(create_body)

    assert [one.send("GET", ENDPOINT) for _ in range(12)] == [other.send("GET", ENDPOINT) for _ in range(12)]


@pytest.mark.parametrize(
    ("scenario", "profile", "polls", "there"),
    [
        ("happy", "published", 1, True),
        ("happy", "legacy", 1, False),
        ("happy", "legacy", 6, True),
        ("url-late", "published", 5, False),
        ("url-late", "published", 6, True),
        ("url-early", "legacy", 1, True),
    ],
)
def test_the_url_is_there_when_profile_and_scenario_say(
    scenario: str, profile: str, polls: int, there: bool, create_body: dict[str, Any]
) -> None:
    service = Service(scenario, profile)
    service.create(create_body)

    assert bool(service.poll(polls)["url"]) is there


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", 401),
        ("Bearer", 401),
        ("Bearer  ", 401),
        ("Basic right-token", 401),
        ("Bearer wrong-token", 401),
        ("Bearer right-token, Bearer right-token", 401),
        ("right-token", 401),
        ("Bearer right-token", 404),
        ("bearer right-token", 404),
    ],
)
def test_only_the_token_is_let_in(authorization: str, status: int) -> None:
    assert Service(token="right-token").send("GET", ENDPOINT, authorization=authorization).status == status


def test_header_names_are_of_any_case() -> None:
    service = Service(token="right-token")

    assert service.simulation.handle("GET", ENDPOINT, {"AUTHORIZATION": "Bearer right-token"}, b"").status == 404


def test_the_hardware_listing_needs_no_token() -> None:
    assert Service().send("GET", "/v2/provider", authorization="").status == 200


@pytest.mark.parametrize(
    ("body", "authorization", "status", "text"),
    [
        (b"{", "", 401, "A valid user or organization token"),
        (b"{", "Bearer any-token", 400, "Failed to parse the request body as JSON"),
        (b"[]", "Bearer any-token", 400, "expected an object"),
        (b"[" * 100_000, "Bearer any-token", 400, "recursion limit"),
        (b"{}", "Bearer any-token", 400, "missing field `name`"),
    ],
    ids=["no-token-first", "syntax", "list", "deep", "fields-last"],
)
def test_refusals_come_in_the_documented_order(body: bytes, authorization: str, status: int, text: str) -> None:
    reply = Service().send("POST", "/v2/endpoint/acme", body, authorization)

    assert reply.status == status
    assert text in json.loads(reply.body)["error"]


def test_quota_is_told_before_a_duplicate(create_body: dict[str, Any]) -> None:
    service = Service(Scenario(name="both", summary="", quota=0, existing=(Stage(state="running"),)))

    assert json.loads(service.create(create_body).body)["error"] == "Quota exceeded"


@pytest.mark.parametrize(
    ("profile", "body"),
    [
        ("published", {"error": "Endpoint not found", "statusCode": 404}),
        ("live", {"error": "Endpoint not found"}),
        ("legacy", {"error": "Endpoint not found"}),
    ],
)
def test_an_unknown_endpoint_is_404_in_the_shape_of_the_profile(profile: str, body: dict[str, Any]) -> None:
    reply = Service(profile=profile).send("GET", ENDPOINT)

    assert (reply.status, json.loads(reply.body)) == (404, body)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "*", 404),
        ("GET", "/v2/endpoint/acme/x/y/z", 404),
        ("POST", "/v2/endpoint/acme/x/explode", 404),
        ("GET", "/v2/endpoint//", 404),
        ("DELETE", "/v2/endpoint/acme", 405),
        ("GET", "/v2/endpoint/acme/x/pause", 405),
    ],
)
def test_paths_and_methods_that_do_not_exist_are_told(method: str, path: str, status: int) -> None:
    assert Service().send(method, path).status == status


def test_a_name_is_taken_until_it_is_deleted(create_body: dict[str, Any]) -> None:
    service = Service()
    statuses = [service.create(create_body).status, service.create(create_body).status]
    statuses += [service.send("DELETE", ENDPOINT).status, service.send("GET", ENDPOINT).status]
    statuses += [service.create(create_body).status]

    assert statuses == [201, 409, 200, 404, 201]
    assert (service.simulation.creates, service.simulation.create_requests) == (2, 3)


@pytest.mark.parametrize(("profile", "body"), [("published", b""), ("live", b"{}"), ("legacy", b"{}")])
def test_delete_answers_with_the_body_of_the_profile(profile: str, body: bytes, create_body: dict[str, Any]) -> None:
    service = Service(profile=profile)
    service.create(create_body)

    assert service.send("DELETE", ENDPOINT).body == body


def test_the_same_name_in_two_namespaces_is_two_endpoints(create_body: dict[str, Any]) -> None:
    service = Service()
    service.create(create_body)

    assert service.send("POST", "/v2/endpoint/other", create_body).status == 201
    assert service.simulation.summary()["endpoints"] == {"acme/my-endpoint": "pending", "other/my-endpoint": "pending"}


def test_pause_stops_any_state_and_resume_starts_over(create_body: dict[str, Any]) -> None:
    service = Service()
    service.create(create_body)
    service.poll(6)

    assert service.act("resume") == (400, "Endpoint is already running")
    assert service.act("pause") == (200, "paused")
    assert service.poll(3)["state"] == "paused"
    assert (service.poll()["readyReplica"], service.poll()["targetReplica"]) == (0, 1)
    assert service.act("resume") == (200, "pending")
    assert service.poll(6)["state"] == "running"


def test_an_endpoint_paused_by_a_colleague_shows_who_did_it(create_body: dict[str, Any]) -> None:
    service = Service("paused-by-colleague")
    service.create(create_body)

    assert service.poll(6)["updatedBy"]["name"] == "colleague"
    assert service.act("resume") == (200, "pending")
    assert service.poll()["updatedBy"]["name"] == "acme"


def test_a_failed_start_tells_why_and_can_be_resumed(create_body: dict[str, Any]) -> None:
    service = Service("failed-image")
    service.create(create_body)

    assert service.poll(6)["errorMessage"] == "Container exited with code 1"
    assert service.act("resume") == (200, "pending")
    assert "errorMessage" not in service.poll()


def test_a_failed_update_cannot_be_resumed(create_body: dict[str, Any]) -> None:
    service = Service("update-failed")
    service.create(create_body)
    service.poll(5)

    assert service.act("resume") == (400, "Endpoint has a configuration error: update it")


def test_resume_checks_the_quota_again(create_body: dict[str, Any]) -> None:
    service = Service(Scenario(name="one", summary="", quota=1))
    service.create(create_body)
    service.act("pause")

    assert service.create({**create_body, "name": "second"}).status == 201
    assert service.act("resume") == (409, "Quota exceeded")


@pytest.mark.parametrize(
    ("timeout", "result"), [(None, (400, "workload cannot be scaled to zero")), (15, (200, "scaledToZero"))]
)
def test_only_an_endpoint_with_a_timeout_scales_to_zero(
    timeout: int | None, result: tuple[int, str], create_body: dict[str, Any]
) -> None:
    service = Service()
    create_body["compute"]["scaling"]["scaleToZeroTimeout"] = timeout
    service.create(create_body)

    assert service.act("scale-to-zero") == result


@pytest.mark.parametrize(
    ("scenario", "states"),
    [
        ("happy", ["updating", "updating", "updating", "running", "running"]),
        ("update-failed", ["updating", "updating", "updating", "updateFailed", "updateFailed"]),
    ],
)
def test_an_update_is_merged_and_goes_through_updating(
    scenario: str, states: list[str], create_body: dict[str, Any]
) -> None:
    service = Service(scenario)
    service.create(create_body)
    service.poll(2)
    reply = service.send("PUT", ENDPOINT, {"compute": {"instanceSize": "x4"}, "name": "other", "tags": None})
    body = json.loads(reply.body)

    assert (body["name"], body["compute"]["instanceSize"], body["compute"]["instanceType"]) == (
        "my-endpoint",
        "x4",
        "intel-spr",
    )
    assert [body["status"]["state"], *(service.poll()["state"] for _ in range(4))] == states


@pytest.mark.parametrize("changes", [{"compute": 5}, {"model": {"image": []}}, {"compute": {"instanceSize": "x3"}}])
def test_an_update_that_makes_no_sense_changes_nothing(changes: Any, create_body: dict[str, Any]) -> None:
    service = Service()
    before = json.loads(service.create(create_body).body)["compute"]
    reply = service.send("PUT", ENDPOINT, changes)

    assert reply.status == 400
    assert json.loads(service.send("GET", ENDPOINT).body)["compute"] == before


def test_an_update_leaves_a_paused_endpoint_paused(create_body: dict[str, Any]) -> None:
    service = Service("toggle-paused")
    reply = service.send("PUT", ENDPOINT, {"compute": {"instanceSize": "x4"}})

    assert json.loads(reply.body)["status"]["state"] == "paused"


def test_an_endpoint_that_was_there_already_stays_deleted() -> None:
    service = Service("toggle-running")

    assert [service.send(method, ENDPOINT).status for method in ("GET", "DELETE", "GET")] == [200, 200, 404]
    assert service.simulation.creates == 0


def test_the_list_shows_what_can_be_seen(create_body: dict[str, Any]) -> None:
    service = Service("get-404-grace")
    service.create(create_body)
    counts = []
    for _ in range(4):
        counts.append(json.loads(service.send("GET", "/v2/endpoint/acme").body)["totalItems"])
        service.send("GET", ENDPOINT)

    assert counts == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("scenario", "polls", "status"),
    [
        ("happy", 0, 503),
        ("happy", 5, 503),
        ("happy", 6, 200),
        ("url-early", 1, 503),
        ("running-without-health", 6, 503),
        ("paused-by-colleague", 6, 400),
        ("scaled-to-zero-mid-wait", 6, 503),
    ],
)
def test_health_answers_200_only_when_running(
    scenario: str, polls: int, status: int, create_body: dict[str, Any]
) -> None:
    service = Service(scenario)
    service.create(create_body)
    for _ in range(polls):
        service.send("GET", ENDPOINT)

    assert service.send("GET", "/health/my-endpoint/health", authorization="").status == status
    assert service.send("GET", "/health/my-endpoint", authorization="").status == status


def test_health_does_not_move_the_timeline_and_knows_no_strangers(create_body: dict[str, Any]) -> None:
    service = Service()
    service.create(create_body)
    for _ in range(10):
        service.send("GET", "/health/my-endpoint/health")

    assert service.poll()["state"] == "pending"
    assert service.send("GET", "/health/stranger").status == 404


def test_health_without_a_name_is_that_of_whatever_is_there(create_body: dict[str, Any]) -> None:
    service = Service()
    before = service.send("GET", "/v2/health", authorization="").status
    service.create(create_body)
    starting = service.send("GET", "/v2/health", authorization="").status
    for _ in range(6):
        service.poll()

    assert (before, starting) == (404, 503)
    assert service.send("GET", "/v2/health", authorization="").status == 200


def test_a_health_route_of_ones_own_is_shown(create_body: dict[str, Any]) -> None:
    create_body["model"]["image"] = {"custom": {"url": "registry/image", "healthRoute": "/up"}}

    assert json.loads(Service().create(create_body).body)["healthRoute"] == "/up"


def test_model_secrets_are_never_given_back_or_kept(create_body: dict[str, Any]) -> None:
    service = Service()
    create_body["model"]["secrets"] = {"KEY": "the-secret-value"}
    create_body["model"]["env"] = {"LEAK": "hf_any-token"}
    reply = service.create(create_body)

    assert json.loads(reply.body)["model"]["secrets"] == {"KEY": None}
    assert "the-secret-value" not in json.dumps(service.simulation.to_json())
    assert "hf_any-token" not in json.dumps(service.simulation.to_json())


FAULTS: dict[str, tuple[Fault, dict[str, Any]]] = {
    "fixed": (Fault(route="get", status=500, body="x"), {"status": 500, "body": b"x"}),
    "reset": (Fault(route="get", cut="reset"), {"cut": "reset"}),
    "truncated": (Fault(route="get", effect=True, cut="truncate"), {"status": 200, "cut": "truncate"}),
    "delay": (Fault(route="get", effect=True, delay=2.5), {"status": 200, "delay": 2.5}),
    "not-json": (Fault(route="get", effect=True, body='{"name":'), {"status": 200, "body": b'{"name":'}),
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_shapes_the_answer(fault: Fault, expected: dict[str, Any], create_body: dict[str, Any]) -> None:
    service = Service(Scenario(name="own", summary="", faults=(fault,)))
    service.create(create_body)
    reply = service.send("GET", ENDPOINT)

    assert {key: getattr(reply, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((("Content-Type", "text/html"),), 0),
        ((("Location", "http://127.0.0.1:1/elsewhere"),), 307),
        ((("Retry-After", "Fri, 02 Oct 2026 12:42:00 GMT"),), 429),
    ],
    ids=["content-type", "redirect", "retry-after-date"],
)
def test_a_fault_adds_headers_or_replaces_them(
    headers: tuple[tuple[str, str], ...], status: int, create_body: dict[str, Any]
) -> None:
    fault = Fault(route="get", effect=True, status=status, headers=headers)
    service = Service(Scenario(name="own", summary="", faults=(fault,)))
    service.create(create_body)
    reply = service.send("GET", ENDPOINT)

    assert reply.status == (status or 200)
    assert headers[0] in reply.headers
    assert [name for name, _ in reply.headers].count("Content-Type") == 1


@pytest.mark.parametrize(("effect", "creates"), [(False, 0), (True, 1)])
def test_a_reset_comes_before_or_after_the_effect(effect: bool, creates: int, create_body: dict[str, Any]) -> None:
    service = Service(Scenario(name="own", summary="", faults=(Fault(route="create", effect=effect, cut="reset"),)))
    service.create(create_body)

    assert service.simulation.creates == creates
    assert service.simulation.create_requests == 1
    assert service.simulation.requests[0]["status"] is None


def test_looking_before_creating_does_not_use_up_the_faults_of_polls(create_body: dict[str, Any]) -> None:
    service = Service("poll-502-burst")
    for _ in range(5):
        service.send("GET", ENDPOINT)
    service.create(create_body)

    assert [service.send("GET", ENDPOINT).status for _ in range(5)] == [200, 502, 502, 502, 200]
    assert service.simulation.summary()["polls"] == 10


def test_the_state_survives_a_trip_through_json(create_body: dict[str, Any]) -> None:
    service, other = Service("flap"), Service("flap")
    service.create(create_body)
    service.poll(3)
    other.simulation.restore(json.loads(json.dumps(service.simulation.to_json())))

    assert other.simulation.to_json() == service.simulation.to_json()
    assert [other.send("GET", ENDPOINT) for _ in range(8)] == [service.send("GET", ENDPOINT) for _ in range(8)]


def test_the_state_of_another_scenario_is_refused() -> None:
    with pytest.raises(UsageError, match="belongs to scenario happy") as caught:
        Service("flap").simulation.restore(Service("happy").simulation.to_json())

    assert caught.value.code == "AZM-U703"
