"""The gateway tells programs what it can do, and forgets none of its routes."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dicomweb.resource_table import TABLE
from dicomweb.resources import UNKNOWN, described, readable
from tests.dicomweb.conftest import Archive
from vna.config import WebConfig

ROOT = "/dicom-web"
WADL = "application/vnd.sun.wadl+xml"
NAMESPACE = {"w": "http://wadl.dev.java.net/2009/02"}
OWN_METHODS = {"HEAD", "OPTIONS"}


@pytest.fixture
def app(archive: Archive) -> Flask:
    return archive.app()


def routes(app: Flask) -> set[tuple[str, str]]:
    """Method and path of everything that the application answers, OPTIONS left out."""
    return {
        (method, readable(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
    }


def test_every_route_is_described(app: Flask) -> None:
    missing = [
        f"{route.method} {route.path}"
        for route in described(app, TABLE)
        if route.operation is UNKNOWN
    ]
    assert missing == [], "describe them in dicomweb/resource_table.py"


def test_every_description_has_its_route(app: Flask) -> None:
    there = routes(app) | {("OPTIONS", f"{ROOT}/")}
    assert set(TABLE) - there == set()


def wadl(client: FlaskClient, method: str = "GET", **headers: str) -> ET.Element:
    response = client.open(f"{ROOT}/", method=method, headers=headers)
    assert response.status_code == 200, response.text
    assert response.mimetype == WADL
    return ET.fromstring(response.data)  # noqa: S314 – our own


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_every_route_below_the_root_is_in_the_capabilities(
    app: Flask, client: FlaskClient, method: str
) -> None:
    document = wadl(client, method)
    found = {
        (verb.get("name"), f"{ROOT}/{resource.get('path')}")
        for resource in document.iterfind(".//w:resource", NAMESPACE)
        for verb in resource.iterfind("w:method", NAMESPACE)
    }
    assert found - {("OPTIONS", f"{ROOT}/")} == {
        route for route in routes(app) if route[1].startswith(f"{ROOT}/")
    }
    base = document.find("w:resources", NAMESPACE)
    assert base is not None
    assert base.get("base") == "http://localhost/dicom-web/"


def test_capabilities_name_media_types_parameters_and_the_maximum(archive: Archive) -> None:
    client = archive.app(WebConfig(max_results=77)).test_client()
    document = wadl(client)
    search = document.find(".//w:method[@id='get-studies']", NAMESPACE)
    assert search is not None
    kinds = [r.get("mediaType") for r in search.iterfind(".//w:representation", NAMESPACE)]
    assert "application/dicom+json" in kinds
    names = [p.get("name") for p in search.iterfind(".//w:param", NAMESPACE)]
    assert {"Accept", "limit", "offset", "fuzzymatching", "includefield"} <= set(names)
    assert "77" in "".join(document.itertext())
    instance = document.find(
        ".//w:resource[@path='studies/{study}/series/{series}/instances/{instance}']", NAMESPACE
    )
    assert instance is not None
    templates = [p.get("name") for p in instance.iterfind("w:param", NAMESPACE)]
    assert templates == ["study", "series", "instance"]


def test_capabilities_as_json(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}/", headers={"Accept": "application/json"})
    assert response.mimetype == "application/json"
    (resources,) = response.get_json()["application"]["resources"]
    assert len(resources["resource"]) > 10
    assert client.get(f"{ROOT}/?accept=application/json").mimetype == "application/json"
    assert client.get(f"{ROOT}/", headers={"Accept": "image/png"}).status_code == 406


def test_capabilities_without_the_last_slash(client: FlaskClient) -> None:
    assert client.get(ROOT).status_code == 200
    assert client.head(f"{ROOT}/").status_code == 200


def test_a_preflight_of_the_root_is_a_preflight(archive: Archive) -> None:
    client = archive.app(WebConfig(cors_origins=("https://v.example",))).test_client()
    headers = {"Origin": "https://v.example", "Access-Control-Request-Method": "GET"}
    response = client.options(f"{ROOT}/", headers=headers)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "https://v.example"


INSTANCE = "studies/{study}/series/{series}/instances/{instance}"


def test_a_resource_describes_itself_and_what_is_below_it(client: FlaskClient) -> None:
    path = f"{ROOT}/studies/1.2/series/1.3/instances/1.4"
    response = client.options(path, headers={"Accept": WADL})
    assert (response.status_code, response.mimetype) == (200, WADL)
    assert response.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS"
    document = ET.fromstring(response.data)  # noqa: S314 – our own
    found = [str(r.get("path")) for r in document.iterfind(".//w:resource", NAMESPACE)]
    assert INSTANCE in found
    assert f"{INSTANCE}/metadata" in found
    assert all(one.startswith(INSTANCE) for one in found)
    studies = client.options(f"{ROOT}/studies", headers={"Accept": "application/json"})
    (resources,) = studies.get_json()["application"]["resources"]
    assert resources["resource"][0]["path"] == "studies"


@pytest.mark.parametrize("accept", ["*/*", "application/dicom+json", ""])
def test_options_are_methods_unless_a_description_is_named(
    client: FlaskClient, accept: str
) -> None:
    response = client.options(f"{ROOT}/studies", headers={"Accept": accept})
    assert (response.status_code, response.data) == (204, b"")
    assert client.options("/healthz", headers={"Accept": WADL}).status_code != 500


def test_a_preflight_is_one_whatever_it_accepts(archive: Archive) -> None:
    client = archive.app(WebConfig(cors_origins=("https://v.example",))).test_client()
    headers = {
        "Origin": "https://v.example",
        "Access-Control-Request-Method": "GET",
        "Accept": "application/json",
    }
    assert client.options(f"{ROOT}/studies", headers=headers).status_code == 204


def test_descriptions_of_resources_need_a_user_too(archive: Archive) -> None:
    settings = WebConfig(host="0.0.0.0", users={"eve": "scrypt:32768:8:1$a$b"})
    client = archive.app(settings).test_client()
    assert client.options(f"{ROOT}/studies", headers={"Accept": WADL}).status_code == 401
    assert client.options(f"{ROOT}/studies").status_code == 204


def openapi(client: FlaskClient) -> dict[str, Any]:
    response = client.get(f"{ROOT}/openapi.json")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    document: dict[str, Any] = response.get_json()
    return document


def test_every_route_is_in_the_openapi_document(app: Flask, client: FlaskClient) -> None:
    document = openapi(client)
    assert document["openapi"].startswith("3.1.")
    found = {
        (method.upper(), path) for path, verbs in document["paths"].items() for method in verbs
    }
    assert found - {("OPTIONS", f"{ROOT}/")} == routes(app)


def test_operations_have_names_of_their_own_and_all_their_variables(client: FlaskClient) -> None:
    names = []
    for path, verbs in openapi(client)["paths"].items():
        for verb in verbs.values():
            names.append(verb["operationId"])
            variables = [p["name"] for p in verb["parameters"] if p["in"] == "path"]
            assert variables == re.findall(r"\{(\w+)\}", path)
            assert "default" in verb["responses"]
    assert len(names) == len(set(names))


def test_the_document_is_for_the_address_of_the_client(archive: Archive) -> None:
    client = archive.app(WebConfig(public_url="https://pacs.example/pacs/web")).test_client()
    document = openapi(client)
    assert document["servers"] == [{"url": "https://pacs.example"}]
    assert "/pacs/web/studies/{study}" in document["paths"]
    assert "/healthz" in document["paths"]


def test_documents_need_a_user_where_there_are_users(archive: Archive) -> None:
    settings = WebConfig(host="0.0.0.0", users={"eve": "scrypt:32768:8:1$a$b"})
    client = archive.app(settings).test_client()
    for path in ("/", "/openapi.json"):
        assert client.get(ROOT + path).status_code == 401
