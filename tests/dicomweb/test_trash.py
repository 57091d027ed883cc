"""The trash over HTTP: what lies in it, bringing it back, and what is told of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.test_delete import PASSWORD, ROOT, STUDY, found, instance
from tests.index.dump import dump
from vna.config import WebConfig
from vna.index.database import Database
from vna.model.identifiers import Origin

TRASH = f"{ROOT}/trash"
SERIES = f"{STUDY}/series/1.2.0"
ONE = f"{SERIES}/instances/1.2.0.1"


@pytest.fixture(autouse=True)
def three(keep: Keep) -> None:
    keep(instance(1), instance(2), instance(1, series=1))


def entries(client: FlaskClient, **parameters: object) -> list[dict[str, Any]]:
    response = client.get(TRASH, query_string={k: str(v) for k, v in parameters.items()})
    assert response.status_code == 200, response.text
    listed: list[dict[str, Any]] = response.get_json()["entries"]
    return listed


def test_what_was_deleted_is_listed_and_restored(client: FlaskClient, database: Database) -> None:
    assert entries(client) == []
    client.delete(ONE)
    client.delete(f"{STUDY}/series/1.2.1")
    first, second = entries(client)
    assert (first["study_instance_uid"], first["sop_instance_uid"]) == ("1.2", "1.2.0.1")
    assert (second["series_instance_uid"], second["sop_instance_uid"]) == ("1.2.1", "")
    assert (first["instances"], first["is_being_swept"]) == (1, False)
    deleted_at = datetime.fromisoformat(first["deleted_at"])
    assert datetime.fromisoformat(first["kept_until"]) - deleted_at == timedelta(days=30)
    response = client.put(first["url"] + "/restored")
    assert response.status_code == 200
    assert response.get_json() == {"restored": 1, "duplicates": 0, "conflicts": 0}
    assert found(client) == ["1.2.0.1", "1.2.0.2"]
    assert [entry["entry"] for entry in entries(client)] == [second["entry"]]
    told = [r for r in dump(database, "audit")["audit"] if r["action"] == "instances.restored"]
    assert [(row["door"], row["study_instance_uid"]) for row in told] == [("web", "1.2")]


def test_the_list_has_pages(client: FlaskClient, keep: Keep) -> None:
    keep(samples.small(SOPInstanceUID="3.1", StudyInstanceUID="3", SeriesInstanceUID="3.0"))
    for path in (ONE, f"{STUDY}/series/1.2.1", f"{ROOT}/studies/3"):
        client.delete(path)
    assert [e["study_instance_uid"] for e in entries(client, study="3")] == ["3"]
    assert entries(client, study="") == entries(client)
    url, numbers = f"{TRASH}?study=1.2&limit=1", []
    while url:
        response = client.get(url)
        numbers += [entry["entry"] for entry in response.get_json()["entries"]]
        url = response.headers.get("Link", "").partition(">")[0].lstrip("<")
    assert numbers == [e["entry"] for e in entries(client, study="1.2")]
    assert entries(client, limit=0) == []
    assert client.get(f"{TRASH}?after=x").status_code == 400
    assert client.get(f"{TRASH}?study=%00").status_code == 400
    assert client.get(TRASH, headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("entry", ["0", "7", "-1", "x", "1" + "0" * 30, "%00"])
def test_what_is_not_in_it_can_t_be_restored(client: FlaskClient, entry: str) -> None:
    response = client.put(f"{TRASH}/{entry}/restored")
    assert response.status_code == 404
    assert response.mimetype == "application/problem+json"


def test_an_entry_is_restored_once(client: FlaskClient) -> None:
    client.delete(STUDY)
    (entry,) = entries(client)
    assert client.put(f"{entry['url']}/restored").status_code == 200
    assert client.put(f"{entry['url']}/restored").status_code == 404
    assert len(found(client)) == 3


@pytest.mark.parametrize(
    ("allow", "host", "user", "status"),
    [
        ("users", "127.0.0.1", "", 200),
        ("users", "0.0.0.0", "", 403),
        ("users", "0.0.0.0", "eve", 200),
        ("nobody", "127.0.0.1", "", 403),
    ],
)
def test_who_may_delete_may_restore(
    archive: Archive, client: FlaskClient, allow: str, host: str, user: str, status: int
) -> None:
    client.delete(STUDY)
    (entry,) = entries(client)
    users = {user: generate_password_hash(PASSWORD)} if user else {}
    settings = WebConfig(host=host, users=users, allow_anonymous=not users, allow_delete=allow)
    other, auth = archive.app(settings).test_client(), (user, PASSWORD) if user else None
    assert other.get(TRASH, auth=auth).status_code == status
    assert other.put(f"{entry['url']}/restored", auth=auth).status_code == status
    assert len(found(client)) == (3 if status == 200 else 0)


def test_a_page_of_another_site_restores_nothing(client: FlaskClient) -> None:
    """A form can send a POST with the user's credentials, and no other method."""
    client.delete(STUDY)
    (entry,) = entries(client)
    assert client.post(f"{entry['url']}/restored").status_code == 405
    assert found(client) == []


