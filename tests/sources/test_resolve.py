"""Which file a source URL means, and where else it may lie."""

from __future__ import annotations

import pytest

from machine.errors import SourceError
from machine.sources.resolve import beside, candidates, identity, locate


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        ("../openapi/a.yml", "workflows/arazzo/flow.yaml", "workflows/openapi/a.yml"),
        ("../openapi/a.yml", "flow.yaml", "../openapi/a.yml"),
        ("a.yml", "", "a.yml"),
        ("a.yml", "-", "a.yml"),
        ("./a.yml", "/srv/flow.yaml", "/srv/a.yml"),
        ("/etc/a.yml", "/srv/flow.yaml", "/etc/a.yml"),
        ("my%20api.yml", "dir/flow.yaml", "dir/my api.yml"),
        ("my api.yml", "dir/flow.yaml", "dir/my api.yml"),
        ("a.yml", "50%25/flow.yaml", "50%25/a.yml"),
        ("a.yml#/paths", "flow.yaml", "a.yml"),
        ("a.yml?raw=1", "flow.yaml", "a.yml"),
        ("file:///srv/a.yml", "flow.yaml", "/srv/a.yml"),
        ("a.yml", "file:///srv/my%20flows/flow.yaml", "/srv/my flows/a.yml"),
    ],
)
def test_a_source_url_is_a_path_seen_from_its_document(url: str, base: str, expected: str) -> None:
    assert locate(url, base=base) == expected


@pytest.mark.parametrize(
    ("url", "base", "code"),
    [
        ("https://example.test/a.yml", "flow.yaml", "AZM-S002"),
        ("HTTP://example.test/a.yml", "flow.yaml", "AZM-S002"),
        ("//example.test/a.yml", "flow.yaml", "AZM-S002"),
        ("file://example.test/a.yml", "flow.yaml", "AZM-S002"),
        ("a.yml", "https://example.test/flow.yaml", "AZM-S002"),
        ("ftp:a.yml", "flow.yaml", "AZM-S007"),
        ("http://[", "flow.yaml", "AZM-S007"),
        ("a%00.yml", "flow.yaml", "AZM-S007"),
        ("#/paths", "flow.yaml", "AZM-S007"),
        ("", "flow.yaml", "AZM-S007"),
    ],
)
def test_a_url_that_is_no_file_is_refused(url: str, base: str, code: str) -> None:
    with pytest.raises(SourceError) as caught:
        locate(url, base=base)

    assert caught.value.code == code
    assert "--source NAME=PATH" in caught.value.next


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        ("api.yaml", "https://a.test/flows/flow.yaml", "https://a.test/flows/api.yaml"),
        ("https://b.test/api.yaml#/paths", "flow.yaml", "https://b.test/api.yaml"),
        ("../api.yaml", "flows/flow.yaml", "api.yaml"),
        ("urn:example:api", "flow.yaml", "urn:example:api"),
        ("http://[", "flow.yaml", ""),
    ],
)
def test_a_source_is_known_by_its_absolute_url(url: str, base: str, expected: str) -> None:
    assert identity(url, base=base) == expected


@pytest.mark.parametrize(
    ("url", "beside", "expected", "never"),
    [
        ("./apis/x/openapi.json", "repo/flows/x/flow.json", "repo/apis/x/openapi.json", "repo/openapi.json"),
        ("./apis/x/openapi.json", "flow.json", "../apis/x/openapi.json", "../openapi.json"),
        ("../openapi/a.yml", "repo/flows/flow.yml", "repo/flows/a.yml", "repo/a.yml"),
        ("/build/specs/a.yml", "repo/flows/flow.yml", "repo/specs/a.yml", "/build/specs/a.yml"),
        (
            "https://a.test/r/main/apis/x/openapi.json",
            "repo/f/flow.json",
            "repo/apis/x/openapi.json",
            "repo/openapi.json",
        ),
        ("https://a.test/r/main/openapi.json", "repo/f/flow.json", "repo/f/openapi.json", "repo/openapi.json"),
    ],
    ids=["repository root", "relative base", "name beside", "other machine", "remote tail", "remote name"],
)
def test_a_file_is_looked_for_where_such_files_lie(url: str, beside: str, expected: str, never: str) -> None:
    found = list(candidates(url, beside=beside))

    assert expected in found
    assert never not in found
    assert len(found) == len(set(found)) <= 100


@pytest.mark.parametrize("url", ["", "#/paths", "http://[", "a%00.yml", ".."])
def test_what_names_no_file_is_looked_for_nowhere(url: str) -> None:
    assert list(candidates(url, beside="flow.yaml")) == []


@pytest.mark.parametrize(
    ("here", "reference", "expected"),
    [
        ("api/a.yaml", "b.yaml#/x", "api/b.yaml"),
        ("api/a.yaml", "../my%20b.yaml", "my b.yaml"),
        ("api/a.yaml", "#/x", ""),
        ("api/a.yaml", "file:///etc/passwd", ""),
        ("api/a.yaml", "//host/b.yaml", ""),
        ("api/a.yaml", "b%00.yaml", ""),
        ("api/a.yaml", "https://api.test/b.yaml#/x", "https://api.test/b.yaml"),
        ("https://api.test/v1/a.yaml", "b.yaml#/x", "https://api.test/v1/b.yaml"),
        ("https://api.test/v1/a.yaml", "/b.yaml?raw=1", "https://api.test/b.yaml?raw=1"),
        ("https://api.test/v1/a.yaml", "//other.test/b.yaml", "https://other.test/b.yaml"),
        ("https://api.test/v1/a.yaml", "file:///etc/passwd", ""),
        ("https://api.test/v1/a.yaml", "https://[b.yaml", ""),
    ],
)
def test_a_reference_leads_to_a_file_seen_from_its_own(here: str, reference: str, expected: str) -> None:
    assert beside(here, reference) == expected
