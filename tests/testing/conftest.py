"""A client for the simulator over real loopback, and the create body all its tests start from."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

TOKEN = "hf_a-token-for-tests-only"


@pytest.fixture
def create_body() -> dict[str, Any]:
    return {
        "name": "my-endpoint",
        "type": "public",
        "provider": {"vendor": "aws", "region": "us-east-1"},
        "compute": {
            "accelerator": "cpu",
            "instanceType": "intel-spr",
            "instanceSize": "x2",
            "scaling": {"minReplica": 1, "maxReplica": 1},
        },
        "model": {
            "repository": "gpt2",
            "revision": "main",
            "task": "text-generation",
            "framework": "pytorch",
            "image": {"huggingface": {}},
        },
    }


@pytest.fixture
def token() -> str:
    return TOKEN


@pytest.fixture
def call() -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """``call(url, method="GET", body=None, token=TOKEN)`` -> status, headers in lower case, body."""

    def send(
        url: str, method: str = "GET", body: Any = None, token: str | None = TOKEN
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), data, headers)
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, content

    return send
