"""HTTP for tests: status and body, also of an error."""

from __future__ import annotations

import urllib.error
import urllib.request

import orjson

from tests.e2e.process import ArchiveProcess

BOUNDARY = b"7MA4YWxkTrZu0gW"
MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY.decode()}'


def fetch(request: str | urllib.request.Request) -> tuple[int, bytes]:
    """Status and body of the answer."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read()


def stow(archive: ArchiveProcess, *files: bytes, end: bytes = b"--" + BOUNDARY + b"--\r\n") -> int:
    """STOW-RS of the files; the status."""
    head = b"--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + file + b"\r\n" for file in files) + end
    headers = {"Content-Type": MULTIPART}
    return fetch(urllib.request.Request(f"{archive.root}/studies", data=body, headers=headers))[0]


def count_instances(archive: ArchiveProcess, sop_instance_uid: str) -> int:
    """How many instances of this UID a QIDO search finds."""
    status, body = fetch(f"{archive.root}/instances?SOPInstanceUID={sop_instance_uid}")
    if status != 200:
        raise AssertionError(f"QIDO answered {status}: {body.decode()}")
    return len(orjson.loads(body))
