"""What every request meets: credentials, origins, hosts, errors, and the operator's pages."""

from __future__ import annotations

import logging
import re
from base64 import b64encode

import pytest
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from storage_backends.errors import BackendUnavailable
from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem
from vna.config import WebConfig
from vna.errors import ConfigError

USERS = {"eve": generate_password_hash("päss:word", method="pbkdf2:sha256:1000")}


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def guarded(archive: Archive) -> FlaskClient:
    return archive.app(WebConfig(host="0.0.0.0", users=USERS)).test_client()


def test_credentials_open_the_archive(guarded: FlaskClient) -> None:
    for _ in range(2):
        assert guarded.get(f"{ROOT}/studies", headers=basic("eve", "päss:word")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("eve", "wrong"),
        basic("adam", "päss:word"),
        basic("", ""),
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic"},
    ],
)
@pytest.mark.parametrize("path", [f"{ROOT}/studies", f"{ROOT}/nowhere", "/metrics", "/wado"])
def test_nothing_without_credentials(
    guarded: FlaskClient, headers: dict[str, str], path: str
) -> None:
    response = guarded.get(path, headers=headers)
    problem(response, 401)
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


def test_no_spelling_of_a_path_goes_past_the_credentials(guarded: FlaskClient) -> None:
    for spelled in (
        "//dicom-web/studies",
        "///dicom-web/studies",
        "//wado",
        "/dicom-web/./studies",
    ):
        problem(guarded.get("/", environ_overrides={"PATH_INFO": spelled}), 401)


def test_a_proven_password_does_not_open_for_another(guarded: FlaskClient) -> None:
    assert guarded.get(f"{ROOT}/studies", headers=basic("eve", "päss:word")).status_code == 200
    problem(guarded.get(f"{ROOT}/studies", headers=basic("eve", "other")), 401)


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        (WebConfig(), 200),
        (WebConfig(host="::1"), 200),
        (WebConfig(host="0.0.0.0"), 401),
        (WebConfig(host="0.0.0.0", allow_anonymous=True), 200),
        (WebConfig(users=USERS), 401),
        (WebConfig(users=USERS, allow_anonymous=True), 401),
    ],
)
def test_who_may_come_without_a_name(archive: Archive, settings: WebConfig, status: int) -> None:
    assert archive.app(settings).test_client().get(f"{ROOT}/studies").status_code == status


@pytest.mark.parametrize("password_hash", ["secret", "", "md5$a$b", "scrypt:1:1:1"])
def test_a_password_that_is_no_hash_stops_the_start(archive: Archive, password_hash: str) -> None:
    with pytest.raises(ConfigError, match="hash-password"):
        archive.app(WebConfig(users={"eve": password_hash}))


def test_the_user_is_the_origin_of_what_is_stored(guarded: FlaskClient, archive: Archive) -> None:
    headers = {**basic("eve", "päss:word"), "Content-Type": "application/dicom"}
    response = guarded.post(f"{ROOT}/studies", data=samples.small(), headers=headers)
    assert response.status_code == 200


# --- browsers ---------------------------------------------------------------------------------------


VIEWER = "https://viewer.example.org"


def options(client: FlaskClient, path: str, origin: str = VIEWER) -> dict[str, str]:
    response = client.options(
        path, headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
    )
    assert (response.status_code, response.data) == (204, b"")
    return dict(response.headers)


