"""DELETE of studies, series and instances, for those who may."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.index.dump import dump
from vna.config import WebConfig
from vna.index.database import Database
from vna.model.identifiers import Origin

ROOT = "/dicom-web"
STUDY = f"{ROOT}/studies/1.2"
PASSWORD = "correct horse"


def instance(number: int, series: int = 0) -> bytes:
    return samples.small(
        SOPInstanceUID=f"1.2.{series}.{number}",
        StudyInstanceUID="1.2",
        SeriesInstanceUID=f"1.2.{series}",
    )


@pytest.fixture
def three(keep: Keep) -> None:
    keep(instance(1), instance(2), instance(1, series=1))


def found(client: FlaskClient) -> list[str]:
    answer = client.get(f"{ROOT}/instances").json
    assert answer is not None
    return sorted(item["00080018"]["Value"][0] for item in answer)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("path", "left"),
    [
        (STUDY, []),
        (f"{STUDY}/series/1.2.0", ["1.2.1.1"]),
        (f"{STUDY}/series/1.2.0/instances/1.2.0.1", ["1.2.0.2", "1.2.1.1"]),
    ],
)
def test_what_the_path_names_is_deleted(client: FlaskClient, path: str, left: list[str]) -> None:
    response = client.delete(path)
    assert (response.status_code, response.data) == (204, b"")
    assert found(client) == left
    assert client.get(path).status_code == 410
    assert client.get(f"{path}/metadata").status_code == 410
    again = client.delete(path)
    assert again.status_code == 404
    assert again.mimetype == "application/problem+json"


@pytest.mark.usefixtures("three")
def test_it_can_be_restored(archive: Archive, client: FlaskClient) -> None:
    before = client.get(f"{STUDY}/metadata").json
    client.delete(STUDY)
    (entry,) = archive.trash.entries()
    archive.trash.restore(entry.trash_id, Origin("cli"))
    assert client.get(f"{STUDY}/metadata").json == before


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    "path",
    [
        f"{ROOT}/studies/9.9",
        f"{STUDY}/series/1.2.7",
        f"{STUDY}/series/1.2.1/instances/1.2.0.1",
        f"{ROOT}/studies/..%2f..%2fetc",
        f"{ROOT}/studies/*",
    ],
)
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.delete(path).status_code == 404
    assert len(found(client)) == 3


def test_the_whole_archive_can_t_be_named(client: FlaskClient) -> None:
    for path in (f"{ROOT}/studies", f"{ROOT}/studies/", f"{ROOT}/series", f"{ROOT}/"):
        assert client.delete(path).status_code in {404, 405}, path


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("allow", "host", "user", "status"),
    [
        ("users", "127.0.0.1", "", 204),
        ("users", "0.0.0.0", "", 403),
        ("users", "0.0.0.0", "eve", 204),
        ("everyone", "0.0.0.0", "", 204),
        ("nobody", "127.0.0.1", "", 403),
        ("nobody", "0.0.0.0", "eve", 403),
    ],
)
def test_who_may(
    archive: Archive, database: Database, allow: str, host: str, user: str, status: int
) -> None:
    users = {user: generate_password_hash(PASSWORD)} if user else {}
    settings = WebConfig(host=host, users=users, allow_anonymous=not users, allow_delete=allow)
    client = archive.app(settings).test_client()
    response = client.delete(STUDY, auth=(user, PASSWORD) if user else None)
    assert response.status_code == status, response.text
    told = [row for row in dump(database, "audit")["audit"] if row["action"] == "instances.deleted"]
    assert [row["peer"] for row in told] == ([user] if status == 204 else [])
    assert len(list(archive.trash.entries())) == (status == 204)


@pytest.mark.usefixtures("three")
def test_strangers_are_asked_who_they_are(archive: Archive) -> None:
    settings = WebConfig(host="0.0.0.0", users={"eve": generate_password_hash(PASSWORD)})
    client = archive.app(settings).test_client()
    assert client.delete(STUDY).status_code == 401
    assert client.delete(STUDY, auth=("eve", "wrong")).status_code == 401


@pytest.mark.usefixtures("three")
def test_it_is_told_in_options(client: FlaskClient) -> None:
    assert "DELETE" in client.options(STUDY).headers["Allow"]
