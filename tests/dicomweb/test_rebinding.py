"""Web pages that give their own name the address of this machine get nothing; everyone else is served as before."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.dicomweb.conftest import Archive
from tests.dicomweb.multiparts import ROOT, problem
from vna.config import WebConfig

BROWSER = {"Accept-Language": "de, en;q=0.5"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "1e3"]
)
def test_no_web_page_gives_the_archive_its_own_name(client: FlaskClient, host: str) -> None:
    named = {"HTTP_HOST": host}
    for path in (f"{ROOT}/studies", "/healthz"):
        problem(client.get(path, headers=BROWSER, environ_overrides=named), 421)
    problem(client.delete(f"{ROOT}/studies/1.2", headers=BROWSER, environ_overrides=named), 421)
    assert client.get(f"{ROOT}/studies", environ_overrides=named).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost:8080", "LOCALHOST.", "a.localhost", "127.0.0.1:1", "[::1]:80", "10.1.2.3"]
)
def test_browsers_are_served_under_addresses_and_localhost(client: FlaskClient, host: str) -> None:
    response = client.get(f"{ROOT}/studies", headers=BROWSER, environ_overrides={"HTTP_HOST": host})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "settings",
    [
        WebConfig(host="0.0.0.0", allow_anonymous=True),
        WebConfig(public_url="https://pacs.example"),
        WebConfig(trusted_proxies=("10.0.0.1",)),
        WebConfig(cors_origins=("https://viewer.example",)),
    ],
)
def test_an_archive_that_knows_its_names_serves_browsers(
    archive: Archive, settings: WebConfig
) -> None:
    headers = {**BROWSER, "Origin": "https://viewer.example"}
    named = {"HTTP_HOST": "pacs.example"}
    client = archive.app(settings).test_client()
    response = client.get(f"{ROOT}/studies", headers=headers, environ_overrides=named)
    assert response.status_code == 200
