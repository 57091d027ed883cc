"""The JavaScript library dicomweb-client, in a browser, on every transaction that it knows."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest

from tests.interop import viewer
from tests.interop.js_client import FILE, Client, running_client, text

pytestmark = [viewer.needed(viewer.CLIENT), pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running_client(tmp_path_factory.mktemp("client")) as running:
        yield running


def _pixels() -> bytes:
    return bytes(pydicom.dcmread(FILE).PixelData)


def test_storing_again_is_no_error(client: Client) -> None:
    client.call("storeInstances", datasets=[text(FILE.read_bytes())], **client.down_to(1))


@pytest.mark.parametrize(
    ("method", "level", "tag"),
    [
        ("searchForStudies", 0, "0020000D"),
        ("searchForSeries", 1, "0020000E"),
        ("searchForInstances", 2, "00080018"),
        ("searchForInstances", 1, "00080018"),
    ],
)
def test_a_search_finds_it(client: Client, method: str, level: int, tag: str) -> None:
    found = client.call(method, **client.down_to(level), queryParams={"PatientID": "1CT1"})
    assert [match[tag]["Value"][0] for match in found] == [
        list(client.uids.values())[("0020000D", "0020000E", "00080018").index(tag)]
    ]


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("retrieveStudyMetadata", 1),
        ("retrieveSeriesMetadata", 2),
        ("retrieveInstanceMetadata", 3),
    ],
)
def test_metadata_come(client: Client, method: str, level: int) -> None:
    answer = client.call(method, **client.down_to(level))
    instance = answer[0] if isinstance(answer, list) else answer
    assert instance["00280010"]["Value"] == [128]
    assert instance["7FE00010"]["BulkDataURI"].startswith(client.root)


@pytest.mark.parametrize(
    ("method", "level"), [("retrieveStudy", 1), ("retrieveSeries", 2), ("retrieveInstance", 3)]
)
def test_the_file_comes_bit_for_bit(client: Client, method: str, level: int) -> None:
    answer = client.call(method, **client.down_to(level))
    assert (answer[0] if isinstance(answer, list) else answer) == text(FILE.read_bytes())


def test_a_frame_comes_bit_for_bit(client: Client) -> None:
    frames = client.call("retrieveInstanceFrames", **client.uids, frameNumbers=[1])
    assert frames == [text(_pixels())]


def test_bulk_data_come_bit_for_bit(client: Client) -> None:
    metadata = client.call("retrieveInstanceMetadata", **client.uids)
    instance = metadata[0] if isinstance(metadata, list) else metadata
    values = client.call("retrieveBulkData", BulkDataURI=instance["7FE00010"]["BulkDataURI"])
    assert values == [text(_pixels())]


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png"])
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("retrieveInstanceRendered", {}),
        ("retrieveInstanceThumbnail", {}),
        ("retrieveInstanceFramesRendered", {"frameNumbers": [1]}),
        ("retrieveInstanceFramesThumbnail", {"frameNumbers": [1]}),
    ],
)
def test_pictures_come(client: Client, method: str, more: dict[str, Any], kind: str) -> None:
    wanted = [{"mediaType": kind}]
    answer = client.call(method, **client.uids, **more, mediaTypes=wanted)
    picture = base64.b64decode(answer[0] if isinstance(answer, list) else answer)
    assert picture.startswith(b"\xff\xd8\xff" if kind == "image/jpeg" else b"\x89PNG")


def test_what_is_not_there_is_an_error(client: Client) -> None:
    with pytest.raises(AssertionError, match="retrieveStudy"):
        client.call("retrieveStudy", studyInstanceUID="1.2.3.4.5")
