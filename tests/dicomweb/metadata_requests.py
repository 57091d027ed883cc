"""Store requests whose metadata and bulk data come apart, and what is stored by them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence

from flask.testing import FlaskClient
from pydicom import dcmread
from pydicom.dataset import FileDataset
from werkzeug.test import TestResponse

from tests import samples
from tests.dicomweb.multiparts import ROOT
from vna.dicom.native_xml import write_xml
from vna.model.query import JsonElement

STUDIES = ROOT + "/studies"
STORED, FAILED, OTHERS = "00081199", "00081198", "0008119A"
JSON, XML = "application/dicom+json", "application/dicom+xml"

Attributes = dict[str, JsonElement]
Part = tuple[Mapping[str, str], bytes]


def one(vr: str, *values: object) -> JsonElement:
    return {"vr": vr, "Value": list(values)}


def metadata(**more: JsonElement) -> Attributes:
    """An instance without bulk data; `T00280010=…` adds an attribute."""
    return {
        "00080016": one("UI", samples.SECONDARY_CAPTURE),
        "00080018": one("UI", samples.new_uid()),
        "0020000D": one("UI", samples.new_uid()),
        "0020000E": one("UI", samples.new_uid()),
        "00100010": one("PN", {"Alphabetic": "Dö^Jane"}),
        "00100020": one("LO", "PID-1"),
        **{key[1:]: element for key, element in more.items()},
    }


def image(rows: int = 4, columns: int = 4, bits: int = 8, **more: JsonElement) -> Attributes:
    return metadata(
        T00280002=one("US", 1), T00280004=one("CS", "MONOCHROME2"), T00280010=one("US", rows),
        T00280011=one("US", columns), T00280100=one("US", bits), T00280101=one("US", bits),
        T00280102=one("US", bits - 1), T00280103=one("US", 0), **more,
    )  # fmt: skip


def pixels(uri: str = "bulk/1", vr: str = "OW") -> JsonElement:
    return {"vr": vr, "BulkDataURI": uri}


def bulk(data: bytes, kind: str = "application/octet-stream", location: str = "bulk/1") -> Part:
    return {"Content-Type": kind, "Content-Location": location}, data


def body_of(kind: str, documents: Sequence[Attributes], parts: Sequence[Part] = ()) -> bytes:
    heads: list[Part] = [({"Content-Type": kind}, json.dumps(documents).encode())]
    if kind == XML:
        heads = [({"Content-Type": kind}, write_xml(document)) for document in documents]
    pieces = []
    for headers, data in [*heads, *parts]:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        pieces.append(b"\r\n--b o\r\n" + lines.encode() + b"\r\n" + data)
    return b"".join(pieces) + b"\r\n--b o--\r\n"


def post(
    client: FlaskClient, kind: str, documents: Sequence[Attributes], parts: Sequence[Part] = ()
) -> TestResponse:
    content_type = f'multipart/related; type="{kind}"; boundary="b o"'
    return client.post(STUDIES, data=body_of(kind, documents, parts), content_type=content_type)


def stored(client: FlaskClient, response: TestResponse) -> FileDataset:
    """The one instance that a request stored, as pydicom reads it."""
    assert response.status_code == 200, response.text
    (item,) = response.get_json()[STORED]["Value"]
    url = item["00081190"]["Value"][0]
    answer = client.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert answer.status_code == 200, answer.text
    return dcmread(io.BytesIO(answer.data))


def keep(
    client: FlaskClient, attributes: Attributes, *parts: Part, kind: str = JSON
) -> FileDataset:
    return stored(client, post(client, kind, [attributes], parts))


def reason(response: TestResponse, sequence: str = FAILED) -> tuple[int, str]:
    """The one failure of a request of which nothing was stored."""
    assert response.status_code == 409, response.text
    (item,) = response.get_json()[sequence]["Value"]
    return item["00081197"]["Value"][0], item["00000902"]["Value"][0]
