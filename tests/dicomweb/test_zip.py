"""Studies, series and instances as zip archives."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pydicom import dcmread
from pydicom.fileset import FileSet

from dicomweb.archives import ZippedFile, zip_chunks
from storage_backends.errors import BackendUnavailable
from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem
from vna.errors import VnaError
from vna.model.identifiers import Selection

STUDY = f"{ROOT}/studies/1.2.3"
ZIP = {"Accept": "application/zip"}


@pytest.fixture
def files(keep: Keep) -> list[bytes]:
    """Two series of two and one instances, one of a UID that would be a bad name."""
    uids = [("1.2.3.1", "1.2.3.1.1"), ("1.2.3.1", "con.1 &;|"), ("1.2.3.2", "1.2.3.2.1")]
    made = [
        samples.multiframe(
            1,
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID=series,
            SOPInstanceUID=uid.replace("|", ""),
            SeriesNumber=series[-1],
            InstanceNumber=str(number),
            PatientID="P1",
            PatientName="A^B",
            StudyID="1",
            StudyDate="20260101",
            StudyTime="10",
            Modality="OT",
        )
        for number, (series, uid) in enumerate(uids)
    ]
    keep(*made)
    return made


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_at_every_level(client: FlaskClient, files: list[bytes]) -> None:
    series = f"{STUDY}/series/1.2.3.1"
    for url, expected in (
        (STUDY, files),
        (series, files[:2]),
        (f"{series}/instances/1.2.3.1.1", files[:1]),
    ):
        for parameters in ({"headers": ZIP}, {"query_string": {"accept": "application/zip"}}):
            response = client.get(url, **parameters)
            assert response.status_code == 200, response.text
            assert response.mimetype == "application/zip"
            assert "attachment" in response.headers["Content-Disposition"]
            assert list(unzipped(response.data).values()) == expected


@pytest.mark.usefixtures("files")
def test_names_are_numbers(client: FlaskClient) -> None:
    names = list(unzipped(client.get(STUDY, headers=ZIP).data))
    assert names == ["SE000001/IM000001.dcm", "SE000001/IM000002.dcm", "SE000002/IM000001.dcm"]


@pytest.mark.usefixtures("files")
def test_a_dicomdir_or_none(client: FlaskClient) -> None:
    assert client.get(f"{STUDY}?dicomdir=perhaps", headers=ZIP).status_code == 400
    names = list(unzipped(client.get(f"{STUDY}?dicomdir=false", headers=ZIP).data))
    assert "DICOMDIR" not in names


@pytest.mark.parametrize(
    ("accept", "query"),
    [("application/zip", "?dicomdir=true"), ("application/zip; dicomdir=true", "")],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_dicomdir_when_it_is_asked_for(
    client: FlaskClient, files: list[bytes], tmp_path: Path, accept: str, query: str
) -> None:
    response = client.get(STUDY + query, headers={"Accept": accept})
    found = unzipped(response.data)
    for name, data in found.items():
        assert re.fullmatch(r"DICOMDIR|[A-Z0-9_]{1,8}(/[A-Z0-9_]{1,8})*", name)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert len(found) == len(files) + 1
    directory = FileSet(tmp_path / "DICOMDIR")
    assert {str(item.SOPInstanceUID) for item in directory} == {
        str(dcmread(io.BytesIO(data)).SOPInstanceUID) for data in files
    }
    for item in directory:
        assert Path(item.path).read_bytes() in files
    directory._stage["t"].cleanup()


def test_in_another_syntax(client: FlaskClient, files: list[bytes]) -> None:
    accept = f"application/zip; transfer-syntax={samples.RLE}"
    found = unzipped(client.get(STUDY, headers={"Accept": accept}).data)
    for data, stored in zip(found.values(), files, strict=True):
        dataset = dcmread(io.BytesIO(data))
        assert dataset.file_meta.TransferSyntaxUID == samples.RLE
        assert (dataset.pixel_array == dcmread(io.BytesIO(stored)).pixel_array).all()


@pytest.mark.usefixtures("files")
def test_a_syntax_that_is_not_there(client: FlaskClient) -> None:
    accept = f"application/zip; transfer-syntax={samples.MPEG4}"
    assert "application/zip" in problem(client.get(STUDY, headers={"Accept": accept}), 406)


def test_one_that_breaks_off_is_no_archive(
    archive: Archive, client: FlaskClient, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}
        keep(samples.multiframe(1, rows=512, columns=512, SOPInstanceUID=f"1.{number}", **uids))  # type: ignore[arg-type]
    opened, calls = archive.backend.open, []

    def twice(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) > 2:
            raise BackendUnavailable("no answer any more")
        return opened(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(archive.backend, "open", twice)
    with pytest.raises(VnaError):
        _ = client.get(STUDY, headers=ZIP, buffered=True).data


@pytest.mark.usefixtures("files")
def test_what_is_sent_is_audited(
    archive: Archive, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, int]] = []
    monkeypatch.setattr(
        archive.retrieve, "record_delivered", lambda counts, _origin: seen.append(dict(counts))
    )
    client.get(STUDY, headers=ZIP)
    client.head(STUDY, headers=ZIP)
    assert [counts for counts in seen if counts] == [{"1.2.3": 3}]


def test_large_files_take_little_memory(archive: Archive, client: FlaskClient, keep: Keep) -> None:
    """What is made at a time is bounded, whatever the size of the files."""
    keep(
        samples.multiframe(
            1, StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4", SOPInstanceUID="1.5"
        )
    )
    (stored,) = archive.delivery.select(_selection("1.2.3"))

    def chunks() -> object:
        for _ in range(40):
            yield bytes(2**20)

    file = ZippedFile(stored, samples.EXPLICIT, -1, chunks())  # type: ignore[arg-type]
    sizes = [len(chunk) for chunk in zip_chunks([file], None)]
    assert sum(sizes) > 40 * 2**20
    assert max(sizes) < 4 * 2**20


def _selection(study: str) -> Selection:
    return Selection(study_instance_uids=(study,))
