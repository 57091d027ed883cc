"""Studies of a DICOMweb archive: our own, and one that caps, lies and fails."""

from __future__ import annotations

import base64
import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.dicomweb.servers import gunicorn
from tests.migration.pacs import Manners, Pacs, keep, study_of
from tests.migration.taking import Taker, never
from vna.errors import ConfigError, InvalidInstance, Unavailable
from vna.migration import dicom_keys as tags
from vna.migration.source_options import WebOptions, read
from vna.migration.sources.base import SourceBusy, SourceError, SourceUnavailable
from vna.migration.sources.web import WebSource
from vna.migration.sweep import IncompleteInventory
from vna.model.migration import FoundInstance, FoundStudy, Scope
from vna.spool import Spool


@dataclass
class Gateway:
    """What a faulty archive does: a PACS behind QIDO-RS and WADO-RS, by `answers` first."""

    pacs: Pacs
    objects: dict[str, bytes]
    url: str = ""
    page: int = 0
    knows_pages: bool = True
    single: bool = False
    breaks_off: bool = False
    breaks_over: str = ""
    hold: Callable[[], object] = lambda: None
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)

    def search(self, level: str, query: Mapping[int, str]) -> list[dict[str, object]]:
        """The matches as DICOM JSON."""
        names = {*query, tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID, tags.SOP_INSTANCE_UID}
        names |= {
            tags.MODALITIES_IN_STUDY,
            tags.STUDY_INSTANCES,
            tags.SOP_CLASS_UID,
            tags.PATIENT_ID,
        }
        record: dict[str, dict[str, object]] = {
            f"{tag:08X}": {"vr": "LO", "Value": [query[tag]] if query.get(tag) else []}
            for tag in names
        }
        record[f"{tags.LEVEL:08X}"] = {"vr": "CS", "Value": [level]}
        return [
            {f"{tag:08X}": {"vr": "LO", "Value": [value]} for tag, value in found.items() if value}
            for found in self.pacs.records(record)
        ]


