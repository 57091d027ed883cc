"""Bad input to a whole archive: standard errors, bounded memory, nothing half-visible, the next client served."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests import samples
from tests.dicomweb import bad_bodies
from tests.dicomweb.bad_bodies import DICOM, JSON, XML, multipart, part
from tests.dicomweb.hostile import STUDIES, Client, watched
from tests.e2e.process import ArchiveProcess, running_archive

pytestmark = pytest.mark.slow

UIDS = ("1.2.3.1", "1.2.3.2", "1.2.3.3")
IMAGE = f"{STUDIES}/{UIDS[0]}/series/{UIDS[1]}/instances/{UIDS[2]}"
PARTS = ("", "/metadata", "/series", "/rendered", "/thumbnail", "/bulkdata", "/pixeldata")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    environment = {"VNA__WEB__READ_TIMEOUT": "10", "VNA__LOG__LEVEL": "warning"}
    with running_archive(tmp_path_factory.mktemp("bad") / "data", environment) as process:
        study, series, instance = UIDS
        image = samples.ct(
            study_instance_uid=study, series_instance_uid=series, sop_instance_uid=instance
        )
        assert Client(process).store(part(image)).status == 200
        assert Client(process).get(f"{IMAGE}/rendered").status == 200
        yield process


@pytest.fixture
def client(archive: ArchiveProcess) -> Iterator[Client]:
    client = Client(archive)
    with watched(client):
        yield client


# --- heads and lengths ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"GET {STUDIES} HTTP/1.1\r\nHost: a\r\nX: " + "y" * 9_000, 431),
        (f"GET {STUDIES} HTTP/1.1\r\nHost: a\r\nX: " + "y" * 10**6, 431),
        (f"GET {STUDIES} HTTP/1.1\r\nHost: a" + "\r\nX: y" * 5_000, 431),
        (f"GET {STUDIES}?PatientID=" + "y" * 70_000 + " HTTP/1.1\r\nHost: a", 414),
        (f"POST {STUDIES} HTTP/1.1\r\nHost: a\r\nContent-Length: -1", 400),
        (f"POST {STUDIES} HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1", 400),
        (f"POST {STUDIES} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1", 400),
        (
            f"POST {STUDIES} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
            400,
        ),
    ],
    ids=["header", "endless", "many", "target", "negative", "list", "two", "chunked"],
)
def test_heads(client: Client, head: str, status: int) -> None:
    answer = client.raw(f"{head}\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("wrong", [-20, -600, 20])
@pytest.mark.parametrize("kind", [DICOM, multipart(DICOM)])
def test_a_length_that_is_not_that_of_the_body(client: Client, kind: str, wrong: int) -> None:
    file = samples.ct(rows=16, columns=16)
    body = file if kind == DICOM else part(file).removesuffix(b"--\r\n")
    head = f"POST {STUDIES} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {kind}\r\n"
    length = len(body) + max(0, wrong)
    sent = body[:wrong] if wrong < 0 else body
    answer = client.raw(f"{head}Content-Length: {length}\r\n\r\n".encode() + sent, ends=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


def test_three_hundred_slow_heads(client: Client) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(client.connect()) for _ in range(300)]
        for number, connection in enumerate(connections):
            connection.sendall(f"GET {STUDIES} HTTP/1.1\r\nHost: a\r\nX{number}: ".encode())
        assert client.get(IMAGE, Accept=DICOM).status == 200
        for connection in connections:
            connection.sendall(b"y")
        assert client.get(f"{IMAGE}/rendered").status == 200
        assert {connection.recv(12) for connection in connections} == {b"HTTP/1.1 408"}


# --- bodies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 64 * 2**20,
        b"--B\r\n\r\n" + b"x" * 64 * 2**20,
        b"--B\r\n" + b"A: b\r\n" * 10**6,
        b"--B\r\n\r\n\r\n" * 10**5 + b"--B--\r\n",
        b"--B\r\n" * 10**5 + b"--B--\r\n",
        b"--B\r\nContent-Type: a/b\r\n\r\nx\r\n" * 10**5 + b"--B--\r\n",
        b"--B--\r\n",
        b"",
    ],
    ids=["none", "inside", "headers", "empty", "nothing", "rubbish", "no part", "no body"],
)
def test_boundaries_and_parts(client: Client, body: bytes) -> None:
    client.store(body).refused(400)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b'[{"00080018":', b"null", b"[NaN]", b"[1e999]", b"\xff\xfe", b"[" * 10**5),
        *(b'{"a":' * 10**5, b"[" + b"{}," * 10**6 + b"{}]", b'["' + b"a" * 3 * 10**7 + b'"]'),
        bad_bodies.nested_json(),
    ],
    ids=lambda content: content[:12].decode("latin-1"),
)
def test_broken_json(client: Client, content: bytes) -> None:
    client.store(part(content, JSON), JSON).refused(400, 413)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<", b"<a/>", b"<a>" * 10**5, b"\xff\xfe<\0"),
        *(bad_bodies.nested_xml(), bad_bodies.entity_bomb(), bad_bodies.foreign_entity()),
    ],
    ids=lambda content: content[:12].decode("latin-1"),
)
def test_broken_xml(client: Client, content: bytes) -> None:
    answer = client.store(part(content, XML), XML)
    answer.refused(400)
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(bytes(10**8))),
        ("deflate", zlib.compress(bytes(10**8))),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(10**8)))),
        ("zstd", b"x"),
        ("br", b"x"),
    ],
)
def test_coded_bodies(client: Client, coding: str, body: bytes) -> None:
    client.store(body, Content_Encoding=coding).refused(415)


# --- files that are expensive to look at ------------------------------------------------------------


def looked_at(client: Client, uid: str) -> None:
    """Everything there is to see of an instance; then it is deleted."""
    (found,) = json.loads(client.get(f"/dicom-web/instances?SOPInstanceUID={uid}").body)
    path = found["00081190"]["Value"][0].partition("/dicom-web")[2]
    accepts = {"": f"{DICOM}; transfer-syntax={samples.DEFLATED}", "/metadata": multipart(XML)}
    for name in ("", "/metadata", "/rendered", "/thumbnail", "/pixeldata", "/frames/1"):
        for accept in {"*/*", accepts.get(name, "*/*")}:
            answer = client.get(f"/dicom-web{path}{name}", Accept=accept)
            if answer.status != 200:
                answer.refused(404, 406)
    assert client.send("DELETE", f"/dicom-web{path}").status == 204


@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_nested_deep(client: Client, undefined: bool) -> None:
    uid = samples.new_uid()
    answer = client.store(part(bad_bodies.nested_file(uid, undefined=undefined)))
    assert answer.status in {200, 202}
    looked_at(client, uid)


def test_a_deflated_file_that_is_a_bomb(client: Client) -> None:
    uid = samples.new_uid()
    assert client.store(part(bad_bodies.deflate_bomb(uid))).status in {200, 202}
    looked_at(client, uid)


# --- targets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uid",
    [
        *("..", "../..", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e", "..%252f..%252fetc", "*"),
        *("1.2%00.3", "1.2%5c3", "..%5c..", "1" * 10_000, "%ff%fe", "%0d%0aX:y", "%20"),
    ],
)
def test_uids_that_are_paths(client: Client, uid: str) -> None:
    for name in PARTS:
        client.get(f"{STUDIES}/{uid}{name}").refused(400, 404)
    for path in (f"{STUDIES}/1.2/series/{uid}", f"{STUDIES}/1.2/series/1.3/instances/{uid}"):
        client.get(f"{path}/metadata").refused(400, 404)
    client.get(f"{IMAGE}/bulkdata/{uid}").refused(400, 404)
    client.send("DELETE", f"{STUDIES}/{uid}").refused(400, 404, 405)


def test_no_uid_becomes_the_name_of_a_file(client: Client) -> None:
    for uid in ("../../../etc/x", "/etc/x", "..\\x", "a/b", "x" * 200):
        answer = client.store(part(samples.ct(sop_instance_uid=uid, rows=4, columns=4)))
        assert answer.status == 409
        assert answer.kind == JSON


@pytest.mark.parametrize(
    "query",
    [
        *("viewport=100000,100000", "viewport=nan,nan", "viewport=-1,-1", "viewport=1e9,1e9"),
        *("window=nan,nan,linear", "window=40,NaN,sigmoid", "window=inf,1,linear", "quality=1e9"),
        *("viewport=10,10,nan,0,5,5", "window=1e308,1e-308,linear"),
    ],
)
def test_rendering_that_nobody_can_mean(client: Client, query: str) -> None:
    for name in ("rendered", "frames/1/rendered"):
        client.get(f"{IMAGE}/{name}?{query}", Accept="image/jpeg").refused(400)


def test_two_thousand_ranges(client: Client) -> None:
    ranges = ",".join(f"{3 * number}-" for number in range(2_000))
    answer = client.get(f"{IMAGE}/bulkdata/7FE00010", Accept="*/*", Range=f"bytes={ranges[:8000]}")
    assert (answer.status, len(answer.body)) == (200, 2 * 512 * 512)
    client.get(f"{IMAGE}/bulkdata/7FE00010", Range=f"bytes={ranges}").refused(431)


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ("limit=1" + "0" * 20, {200}),
        ("offset=1" + "0" * 20, {200}),
        ("limit=-1", {400}),
        ("limit=1e3", {400}),
        ("PatientName=" + "*" * 60, {200}),
        ("PatientName=" + "*a" * 60, {200}),
        ("StudyDescription=" + "*a" * 60, {200, 413}),
        ("StudyDescription=" + "*a" * 20_000, {200, 400, 413}),
        ("PatientName=" + "?" * 60 + "&fuzzymatching=true", {200}),
        (".".join(["00081115"] * 5_000) + ".0008103E=x", {400}),
        ("includefield=" + ",".join(["00080020"] * 6_000), {400}),
        ("&".join(f"PatientID={n}" for n in range(3_000)), {400}),
        ("cursor=" + "A" * 5_000, {400}),
        ("PatientID=" + quote("'; DROP TABLE study; --"), {200}),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_searches_that_nobody_can_mean(client: Client, query: str, statuses: set[int]) -> None:
    for path in (STUDIES, "/dicom-web/instances"):
        answer = client.get(f"{path}?{query}")
        assert answer.status in statuses, answer.body[:500]
        if answer.status != 200:
            answer.refused(*statuses)
