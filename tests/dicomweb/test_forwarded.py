"""Which URLs answers carry, and whose address counts, behind proxies and in front of strangers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.forwarded import Told, TrustedProxies
from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem
from vna.config import WebConfig
from vna.config_web import check_web
from vna.errors import ConfigError
from vna.index.database import Database

PROXY = "10.0.0.1"
TRUSTED = TrustedProxies([PROXY, "10.1.0.0/16", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, Told(PROXY)),
        ({"Forwarded": "for=192.0.2.7"}, Told("192.0.2.7")),
        (
            {"Forwarded": 'for="[2001:DB9::1]:4711";proto=HTTPS;host="pacs.example.org:8443"'},
            Told("2001:db9::1", "https", "pacs.example.org:8443"),
        ),
        (  # only what is behind the last stranger counts
            {"Forwarded": "for=6.6.6.6;host=evil;proto=http, for=192.0.2.7;host=a;proto=https"},
            Told("192.0.2.7", "https", "a"),
        ),
        (  # a second proxy of ours: the first one knows the client
            {"Forwarded": "for=192.0.2.7;host=a;proto=https, for=10.1.2.3;host=inner"},
            Told("192.0.2.7", "https", "a"),
        ),
        (
            {"Forwarded": "for=192.0.2.7;proto=https, for=10.1.2.3;host=b"},
            Told("192.0.2.7", "https", "b"),
        ),
        ({"Forwarded": "for=unknown;host=a"}, Told(PROXY, "", "a")),
        ({"Forwarded": "for=_hidden"}, Told(PROXY)),
        # whoever could not be named is not one of ours: what he says of others is not believed
        ({"Forwarded": "for=6.6.6.6, for=unknown"}, Told(PROXY)),
        ({"Forwarded": "for=6.6.6.6;host=evil, proto=https"}, Told(PROXY, "https")),
        ({"Forwarded": 'for=6.6.6.6, for="a, for="[2001:db9::1]"'}, Told(PROXY)),
        ({"Forwarded": 'for=6.6.6.6;by=", for=192.0.2.7'}, Told("192.0.2.7")),
        ({"Forwarded": "for=6.6.6.6, for=192.0.2.7 host=evil"}, Told(PROXY)),
        ({"Forwarded": "for=192.0.2.7, , "}, Told("192.0.2.7")),
        ({"X-Forwarded-For": "192.0.2.7,,"}, Told("192.0.2.7")),
        ({"X-Forwarded-For": "6.6.6.6, unknown"}, Told(PROXY)),
        ({"X-Forwarded-For": "6.6.6.6, unknown, 10.1.2.3"}, Told("10.1.2.3")),
        ({"Forwarded": 'for="192.0.2.7:80"; By=1.2.3.4 ;host=a'}, Told("192.0.2.7", "", "a")),
        ({"Forwarded": "host=evil/path;proto=ftp;for=x"}, Told(PROXY)),
        ({"Forwarded": 'for="\\"a"'}, Told(PROXY)),
        (
            {"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.1.2.3", "X-Forwarded-Host": "evil, a"},
            Told("192.0.2.7", "", "a"),
        ),
        (
            {
                "X-Forwarded-For": "192.0.2.7",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "a",
                "X-Forwarded-Port": "8443",
                "X-Forwarded-Prefix": "/pacs/",
            },
            Told("192.0.2.7", "https", "a:8443", "/pacs"),
        ),
        ({"X-Forwarded-Host": "a:1", "X-Forwarded-Port": "2"}, Told(PROXY, "", "a:1")),
        ({"X-Forwarded-Host": "a", "X-Forwarded-Port": "x"}, Told(PROXY, "", "a")),
        ({"X-Forwarded-Prefix": "//evil"}, Told(PROXY)),
        ({"X-Forwarded-Prefix": '/a"b'}, Told(PROXY)),
        (  # RFC 7239 wins over what came before it
            {"Forwarded": "for=192.0.2.7", "X-Forwarded-Host": "evil"},
            Told("192.0.2.7"),
        ),
    ],
)
def test_what_a_trusted_proxy_tells(headers: dict[str, str], told: Told) -> None:
    assert TRUSTED.told(PROXY, headers) == told


@pytest.mark.parametrize("peer", ["10.0.0.2", "", "nonsense", "11.1.0.1", "::1"])
def test_a_stranger_is_not_believed(peer: str) -> None:
    headers = {"Forwarded": "for=1.1.1.1;host=evil", "X-Forwarded-Host": "evil"}
    assert TRUSTED.told(peer, headers) == Told(peer)


@pytest.mark.parametrize("peer", ["10.1.255.255", "2001:db8::5", "::ffff:10.0.0.1"])
def test_proxies_are_known_by_network(peer: str) -> None:
    assert TRUSTED.told(peer, {"Forwarded": "host=a"}) == Told(peer, "", "a")


@given(st.text(max_size=200), st.sampled_from(["Forwarded", "X-Forwarded-For", "X-Forwarded-Host"]))
def test_no_header_breaks_it(text: str, name: str) -> None:
    told = TRUSTED.told(PROXY, {name: text})
    assert told.address
    assert told.scheme in {"", "http", "https"}
    assert not set(told.host) & set('/"<> ')


@pytest.mark.parametrize("start", ["", "for=", 'for="', 'for="\\'])
@pytest.mark.parametrize("repeated", ["a", " ", "a=", '\\"', '"', ";", "a "])
def test_no_header_takes_long(start: str, repeated: str) -> None:
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix"):
        assert TRUSTED.told(PROXY, {name: start + repeated * 100_000}).address == PROXY


def test_a_long_chain_is_read_from_its_end() -> None:
    chain = ", ".join(["for=10.1.0.1"] * 5000 + ["for=192.0.2.7;host=a"])
    assert TRUSTED.told(PROXY, {"Forwarded": chain}) == Told("192.0.2.7", "", "a")


@pytest.mark.parametrize("network", ["example.org", "10.0.0.0/99", ""])
def test_what_is_no_network_stops_the_start(archive: Archive, network: str) -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        check_web(WebConfig(trusted_proxies=(network,)))
    with pytest.raises(ConfigError, match="trusted_proxies"):
        archive.app(WebConfig(trusted_proxies=(network,)))


# --- through the gateway ----------------------------------------------------------------------------


def retrieve_url(
    archive: Archive, settings: WebConfig, environ: dict[str, Any], headers: dict[str, str]
) -> str:
    client = archive.app(settings).test_client()
    base = {"SERVER_NAME": "192.0.2.1", "SERVER_PORT": "8080", "REMOTE_ADDR": PROXY}
    (study,) = client.get(
        f"{ROOT}/studies", headers=headers, environ_overrides={**base, **environ}
    ).get_json()
    url = study["00081190"]["Value"][0]
    assert isinstance(url, str)
    return url.removesuffix("/studies/1.2")


@pytest.fixture
def study(keep: Keep) -> None:
    keep(samples.small(StudyInstanceUID="1.2"))


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("host", "root"),
    [
        ("evil.example.org", "http://192.0.2.1:8080"),
        ("evil.example.org:8080", "http://192.0.2.1:8080"),
        ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ("192.0.2.1", "http://192.0.2.1:8080"),
        ("192.0.2.1:9090", "http://192.0.2.1:9090"),
        ("localhost:9090", "http://localhost:9090"),
        ("LOCALHOST", "http://LOCALHOST:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("", "http://192.0.2.1:8080"),
    ],
)
def test_a_host_that_may_be_anyones_is_not_repeated(archive: Archive, host: str, root: str) -> None:
    found = retrieve_url(archive, WebConfig(), {"HTTP_HOST": host}, {})
    assert found == f"{root}{ROOT}"


@pytest.mark.usefixtures("study")
def test_the_configured_address_is_a_name_of_ours(archive: Archive) -> None:
    settings = WebConfig(host="pacs.example.org", allow_anonymous=True)
    environ = {"HTTP_HOST": "pacs.example.org:8080"}
    assert retrieve_url(archive, settings, environ, {}) == f"http://pacs.example.org:8080{ROOT}"


@pytest.mark.usefixtures("study")
def test_an_ipv6_address_stands_in_brackets(archive: Archive) -> None:
    environ = {"SERVER_NAME": "2001:db8::1", "SERVER_PORT": "80", "HTTP_HOST": "x"}
    assert retrieve_url(archive, WebConfig(), environ, {}) == f"http://[2001:db8::1]{ROOT}"


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "for=192.0.2.7;host=pacs.example.org;proto=https"},
        {"X-Forwarded-Host": "pacs.example.org:443", "X-Forwarded-Proto": "https"},
    ],
)
def test_urls_follow_trusted_proxies_alone(archive: Archive, headers: dict[str, str]) -> None:
    settings = WebConfig(trusted_proxies=(PROXY,))
    expected = f"https://pacs.example.org{ROOT}"
    assert retrieve_url(archive, settings, {}, headers) == expected
    stranger = {"REMOTE_ADDR": "10.0.0.2", "HTTP_HOST": "x"}
    assert retrieve_url(archive, settings, stranger, headers) == f"http://192.0.2.1:8080{ROOT}"
    public = WebConfig(trusted_proxies=(PROXY,), public_url="https://a.example.org")
    assert retrieve_url(archive, public, {}, headers) == f"https://a.example.org{ROOT}"


def test_the_audit_trail_has_the_clients_address(archive: Archive, database: Database) -> None:
    client = archive.app(WebConfig(trusted_proxies=(PROXY,))).test_client()
    response = client.post(
        f"{ROOT}/studies",
        data=samples.small(),
        headers={"Forwarded": "for=192.0.2.7", "Content-Type": "application/dicom"},
        environ_overrides={"REMOTE_ADDR": PROXY},
    )
    assert response.status_code == 200
    with database.connection() as connection:
        assert connection.execute("SELECT address FROM audit").fetchall() == [("192.0.2.7",)]


def test_a_host_that_is_none_is_refused_where_it_would_be_needed(archive: Archive) -> None:
    client = archive.app().test_client()
    problem(client.get(f"{ROOT}/studies", environ_overrides={"HTTP_HOST": "a b"}), 400)
