"""The feed of changes over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.test_delete import ROOT, STUDY, instance
from vna.config import WebConfig
from vna.index.database import Database
from vna.model.identifiers import Origin

CHANGES = f"{ROOT}/changes"


def ask(client: FlaskClient, **parameters: object) -> dict[str, Any]:
    response = client.get(CHANGES, query_string={k: str(v) for k, v in parameters.items()})
    assert response.status_code == 200, response.text
    assert response.mimetype == "application/json"
    document: dict[str, Any] = response.get_json()
    return document


def test_stored_deleted_and_restored_are_told(
    archive: Archive, client: FlaskClient, keep: Keep
) -> None:
    keep(instance(1), instance(2))
    client.delete(f"{STUDY}/series/1.2.0/instances/1.2.0.1")
    (entry,) = archive.trash.entries()
    archive.trash.restore(entry.trash_id, Origin("cli"))
    document = ask(client)
    told = [(c["number"], c["action"], c["sop_instance_uid"]) for c in document["changes"]]
    assert sorted(told[:2], key=str) == told[:2]
    assert {uid for _, _, uid in told[:2]} == {"1.2.0.1", "1.2.0.2"}
    assert told[2:] == [(3, "deleted", "1.2.0.1"), (4, "restored", "1.2.0.1")]
    first = document["changes"][0]
    assert first["study_instance_uid"] == "1.2"
    assert first["series_instance_uid"] == "1.2.0"
    assert datetime.fromisoformat(first["at"]).tzinfo is not None
    assert client.get(first["url"]).status_code == 200
    assert (document["oldest"], document["newest"]) == (1, 4)


def test_pages_are_linked(client: FlaskClient, keep: Keep) -> None:
    keep(*(instance(number) for number in range(5)))
    url, numbers = f"{CHANGES}?limit=2", []
    while url:
        response = client.get(url)
        numbers += [change["number"] for change in response.get_json()["changes"]]
        link = response.headers.get("Link", "")
        assert not link or link.endswith('; rel="next"')
        url = link.partition(">")[0].lstrip("<")
    assert numbers == [1, 2, 3, 4, 5]
    assert ask(client, after=5)["changes"] == []


def test_links_carry_the_public_url(archive: Archive, keep: Keep) -> None:
    keep(instance(1), instance(2))
    client = archive.app(WebConfig(public_url="https://pacs.example/x")).test_client()
    response = client.get(CHANGES, query_string={"limit": "1"})
    assert response.headers["Link"].startswith("<https://pacs.example/x/changes?after=1&limit=1>")
    assert response.get_json()["changes"][0]["url"].startswith("https://pacs.example/x/studies/1.2")


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "limit=-5", "limit=1.5", "after=%31%00", "after=\u0663"]
)
def test_numbers_have_to_be_numbers(client: FlaskClient, query: str) -> None:
    response = client.get(f"{CHANGES}?{query}")
    assert response.status_code == 400
    assert response.mimetype == "application/problem+json"


def test_any_amount_can_be_asked_for(client: FlaskClient, keep: Keep) -> None:
    keep(instance(1))
    assert len(ask(client, limit=10**30)["changes"]) == 1
    assert ask(client, limit=0)["changes"] == []
    assert ask(client, after=10**30)["changes"] == []
    assert ask(client, after="", limit="")["newest"] == 1
    assert len(ask(client, after="0" * 30, limit="0" * 30 + "1")["changes"]) == 1


def test_it_is_json_or_nothing(client: FlaskClient) -> None:
    assert client.get(CHANGES, headers={"Accept": "image/png"}).status_code == 406
    assert client.get(f"{CHANGES}?accept=application/json").status_code == 200


def test_who_comes_too_late_is_told(client: FlaskClient, keep: Keep, database: Database) -> None:
    keep(instance(1), instance(2), instance(3))
    ask(client)
    with database.connection() as connection:
        connection.execute("DELETE FROM change WHERE number < 3")
    response = client.get(CHANGES)
    assert response.status_code == 410
    assert "after=3" in response.get_json()["detail"]
    assert [c["number"] for c in ask(client, after=2)["changes"]] == [3]


def test_who_knows_the_answer_is_told_so(client: FlaskClient, keep: Keep) -> None:
    """Programs poll: nothing new costs them nothing to read, and no change hides behind a tag."""
    keep(instance(1))
    first = client.get(f"{CHANGES}?after=1")
    tag = first.headers["ETag"]
    assert client.head(f"{CHANGES}?after=1").headers["ETag"] == tag
    again = client.get(f"{CHANGES}?after=1", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(f"{CHANGES}?after=0", headers={"If-None-Match": tag})
    assert other.status_code == 200
    keep(instance(2))
    later = client.get(f"{CHANGES}?after=1", headers={"If-None-Match": tag})
    assert [change["number"] for change in later.get_json()["changes"]] == [2]


def test_a_tag_is_of_one_archive(archive: Archive, client: FlaskClient, keep: Keep) -> None:
    """An answer holds URLs: the one for another host is another one."""
    keep(instance(1))
    tag = client.get(CHANGES).headers["ETag"]
    other = archive.app(WebConfig(public_url="https://pacs.example")).test_client()
    assert other.get(CHANGES, headers={"If-None-Match": tag}).status_code == 200
