from __future__ import annotations

import pytest

from machine.errors import HostError
from machine.runtime.hosts import base_url, check_secrecy, is_loopback, is_public, origin_of

INWARD = [
    "localhost",
    "LOCALHOST.",
    "api.localhost",
    "printer.local",
    "metadata.google.internal",
    "intranet",
    "127.0.0.1",
    "127.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "2130706433",
    "0x7f000001",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.9.9",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fd00::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "127.0.0.1%25lo",
]
PUBLIC = [
    "api.example.com",
    "api.endpoints.huggingface.cloud",
    "8.8.8.8",
    "[2606:4700::1111]",
    "[64:ff9b::808:808]",
    "[::ffff:8.8.8.8]",
    "127.0.0.1.example.com",
    "localhost.example.com",
    "a1.example2.com",
]


@pytest.mark.parametrize("host", PUBLIC)
@pytest.mark.parametrize("rest", ["", ":8443", "/v2", "/v2/"])
def test_a_public_host_of_the_description_may_be_called(host: str, rest: str) -> None:
    url = base_url("api", f"https://{host}{rest}", {}, ())

    assert url == f"https://{host}{rest}".rstrip("/")


@pytest.mark.parametrize("host", INWARD)
def test_an_inward_host_of_the_description_is_refused(host: str) -> None:
    with pytest.raises(HostError) as caught:
        base_url("api", f"https://{host}/v2", {}, ())

    assert caught.value.code == "AZM-C031"
    assert caught.value.exit_code == 78
    assert "--allow-host" in caught.value.next


@pytest.mark.parametrize("host", INWARD)
def test_an_inward_host_the_operator_names_may_be_called(host: str) -> None:
    url = f"http://{host}:8080/v2"
    plain = host.strip("[]").rstrip(".").lower()

    assert base_url("api", "https://api.example.com", {"api": url}, ()) == url
    assert base_url("api", url, {}, (plain,)) == url


@pytest.mark.parametrize("allowed", ["127.0.0.2", "example.com", "0.0.1", ""])
def test_only_the_host_that_is_allowed_may_be_called(allowed: str) -> None:
    with pytest.raises(HostError):
        base_url("api", "http://127.0.0.1", {"other": "http://127.0.0.1"}, (allowed,))


def test_an_empty_name_is_no_name() -> None:
    with pytest.raises(HostError) as caught:
        base_url("api", "http://127.0.0.1", {"api": ""}, ())

    assert caught.value.code == "AZM-C031"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="nothing"),
        pytest.param("/v2", id="relative"),
        pytest.param("//api.example.com", id="without-a-scheme"),
        pytest.param("ftp://api.example.com", id="ftp"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("javascript:alert(1)", id="script"),
        pytest.param("https://", id="without-a-host"),
        pytest.param("https://:443", id="only-a-port"),
        pytest.param("https://api.example.com:x", id="bad-port"),
        pytest.param("https://api.example.com:99999", id="large-port"),
        pytest.param("https://[::1", id="half-a-bracket"),
        pytest.param("https://{region}.example.com", id="variable"),
        pytest.param("https://api.example.com/?v=2", id="query"),
        pytest.param("https://api.example.com/#a", id="fragment"),
        pytest.param("https://127.0.0.1\\.example.com", id="backslash"),
        pytest.param("https://127.0.0.1\n.example.com", id="line-end"),
        pytest.param("https://127.0.0.1\t.example.com", id="tab"),
        pytest.param("https://api.example.com /v2", id="blank"),
        pytest.param("https://\uff11\uff12\uff17.0.0.1", id="wide-digits"),
        pytest.param("https://ex\u3002ample.com", id="wide-full-stop"),
    ],
)
@pytest.mark.parametrize("named", [False, True], ids=["described", "named"])
def test_what_does_not_name_one_server_is_refused(url: str, named: bool) -> None:
    described, given = ("", {"api": url}) if named else (url, {})

    with pytest.raises(HostError) as caught:
        base_url("api", described, given, ())

    assert caught.value.code == "AZM-C030"
    assert "--server api=" in caught.value.next


@pytest.mark.parametrize(
    "url",
    ["https://user:s3cret@api.example.com", "https://s3cret@api.example.com", "http://127.0.0.1\\s3cret@example.com/"],
)
def test_a_credential_in_a_server_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(HostError) as caught:
        base_url("api", "", {"api": url}, ())

    assert caught.value.code == "AZM-C033"
    assert "s3cret" not in f"{caught.value!r} {caught.value} {caught.value.to_json()}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:8080/a", True),
        ("http://LOCALHOST.", True),
        ("http://api.localhost", True),
        ("http://127.0.0.1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:1/", True),
        ("http://192.168.0.1", False),
        ("http://0.0.0.0", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://2130706433", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_and_nothing_else(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://api.example.com", True),
        ("HTTPS://api.example.com", True),
        ("http://127.0.0.1:8080", True),
        ("http://api.example.com", False),
        ("http://192.168.0.1", False),
        ("HTTP://api.example.com", False),
    ],
)
def test_a_secret_may_leave_over_https_or_stay_on_this_machine(url: str, safe: bool) -> None:
    if safe:
        check_secrecy(url, "create")
        return
    with pytest.raises(HostError) as caught:
        check_secrecy(url, "create")

    assert caught.value.code == "AZM-C032"


@pytest.mark.parametrize(
    ("described", "named", "message", "advice"),
    [
        pytest.param("", "", "does not say", "--server api=https://HOST/PATH", id="nothing"),
        pytest.param("/v1", "", "does not say", "--server api=https://HOST/v1", id="a-path"),
        pytest.param("//other.test/v1", "", "does not say", "--server api=https://HOST/PATH", id="no-scheme"),
        pytest.param(
            "https://{region}.api.test/{v}",
            "",
            "does not say",
            "with values for region, v: --server api=https://{region}.api.test/{v}",
            id="variables",
        ),
        pytest.param("/v1", "nowhere", "is not the URL", "--server api=https://HOST/v1", id="named-wrongly"),
    ],
)
def test_a_server_that_is_missing_is_told_with_what_is_known_of_it(
    described: str, named: str, message: str, advice: str
) -> None:
    with pytest.raises(HostError) as caught:
        base_url("api", described, {"api": named} if named else {}, ())

    assert caught.value.code == "AZM-C030"
    assert message in caught.value.message
    assert caught.value.next.endswith(advice)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("api.example.com", False),
        ("", False),
    ],
)
def test_only_an_address_of_the_open_internet_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.example.com/v2?a#b", "https://api.example.com:443"),
        ("http://api.example.com", "http://api.example.com:80"),
        ("https://API.example.com.:443/", "https://api.example.com:443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]:443"),
        ("other://api.example.com:1", "other://api.example.com:1"),
    ],
)
def test_an_origin_is_a_scheme_a_host_and_a_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["", "/a", "https://", "https:///a", "http://:80", "other://api.example.com", "http://a:b"]
)
def test_what_names_no_server_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"origin|[Pp]ort"):
        origin_of(url)