def test_preflight_needs_no_credentials(archive: Archive) -> None:
    settings = WebConfig(users=USERS, cors_origins=(VIEWER,))
    headers = options(archive.app(settings).test_client(), f"{ROOT}/studies")
    assert headers["Access-Control-Allow-Origin"] == VIEWER
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert set(headers["Access-Control-Allow-Methods"].split(", ")) >= {"GET", "POST", "HEAD"}
    allowed = headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"accept", "authorization", "content-type", "range", "if-none-match"} <= set(allowed)
    assert int(headers["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize("path", ["/nothing", "/studies/1/2/3", ""])
def test_preflight_does_not_tell_which_paths_exist(archive: Archive, path: str) -> None:
    settings = WebConfig(users=USERS, cors_origins=(VIEWER,))
    headers = options(archive.app(settings).test_client(), ROOT + path)
    assert headers["Access-Control-Allow-Origin"] == VIEWER


def test_answers_to_allowed_origins_expose_their_headers(archive: Archive) -> None:
    client = archive.app(WebConfig(cors_origins=(VIEWER + "/",))).test_client()
    for path, status in ((f"{ROOT}/studies", 200), (f"{ROOT}/studies/9.9", 404)):
        response = client.get(path, headers={"Origin": VIEWER})
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == VIEWER
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Content-Location", "Content-Range"} <= set(exposed)
        assert "Origin" in response.headers["Vary"]


def test_other_origins_get_no_permission(archive: Archive) -> None:
    client = archive.app(WebConfig(cors_origins=(VIEWER,))).test_client()
    headers = options(client, f"{ROOT}/studies", "https://evil.example.org")
    assert not [name for name in headers if name.startswith("Access-Control")]


def test_no_origin_is_allowed_by_default(client: FlaskClient) -> None:
    headers = options(client, f"{ROOT}/studies")
    assert not [name for name in headers if name.startswith("Access-Control")]


def test_any_origin_never_comes_with_kept_credentials(archive: Archive) -> None:
    client = archive.app(WebConfig(cors_origins=("*",))).test_client()
    headers = options(client, f"{ROOT}/studies")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in headers


# --- hosts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["a b", "a/b", 'evil"><script>', "a@b", "h:port", "é"])
def test_a_host_that_is_none_is_refused(client: FlaskClient, host: str) -> None:
    problem(client.get(f"{ROOT}/studies", environ_overrides={"HTTP_HOST": host}), 400)


@pytest.mark.parametrize(
    ("public_url", "root"),
    [
        ("https://pacs.example.org", "https://pacs.example.org/dicom-web"),
        ("https://pacs.example.org/", "https://pacs.example.org/dicom-web"),
        ("https://example.org/pacs/dicom-web/", "https://example.org/pacs/dicom-web"),
        ("https://example.org:8443/x", "https://example.org:8443/x"),
    ],
)
def test_urls_follow_the_public_url(
    archive: Archive, keep: Keep, public_url: str, root: str
) -> None:
    keep(samples.small(StudyInstanceUID="1.2"))
    client = archive.app(WebConfig(public_url=public_url)).test_client()
    (study,) = client.get(f"{ROOT}/studies", headers={"Host": "inside:8080"}).get_json()
    assert study["00081190"]["Value"] == [f"{root}/studies/1.2"]


@pytest.mark.parametrize(
    "public_url", ["pacs.example.org", "ftp://x", "https://", "https://x/?a=b"]
)
def test_a_public_url_that_is_none_stops_the_start(archive: Archive, public_url: str) -> None:
    with pytest.raises(ConfigError, match="public_url"):
        archive.app(WebConfig(public_url=public_url))


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", f"{ROOT}/studies", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", f"{ROOT}/series", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", f"{ROOT}/studies/1.2", {"DELETE", "GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_other_methods(client: FlaskClient, method: str, path: str, allowed: set[str]) -> None:
    response = client.open(path, method=method)
    problem(response, 405)
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/", "/dicom", f"{ROOT}/nowhere", f"{ROOT}/studies/1/frames"])
def test_paths_that_are_none(client: FlaskClient, path: str) -> None:
    problem(client.get(path), 404)


def test_a_fault_of_ours_is_told_without_a_trace_and_logged_with_one(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(type(archive.query), "page", broken)
    response = archive.app().test_client().get(f"{ROOT}/studies?PatientName=Doe")
    assert "secret" not in problem(response, 500)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.correlation == response.headers["X-Correlation-ID"]  # type: ignore[attr-defined]


def test_logs_hold_an_id_and_no_patient(
    client: FlaskClient, keep: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keep(samples.small(PatientName="Secretperson", PatientID="Secretid", StudyInstanceUID="1.2"))
    for path in (
        "/studies?PatientName=Secretperson&StudyDate=Secretperson",
        "/studies?PatientID=Secretid",
        "/studies/1.2/metadata",
    ):
        client.get(ROOT + path, buffered=True)
    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "Secret" not in text
    answered = [record for record in caplog.records if record.getMessage() == "request answered"]
    assert len(answered) >= 4
    assert all(re.fullmatch("[0-9a-f]{16}", vars(record)["correlation"]) for record in answered)
    assert f"{ROOT}/studies/<study>/metadata" in {vars(record)["route"] for record in answered}


def test_answers_are_private(client: FlaskClient) -> None:
    headers = client.get(f"{ROOT}/studies").headers
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_slash_at_the_end_is_forgiven(client: FlaskClient) -> None:
    assert client.get(f"{ROOT}/studies/").status_code == 200


# --- operators --------------------------------------------------------------------------------------


def test_alive_and_ready(guarded: FlaskClient) -> None:
    assert guarded.get("/healthz").get_json() == {"status": "ok"}
    ready = guarded.get("/readyz")
    assert ready.status_code == 200
    assert ready.get_json() == {"status": "ok", "database": "ok", "storage": "ok"}


def test_not_ready_says_why_to_users_only(
    archive: Archive, guarded: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> object:
        raise BackendUnavailable("bucket b17 does not answer")

    monkeypatch.setattr(archive.backend, "probe", gone)
    stranger = guarded.get("/readyz")
    assert stranger.status_code == 503
    assert stranger.get_json()["storage"] == "unavailable"
    user = guarded.get("/readyz", headers=basic("eve", "päss:word"))
    assert "b17" in user.get_json()["storage"]
    assert user.get_json()["database"] == "ok"
    assert guarded.get("/healthz").status_code == 200


def test_metrics_tell_of_requests_by_route(client: FlaskClient, keep: Keep) -> None:
    keep(samples.small())
    client.get(f"{ROOT}/studies").get_data()
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain")
    assert f'vna_http_seconds_count{{route="{ROOT}/studies",status="200"}}' in response.text
    assert 'vna_instances_received_total{door="web",outcome="stored"}' in response.text


def test_one_of_two_hundred_origins(archive: Archive) -> None:
    origins = tuple(f"https://viewer{number}.example.org" for number in range(200))
    client = archive.app(WebConfig(cors_origins=origins)).test_client()
    for origin in (origins[0], origins[-1]):
        headers = options(client, f"{ROOT}/studies", origin)
        assert headers["Access-Control-Allow-Origin"] == origin
        assert "Origin" in headers["Vary"]
    other = options(client, f"{ROOT}/studies", "https://viewer200.example.org")
    assert "Access-Control-Allow-Origin" not in other
