"""HEAD and OPTIONS on every resource, and the accept query parameter."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem
from vna.config import WebConfig

VIEWER = "https://viewer.example.org"
NAMES = {
    "study": "1.2",
    "series": "1.3",
    "instance": "1.4",
    "numbers": "1",
    "path": "00100010",
    "after": "0",
}


def paths(archive: Archive) -> list[tuple[str, set[str]]]:
    """Every resource with the methods that it has, UIDs filled in."""
    url_map = archive.app().url_map
    urls = url_map.bind("localhost")
    methods: dict[str, set[str]] = {}
    for rule in url_map.iter_rules():
        values = {name: NAMES.get(name, "1") for name in rule.arguments}
        path = urls.build(rule.endpoint, {**values, **(rule.defaults or {})})
        methods.setdefault(path, set()).update(rule.methods or ())
    return sorted(methods.items())


def test_there_are_resources(archive: Archive) -> None:
    assert len(paths(archive)) > 20


def test_options_everywhere_without_credentials(archive: Archive) -> None:
    settings = WebConfig(host="0.0.0.0", users={}, cors_origins=(VIEWER,), allow_anonymous=True)
    client = archive.app(settings).test_client()
    for path, methods in paths(archive):
        headers = {"Origin": VIEWER, "Access-Control-Request-Method": "GET"}
        response = client.options(path, headers=headers)
        assert response.status_code == 204, path
        assert set(response.headers["Allow"].split(", ")) >= methods, path
        assert response.headers["Access-Control-Allow-Origin"] == VIEWER
        plain = client.options(path)
        assert plain.status_code in {200, 204}, path


def test_head_says_what_get_says(client: FlaskClient, archive: Archive, keep: Keep) -> None:
    keep(samples.ct_at("1.2", "1.3", "1.4"))
    for path, methods in paths(archive):
        if "GET" not in methods:
            continue
        assert "HEAD" in methods, path
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.data) == (got.status_code, b""), path
        assert head.mimetype == got.mimetype, path
        for name in ("ETag", "Accept-Ranges", "Content-Encoding"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)
        got.close()


def test_a_method_that_a_resource_has_not(client: FlaskClient, archive: Archive) -> None:
    for path, methods in paths(archive):
        for method in ("TRACE", "PATCH", "PROPFIND"):
            response = client.open(path, method=method)
            problem(response, 405)
            assert set(response.headers["Allow"].split(", ")) >= methods, path


@pytest.mark.parametrize(
    ("path", "accept", "mimetype"),
    [
        ("/studies", "application/json", "application/json"),
        ("/studies", "application/dicom%2Bjson", "application/dicom+json"),
        ("/studies/1.2/metadata", "application/json", "application/json"),
        ("/studies/1.2/series/1.3/metadata", "application/dicom+json", "application/dicom+json"),
        ("/studies/1.2/series/1.3/instances/1.4", "application/dicom", "application/dicom"),
        (
            "/studies/1.2/series/1.3/instances/1.4/frames/1",
            "application/octet-stream",
            "application/octet-stream",
        ),
        (
            "/studies/1.2/series/1.3/instances/1.4/bulkdata/7FE00010",
            "application/octet-stream",
            "application/octet-stream",
        ),
    ],
)
def test_the_accept_parameter_wins(
    client: FlaskClient, keep: Keep, path: str, accept: str, mimetype: str
) -> None:
    keep(samples.ct_at("1.2", "1.3", "1.4"))
    response = client.get(f"{ROOT}{path}?accept={accept}", headers={"Accept": "image/tiff"})
    assert (response.status_code, response.mimetype) == (200, mimetype)
    problem(client.get(f"{ROOT}{path}?accept=image/tiff", headers={"Accept": "*/*"}), 406)