@pytest.mark.parametrize(
    ("deleted", "path"),
    [
        (STUDY, STUDY),
        (STUDY, f"{STUDY}/metadata"),
        (STUDY, f"{SERIES}/rendered"),
        (STUDY, ONE),
        (STUDY, f"{ONE}/frames/1"),
        (STUDY, f"{ONE}/bulkdata/7FE00010"),
        (STUDY, f"{ONE}/thumbnail"),
        (SERIES, f"{SERIES}/metadata"),
        (SERIES, ONE),
        (ONE, f"{ONE}/metadata"),
        (ONE, f"{ROOT}/wado?requestType=WADO&studyUID=1.2&seriesUID=1.2.0&objectUID=1.2.0.1"),
    ],
)
def test_what_lies_in_it_is_gone(
    archive: Archive, client: FlaskClient, deleted: str, path: str
) -> None:
    assert client.delete(deleted).status_code == 204
    response = client.get(path)
    assert response.status_code == 410, response.text
    assert response.mimetype == "application/problem+json"
    (entry,) = archive.trash.entries()
    assert f"entry {entry.trash_id} of the trash" in response.get_json()["detail"]
    assert client.head(path).status_code == 410
    archive.trash.restore(entry.trash_id, Origin("cli"))
    assert client.get(path).status_code != 410


@pytest.mark.parametrize(
    "path",
    [
        f"{SERIES}/instances/1.2.0.2/frames/99",
        f"{SERIES}/instances/1.2.0.9",
        f"{STUDY}/series/1.2.7/metadata",
        f"{STUDY}/series/1.2.1/instances/1.2.0.1",
        f"{ROOT}/studies/9.9",
        f"{ROOT}/studies/1..2",
        f"{ROOT}/studies/%00",
    ],
)
def test_what_never_was_is_not_found(client: FlaskClient, path: str) -> None:
    client.delete(ONE)
    assert client.get(path).status_code == 404


def test_what_was_stored_again_is_not_gone(client: FlaskClient, keep: Keep) -> None:
    client.delete(ONE)
    keep(instance(1))
    assert client.get(f"{ONE}/frames/99").status_code == 404
    assert client.get(f"{ONE}/metadata").status_code == 200


def test_what_was_swept_is_not_found(archive: Archive, client: FlaskClient) -> None:
    client.delete(STUDY)
    archive.trash.sweep(Origin("cli"), days=0)
    assert client.get(ONE).status_code == 404
    assert entries(client) == []


def test_what_is_deleted_twice_is_not_found(client: FlaskClient) -> None:
    """Whoever deletes wants it to be away: 404 tells that it is."""
    client.delete(STUDY)
    response = client.delete(STUDY)
    assert response.status_code == 404
