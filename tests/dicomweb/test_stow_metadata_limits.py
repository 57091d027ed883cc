"""Metadata and bulk data that come apart: what is too much, broken, coded, or far apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from dicomweb import stow_metadata
from tests.dicomweb.conftest import Archive
from tests.dicomweb.metadata_requests import (
    FAILED,
    JSON,
    STORED,
    STUDIES,
    XML,
    Attributes,
    body_of,
    bulk,
    image,
    keep,
    metadata,
    one,
    pixels,
    post,
    reason,
)
from tests.dicomweb.multiparts import problem
from vna.config import WebConfig


@pytest.mark.parametrize("header", ["Content-Transfer-Encoding", "Content-Encoding"])
@pytest.mark.parametrize("kind", [JSON, XML])
def test_coded_parts_are_refused_rather_than_kept_coded(
    client: FlaskClient, archive: Archive, header: str, kind: str
) -> None:
    attributes = metadata(T00420011=pixels(vr="OB"))
    headers, data = bulk(b"JVBERi0xLjQ=", "application/pdf")
    response = post(client, kind, [attributes], [({**headers, header: "base64"}, data)])
    assert header.lower() in reason(response)[1]
    assert (
        post(client, kind, [attributes], [({**headers, header: "Binary"}, data)]).status_code == 200
    )
    body = f"--b\r\nContent-Type: {kind}\r\n{header}: gzip\r\n\r\n[]\r\n--b--".encode()
    content_type = f'multipart/related; type="{kind}"; boundary=b'
    assert "gzip" in problem(client.post(STUDIES, data=body, content_type=content_type), 400)
    assert archive.spooled() == []


def test_json_with_a_byte_order_mark(client: FlaskClient) -> None:
    data = b"\xef\xbb\xbf" + json.dumps([metadata()]).encode()
    assert client.post(STUDIES, data=data, content_type=JSON).status_code == 200


def test_what_came_whole_of_a_broken_array_is_stored(client: FlaskClient, archive: Archive) -> None:
    whole = metadata()
    data = json.dumps([whole, metadata()]).encode()[:-20]
    response = client.post(STUDIES, data=data, content_type=JSON)
    assert "ends too early" in problem(response, 400)
    result = response.get_json()["result"]
    assert [item["00081155"] for item in result[STORED]["Value"]] == [whole["00080018"]]
    assert len(list(archive.backend.scan())) == 1


DEEP = b'{"00081140":{"vr":"SQ","Value":[' * 20_000
BROKEN: list[tuple[str, bytes]] = [
    (JSON, b"["),
    (JSON, b""),
    (JSON, b"5"),
    (JSON, b'["x"]'),
    (JSON, DEEP),
    (JSON, b'[{"00080018":{"vr":"UI","Value":["\\ud800"]}}]'),
    (XML, b"<NativeDicomModel>"),
    (XML, b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>'),
    (
        XML,
        b"<NativeDicomModel>"
        + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 20_000,
    ),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_broken_metadata(client: FlaskClient, archive: Archive, number: int) -> None:
    kind, data = BROKEN[number]
    body = b"--b\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + data + b"\r\n--b--"
    response = client.post(
        STUDIES, data=body, content_type=f'multipart/related; type="{kind}"; boundary=b'
    )
    assert "metadata" in problem(response, 400)
    assert archive.spooled() == []


def test_parts_without_a_name_or_apart_from_each_other(client: FlaskClient) -> None:
    for parts in (
        [({"Content-Type": "image/jpeg"}, b"x")],
        [bulk(b"x"), bulk(b"y", location="other"), bulk(b"z")],
    ):
        documents = [
            image(T7FE00010=pixels(), T00282000=pixels("other"), T00420011=pixels("third"))
        ]
        problem(post(client, JSON, documents, parts), 400)


def test_too_much_of_it(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    client = archive.app(WebConfig(max_metadata_bytes=2000)).test_client()
    large = metadata(T00104000=one("LT", "x" * 600_000))
    waits = [metadata(T00420011=pixels(vr="OB")) for _ in range(20)]
    for kind in (JSON, XML):
        assert "max_metadata_bytes" in problem(post(client, kind, [metadata(), large]), 413)
        assert "max_metadata_bytes" in problem(post(client, kind, waits), 413)
        assert post(client, kind, [metadata() for _ in range(50)]).status_code == 200
    for size, limit, value in ((10, "MAX_SMALL_BYTES", 4000), (100_000, "MAX_SPOOLED", 3)):
        monkeypatch.setattr(stow_metadata, limit, value)
        parts = [bulk(b"x" * size, location=f"waits/{n}") for n in range(5)]
        assert "too many parts" in problem(post(client, JSON, [], parts), 400)
        assert post(client, JSON, [], parts[:1]).status_code == 409
        monkeypatch.undo()
    assert archive.spooled() == []


def test_an_array_longer_than_memory_and_its_bulk_data_behind_it(
    client: FlaskClient, archive: Archive
) -> None:
    small = archive.app(WebConfig(max_metadata_bytes=400_000)).test_client()
    note = one("LT", "".join(chr(65 + number % 26) for number in range(5000)))
    documents = [image(T00104000=note, T7FE00010=pixels(f"b/{n}", "OB")) for n in range(150)]
    assert len(json.dumps(documents)) > 800_000
    parts = [bulk(bytes([n]) * 16, location=f"b/{n}") for n in range(150)]
    response = post(small, JSON, documents, parts)
    assert response.status_code == 202, response.text[:500]  # the text is long: a warning
    assert len(response.get_json()[STORED]["Value"]) == 150
    assert archive.spooled() == []


def test_what_broke_off_is_not_stored(client: FlaskClient, archive: Archive) -> None:
    documents = [image(T7FE00010=pixels(f"bulk/{n}", "OB")) for n in range(2)]
    data = body_of(JSON, documents, [bulk(bytes(16), location=f"bulk/{n}") for n in range(2)])
    content_type = f'multipart/related; type="{JSON}"; boundary="b o"'
    response = client.post(STUDIES, data=data[:-20], content_type=content_type)
    problem(response, 400)
    result: dict[str, Any] = response.get_json()["result"]
    assert [item["00081155"] for item in result[STORED]["Value"]] == [documents[0]["00080018"]]
    assert [item["00081155"] for item in result[FAILED]["Value"]] == [documents[1]["00080018"]]
    assert len(list(archive.backend.scan())) == 1
    assert archive.spooled() == []


def test_an_instance_of_very_many_parts(client: FlaskClient, archive: Archive) -> None:
    """1 000 small ones and one that lies in the spool, each before and behind the others."""
    private: Attributes = {
        f"0009{block:02X}{number:02X}": {"vr": "OB", "BulkDataURI": f"{block}/{number}"}
        for block in range(0x10, 0x14)
        for number in range(250)
    }
    creators = {f"000900{block:02X}": one("LO", f"C{block}") for block in range(0x10, 0x14)}
    attributes = {**metadata(T00420011=pixels("large", "OB")), **creators, **private}
    parts = [
        bulk(f"{element['BulkDataURI']:8}".encode(), location=str(element["BulkDataURI"]))
        for element in private.values()
    ]
    parts.insert(500, bulk(bytes(200_000), "application/pdf", "large"))
    found = keep(client, attributes, *parts)
    assert found[0x000912F9].value == b"18/249  "
    assert found.EncapsulatedDocumentLength == 200_000
    assert archive.spooled() == []