class Handler(BaseHTTPRequestHandler):
    """Requests to `gateway`."""

    gateway: ClassVar[Gateway]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        gateway, target = self.gateway, urlsplit(self.path)
        gateway.asked.append(self.path)
        gateway.authorizations.add(self.headers.get("Authorization", ""))
        status, body = gateway.answers.get(target.path, (200, b""))
        if status != 200 or body:
            self._send(status, "text/plain", body)
        elif target.path.endswith(("/studies", "/series", "/instances")):
            self._search(target.path, parse_qs(target.query))
        else:
            self._retrieve(target.path.split("/"))

    def _search(self, path: str, query: Mapping[str, list[str]]) -> None:
        words = path.split("/")
        level = {"studies": "STUDY", "series": "SERIES", "instances": "IMAGE"}[words[-1]]
        keys = {
            tags.STUDY_DATE: query.get("StudyDate", [""])[0],
            tags.STUDY_TIME: query.get("StudyTime", [""])[0],
            tags.PATIENT_ID: query.get("PatientID", [""])[0],
            tags.ACCESSION_NUMBER: query.get("AccessionNumber", [""])[0],
            tags.MODALITIES_IN_STUDY: query.get("ModalitiesInStudy", [""])[0],
        }
        if level != "STUDY":
            keys[tags.STUDY_INSTANCE_UID] = words[2]
        if level == "IMAGE":
            keys[tags.SERIES_INSTANCE_UID] = words[4]
        found = self.gateway.search(level, keys)
        offset = int(query.get("offset", ["0"])[0]) if self.gateway.knows_pages else 0
        limit = min(int(query["limit"][0]), self.gateway.page or 10**6)
        self._send(200, "application/dicom+json", orjson.dumps(found[offset : offset + limit]))

    def _retrieve(self, words: list[str]) -> None:
        gateway = self.gateway
        gateway.hold()
        if gateway.breaks_over and (words[-2] != "instances" or words[-1] == gateway.breaks_over):
            self.close_connection = True
            return
        if words[-2] == "instances":
            found = [gateway.objects[words[-1]]] if words[-1] in gateway.objects else []
        else:
            kept = {
                k.uids.sop_instance_uid
                for k in gateway.pacs.kept
                if words[-1] in {k.uids.study_instance_uid, k.uids.series_instance_uid}
            }
            found = [data for uid, data in gateway.objects.items() if uid in kept]
        if not found:
            self._send(404, "text/plain", b"not found")
            return
        if gateway.single and words[-2] == "instances":
            self._send(200, "application/dicom", found[0])
            return
        body, _ = stow_body(*found)
        if gateway.breaks_off:
            self._send(200, 'multipart/related; boundary="b o"', body[: len(body) * 2 // 3])
            return
        self._send(200, 'multipart/related; type="application/dicom"; boundary="b o"', body)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing on stderr."""


Opened = tuple[Gateway, WebSource]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Makes a gateway to these files and a source that reads it."""
    spool = Spool(tmp_path / "spool", 65_536)
    servers: list[ThreadingHTTPServer] = []

    def open_(objects: list[bytes], manners: Manners | None = None, **options: object) -> Opened:
        kept = keep(objects)
        by_uid = {one.uids.sop_instance_uid: data for one, data in zip(kept, objects, strict=True)}
        gateway = Gateway(Pacs(kept, manners or Manners()), by_uid)
        handler = type("_Handler", (Handler,), {"gateway": gateway})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        gateway.url = f"http://127.0.0.1:{server.server_port}"
        return gateway, WebSource(WebOptions(gateway.url, **options), spool)  # type: ignore[arg-type]

    yield open_
    for server in servers:
        server.shutdown()
        server.server_close()
    spool.close()


def the_study(source: WebSource) -> tuple[FoundStudy, list[FoundInstance]]:
    (study,) = source.studies(Scope())
    return study, list(source.instances(study))


def test_our_own_archive_gives_everything(
    database_url: str, tmp_path: Path, database: object
) -> None:
    objects = [
        *study_of(series=2, images=2),
        *study_of(images=1, day=""),
        samples.encapsulated([[b"\xff\xd8\xff\xd9"]]),
        samples.small(samples.BIG_ENDIAN),
    ]
    spool = Spool(tmp_path / "spool-here", 65_536)
    with gunicorn(database_url, tmp_path / "there") as server:
        body, content_type = stow_body(*objects)
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        path = urlsplit(server.url).path
        connection.request("POST", f"{path}/studies", body, {"Content-Type": content_type})
        assert connection.getresponse().status == 200
        connection.close()
        source = WebSource(WebOptions(server.url, page=2), spool)
        source.check()
        studies = list(source.studies(Scope()))
        assert len(studies) == 4
        taker = Taker()
        for study in studies:
            found = list(source.instances(study))
            assert len(found) == study.number_of_instances
            report = source.fetch(study, found, taker, never)
            assert (report.taken, report.failures) == (len(found), ())
        source.close()
    assert {taken.data for taken in taker.taken} == set(objects)
    assert all(taken.found for taken in taker.taken)
    spool.close()


@pytest.mark.parametrize("knows_pages", [True, False])
def test_a_truncating_source_shows_everything(
    opened: Callable[..., Opened], knows_pages: bool
) -> None:
    objects = [
        data
        for n in range(35)
        for data in study_of(images=1, day=f"202401{1 + n % 9:02}", patient_id=f"P{n}")
    ]
    gateway, source = opened(objects, page=20)
    gateway.page, gateway.knows_pages = 11, knows_pages
    assert len(list(source.studies(Scope()))) == 35


def test_a_source_without_pages_below_the_study_says_what_it_hides(
    opened: Callable[..., Opened],
) -> None:
    gateway, source = opened(study_of(images=30), page=10)
    gateway.knows_pages = False
    (study,) = source.studies(Scope())
    found: list[FoundInstance] = []
    with pytest.raises(IncompleteInventory, match="ignores offset"):
        found.extend(source.instances(study))
    assert len(found) == 10


@pytest.mark.parametrize("single", [True, False])
def test_only_what_is_missing_is_asked_for(opened: Callable[..., Opened], single: bool) -> None:
    gateway, source = opened(study_of(images=4))
    gateway.single = single
    study, found = the_study(source)
    taker = Taker()
    report = source.fetch(study, found[:2], taker, never)
    assert taker.uids == {one.uids.sop_instance_uid for one in found[:2]}
    assert report.taken == 2
    assert sum("/instances/" in path for path in gateway.asked) == 2


def test_a_series_is_asked_for_as_such(opened: Callable[..., Opened]) -> None:
    gateway, source = opened(study_of(series=2, images=3))
    study, found = the_study(source)
    gateway.asked.clear()
    taker = Taker()
    assert source.fetch(study, found[:4], taker, never, found).taken == 4
    path = f"/studies/{study.study_instance_uid}/series"
    first, second = found[0].uids.series_instance_uid, found[3].uids
    assert gateway.asked == [
        f"{path}/{first}",
        f"{path}/{second.series_instance_uid}/instances/{second.sop_instance_uid}",
    ]


def test_what_the_study_did_not_bring_is_asked_for_singly(opened: Callable[..., Opened]) -> None:
    gateway, source = opened(study_of(images=3))
    study, found = the_study(source)
    gateway.answers[f"/studies/{study.study_instance_uid}"] = (500, b"sorry")
    taker = Taker()
    assert source.fetch(study, found, taker, never).taken == 3


def test_what_can_not_be_had_is_a_failure(opened: Callable[..., Opened]) -> None:
    gateway, source = opened(study_of(images=3))
    study, found = the_study(source)
    missing = found[1].uids.sop_instance_uid
    del gateway.objects[missing]
    report = source.fetch(study, found, Taker(), never)
    assert report.taken == 2
    assert [failure.sop_instance_uid for failure in report.failures] == [missing]
    assert "404" in report.failures[0].reason


def test_an_object_over_which_the_source_breaks_off_costs_no_other(
    opened: Callable[..., Opened],
) -> None:
    gateway, source = opened(study_of(images=3))
    study, found = the_study(source)
    gateway.breaks_over = found[0].uids.sop_instance_uid
    report = source.fetch(study, found, Taker(), never)
    assert report.taken == 2
    assert [failure.sop_instance_uid for failure in report.failures] == [gateway.breaks_over]
    gateway.answers["/studies"] = (503, b"not now")
    with pytest.raises(SourceUnavailable):
        source.fetch(study, found[:1], Taker(), never)


def test_an_answer_that_breaks_off_is_not_taken(opened: Callable[..., Opened]) -> None:
    gateway, source = opened(study_of(images=1))
    gateway.breaks_off = True
    study, found = the_study(source)
    report = source.fetch(study, found, Taker(), never)
    assert report.taken == 0
    assert "broke off" in report.failures[0].reason


def test_an_object_that_is_refused_stops_nothing_else(opened: Callable[..., Opened]) -> None:
    _, source = opened(study_of(images=3))
    study, found = the_study(source)
    taker = Taker(lambda one: InvalidInstance("odd") if one == found[0] else None)
    report = source.fetch(study, found, taker, never)
    assert (report.taken, [failure.reason for failure in report.failures]) == (2, ["odd"])
    with pytest.raises(Unavailable, match="away"):
        source.fetch(study, found, Taker(lambda _: Unavailable("away")), never)


def test_it_ends_when_it_is_told_to(opened: Callable[..., Opened]) -> None:
    gateway, source = opened(study_of(images=2))
    study, found = the_study(source)
    blocked, stop = threading.Event(), threading.Event()
    gateway.hold = lambda: stop.set() or blocked.wait(60)  # type: ignore[func-returns-value]
    report = source.fetch(study, found, Taker(), stop.is_set)
    assert report.was_stopped
    blocked.set()


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, SourceError, "token_file"),
        (429, SourceBusy, "429"),
        (503, SourceBusy, "503"),
        (502, SourceUnavailable, "502"),
        (301, SourceError, "set url"),
        (404, SourceError, "check url"),
        (200, SourceError, "does not answer in JSON"),
    ],
)
def test_what_is_wrong_is_told(
    opened: Callable[..., Opened], status: int, error: type[SourceError], words: str
) -> None:
    gateway, source = opened(study_of(images=1))
    gateway.answers["/studies"] = (status, b"<html>")
    with pytest.raises(error, match=words):
        source.check()


def test_who_we_are_is_told(opened: Callable[..., Opened], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    gateway, source = opened(study_of(images=1), user="me", password_file=str(secret))
    source.check()
    assert gateway.authorizations == {"Basic " + base64.b64encode(b"me:s3cret").decode()}
    gateway, source = opened(study_of(images=1), token_file=str(secret))
    source.check()
    assert gateway.authorizations == {"Bearer s3cret"}


def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    source = WebSource(WebOptions("http://127.0.0.1:1/dicom-web"), Spool(tmp_path, 1024))
    with pytest.raises(SourceUnavailable, match="check url"):
        source.check()


def test_options_that_can_not_be_right_are_refused() -> None:
    with pytest.raises(ConfigError, match="no URL"):
        read(WebOptions, {"url": "pacs"})
    with pytest.raises(ConfigError, match=r"unknown source option source\.colour"):
        read(WebOptions, {"url": "http://x", "colour": "red"})
    with pytest.raises(ConfigError, match="the source lacks the option url"):
        read(WebOptions, {})
    with pytest.raises(ConfigError, match="belong together"):
        read(WebOptions, {"url": "http://x", "user": "me"})
