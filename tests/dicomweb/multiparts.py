"""Bodies of requests and answers, taken apart by the standard library's mail parser, not by our decoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

ROOT = "/dicom-web"
STOW = 'multipart/related; type="application/dicom"; boundary="b o"'


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer; header names in lower case."""

    headers: dict[str, str]
    data: bytes


def stow_body(*files: bytes, part_type: str = "application/dicom") -> tuple[bytes, str]:
    """A store request's body and Content-Type, without Content-Disposition as viewers send it."""
    head = f"Content-Type: {part_type}\r\n\r\n".encode()
    body = b"".join(b"\r\n--b o\r\n" + head + file for file in files)
    return body + b"\r\n--b o--\r\n", STOW


def split(body: bytes, content_type: str) -> list[Part]:
    """The parts of a multipart answer."""
    message = BytesParser(policy=policy.HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    assert message.is_multipart(), content_type
    boundary = str(message.get_param("boundary")).encode()
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, _, data = piece.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
    return Part({name.lower(): value for name, _, value in lines}, data)


def get_parts(client: FlaskClient, path: str, accept: str) -> list[Part]:
    """The parts of a 200 answer."""
    response = client.get(ROOT + path, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    return split(response.data, response.headers["Content-Type"])


def values(items: Iterable[dict[str, dict[str, list[object]]]], key: str) -> list[object]:
    """The first value of attribute `key` of each item, None where it has none."""
    return [item.get(key, {}).get("Value", [None])[0] for item in items]


def problem(response: TestResponse, status: int) -> str:
    """The detail of a problem document; checks status, type and that no stack trace is told."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    body = response.get_json()
    assert body["status"] == status
    assert body["correlation_id"] == response.headers["X-Correlation-ID"]
    assert "Traceback" not in response.text
    return str(body["detail"])
