"""Debian's Orthanc as a client of the web door: it stores to us, searches here and fetches what we keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import orjson
import pytest
import requests

from tests.dicomweb.multiparts import stow_body
from tests.dicomweb.servers import Server, gunicorn
from tests.interop import orthanc_rest
from tests.interop.orthanc_rest import Orthanc
from tests.interop.programs import SAMPLES, differences, found, read, sample
from tests.peers.orthanc import DICOMWEB_PLUGIN
from vna.index.database import Database

pytestmark = [
    *orthanc_rest.NEEDED,
    pytest.mark.slow,
    pytest.mark.skipif(
        not DICOMWEB_PLUGIN.exists(),
        reason="to be installed, as root: apt-get install orthanc-dicomweb",
    ),
]
FILES = tuple(map(sample, SAMPLES))
US = "vna"


@pytest.fixture(scope="module")
def running(network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc_rest.running(tmp_path_factory.mktemp("orthanc"), dicomweb=True) as peer:
        yield peer


@dataclass
class Pair:
    """An empty Orthanc that knows an empty gateway."""

    orthanc: Orthanc
    server: Server

    def ask(self, what: str, body: object) -> Any:
        """What Orthanc answers when it is told to turn to us."""
        return self.orthanc.post(f"/dicom-web/servers/{US}/{what}", body)

    def keep(self, *paths: Path) -> None:
        """Store files here, not by Orthanc."""
        data, content_type = stow_body(*(path.read_bytes() for path in paths))
        headers = {"Content-Type": content_type}
        url = f"{self.server.url}/studies"
        assert requests.post(url, data=data, headers=headers, timeout=60).status_code in {200, 202}

    def stored(self, path: Path) -> bytes:
        """What we keep of the instance in this file."""
        header = read(path)
        url = (
            f"{self.server.url}/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"
            f"/instances/{header.SOPInstanceUID}"
        )
        accept = {"Accept": "application/dicom; transfer-syntax=*"}
        answer = requests.get(url, headers=accept, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture
def pair(running: Orthanc, database: Database, tmp_path: Path) -> Iterator[Pair]:
    for patient in running.get("/patients"):
        running.request("DELETE", f"/patients/{patient}")
    with gunicorn(database.url, tmp_path / "data") as server:
        running.request("PUT", f"/dicom-web/servers/{US}", {"Url": server.url})
        yield Pair(running, server)


def uid(path: Path, name: str) -> str:
    return str(getattr(read(path), name))


def test_it_stores_to_us(pair: Pair, tmp_path: Path) -> None:
    names = pair.orthanc.upload([path.read_bytes() for path in FILES])
    job = pair.ask("stow", {"Resources": names, "Synchronous": True})
    assert job["InstancesCount"] == str(len(FILES))
    sent = found(pair.orthanc.download(tmp_path / "sent"))
    for path in FILES:
        assert pair.stored(path) == sent[uid(path, "SOPInstanceUID")].read_bytes()


@pytest.mark.parametrize(
    ("level", "keys", "name", "values"),
    [
        ("studies", {"PatientName": "*comp*", "StudyDate": "20040827-"}, "00100020", set[str]()),
        ("studies", {"PatientName": "*comp*"}, "00100020", {"1CT1", "4MR1", "8NM1"}),
        ("studies", {"ModalitiesInStudy": "MR,CT"}, "00100020", {"1CT1", "4MR1"}),
        ("series", {"Modality": "MR"}, "00080060", {"MR"}),
        ("instances", {"PatientID": "4MR1"}, "00100020", {"4MR1"}),
    ],
)
def test_it_searches_here(
    pair: Pair, level: str, keys: dict[str, str], name: str, values: set[str]
) -> None:
    pair.keep(*FILES)
    answers = pair.ask("qido", {"Uri": f"/{level}", "Arguments": keys})
    assert {answer[name]["Value"] for answer in answers} == values
    for answer in answers:
        assert answer["00081190"]["Value"].startswith(pair.server.url)


@pytest.mark.parametrize("level", range(1, 4), ids=["studies", "series", "instances"])
def test_it_fetches_from_us(pair: Pair, tmp_path: Path, level: int) -> None:
    pair.keep(*FILES)
    keywords = {
        "Study": "StudyInstanceUID",
        "Series": "SeriesInstanceUID",
        "Instance": "SOPInstanceUID",
    }
    wanted = list(keywords.items())[:level]
    resources = [{name: uid(path, keyword) for name, keyword in wanted} for path in FILES]
    pair.ask("retrieve", {"Resources": resources, "Synchronous": True})
    got = found(pair.orthanc.download(tmp_path / "got"))
    assert set(got) == {uid(path, "SOPInstanceUID") for path in FILES}
    for path in FILES:
        assert differences(got[uid(path, "SOPInstanceUID")], path) == []


def test_it_passes_our_answers_on(pair: Pair) -> None:
    pair.keep(FILES[0])
    study = f"/studies/{uid(FILES[0], 'StudyInstanceUID')}"
    (metadata,) = pair.ask("get", {"Uri": f"{study}/metadata"})
    assert metadata["00280010"]["Value"] == [128]
    wanted = {"Uri": f"{study}/thumbnail", "HttpHeaders": {"Accept": "image/jpeg"}}
    body = orjson.dumps(wanted)
    assert pair.orthanc.request("POST", f"/dicom-web/servers/{US}/get", body)[:3] == b"\xff\xd8\xff"


def test_it_hears_of_what_we_refuse(pair: Pair) -> None:
    with pytest.raises(HTTPError):
        pair.ask("retrieve", {"Resources": [{"Study": "1.2.3"}], "Synchronous": True})
    with pytest.raises(HTTPError):
        pair.ask("qido", {"Uri": "/studies", "Arguments": {"StudyDate": "yesterday"}})
