"""Objects without their patient, through the URI service."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom import Dataset, dcmread

from tests import reports, samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem
from tests.dicomweb.test_shown_files import stored_path
from tests.real_images import storable_files
from vna.services.anonymizing import AnonymizingService
from vna.services.decoders import InProcess

SECRET = "Zzyzx"
UIDS: dict[str, Any] = {
    "StudyInstanceUID": "1.1",
    "SeriesInstanceUID": "1.2",
    "SOPInstanceUID": "1.3",
}
OBJECT = {"requestType": "WADO", "studyUID": "1.1", "seriesUID": "1.2", "objectUID": "1.3"}
ASKED = {**OBJECT, "contentType": "application/dicom", "anonymize": "yes"}


def anonymous(client: FlaskClient, **changed: str) -> Dataset:
    response = client.get(f"{ROOT}/wado", query_string={**ASKED, **changed})
    assert response.status_code == 200, response.text
    assert response.content_type == f"application/dicom; transfer-syntax={samples.EXPLICIT}"
    return dcmread(io.BytesIO(response.data))


def ct(instance: str = "1.3", **overrides: Any) -> bytes:
    inside = {"StudyInstanceUID": "1.1", "PatientName": SECRET, "CodeMeaning": SECRET}
    return samples.ct_at(
        "1.1",
        "1.2",
        instance,
        patient_name=f"{SECRET}^A",
        patient_id=SECRET,
        rows=16,
        columns=16,
        **{
            "InstitutionName": SECRET,
            "StudyDescription": SECRET,
            "DeviceSerialNumber": SECRET,
            "BodyPartExamined": "CHEST",
            "RequestAttributesSequence": [inside],
            "SharedFunctionalGroupsSequence": [inside],
            **overrides,
        },
    )


def test_nothing_tells_whose_it_is(client: FlaskClient, keep: Keep) -> None:
    keep(ct())
    found = anonymous(client)
    everything = str(found) + str(found.file_meta)
    assert SECRET not in everything
    for uid in UIDS.values():
        assert uid not in {str(element.value) for element in found.iterall() if element.VR == "UI"}
    assert found.PatientName == ""
    assert found.PatientID == ""
    assert found.PatientIdentityRemoved == "YES"
    assert not [element for element in found.iterall() if element.tag.is_private]
    assert not [
        element
        for element in found.iterall()
        if element.VR in {"DA", "TM", "DT", "PN"} and element.value
    ]
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID


def test_the_image_stays(client: FlaskClient, keep: Keep) -> None:
    keep(ct())
    whole = {**OBJECT, "contentType": "application/dicom"}
    stored = dcmread(io.BytesIO(client.get(f"{ROOT}/wado", query_string=whole).data))
    found = anonymous(client)
    assert np.array_equal(found.pixel_array, stored.pixel_array)
    kept = "SOPClassUID Modality Rows PixelSpacing RescaleSlope WindowCenter ImagePositionPatient"
    for keyword in (*kept.split(), "BodyPartExamined", "KVP"):
        assert found.get(keyword) == stored.get(keyword), keyword


def test_objects_that_belong_together_still_do(client: FlaskClient, keep: Keep) -> None:
    keep(ct(), ct("1.4"))
    first, second = anonymous(client), anonymous(client, objectUID="1.4")
    assert first.StudyInstanceUID == second.StudyInstanceUID != "1.1"
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SOPInstanceUID == anonymous(client).SOPInstanceUID


def test_who_knows_a_uid_does_not_find_it(archive: Archive, keep: Keep) -> None:
    """Other secrets, other UIDs, and other entity tags."""
    keep(ct())
    tags, studies = set(), set()
    for secret in (b"secret", b"another"):
        anonymizing = AnonymizingService(archive.delivery, InProcess(), 2**20, secret)
        client = replace(archive, anonymizing=anonymizing).app().test_client()
        studies.add(anonymous(client).StudyInstanceUID)
        tags.add(client.get(f"{ROOT}/wado", query_string=ASKED).headers["ETag"])
    assert (len(studies), len(tags)) == (2, 2)


@pytest.mark.parametrize(
    "file",
    [
        reports.report(reports.item("TEXT", "a", TextValue="b"), **UIDS),
        reports.document(b"%PDF-1.4 %%EOF\n\n", **UIDS),
        ct(BurnedInAnnotation="YES"),
        ct(Modality="US"),
        ct(ImageType=["DERIVED", "SECONDARY"]),
        samples.encapsulated([[b"\1\2"]], transfer_syntax_uid=samples.MPEG4, **UIDS),
        samples.encapsulated([[b"\1\2"]], transfer_syntax_uid="1.2.826.0.1.99", **UIDS),
    ],
)
def test_what_can_not_be_made_safe(client: FlaskClient, keep: Keep, file: bytes) -> None:
    keep(file)
    problem(client.get(f"{ROOT}/wado", query_string=ASKED), 406)


def test_what_says_that_nothing_is_written_on_it(client: FlaskClient, keep: Keep) -> None:
    keep(ct(Modality="US", BurnedInAnnotation="NO"))
    assert anonymous(client).Modality == "US"


def test_only_in_one_transfer_syntax(client: FlaskClient, keep: Keep) -> None:
    keep(ct())
    query = {**ASKED, "transferSyntax": samples.DEFLATED}
    assert samples.EXPLICIT in problem(client.get(f"{ROOT}/wado", query_string=query), 406)
    assert anonymous(client, transferSyntax="*").Modality == "CT"
    no_type = {**OBJECT, "anonymize": "yes"}
    assert client.get(f"{ROOT}/wado", query_string=no_type).mimetype == "application/dicom"


TEXTS = frozenset({"LO", "SH", "LT", "ST", "UT", "UC", "PN"})
SOME = {*samples.pydicom_files()[::4], *samples.corpus_files()}
REAL = [path for path in storable_files() if path in SOME and path.stat().st_size < 2**20]


@pytest.mark.slow
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_files(client: FlaskClient, path: Path) -> None:
    instance = stored_path(client, path)
    _, _, _, study, _, series, _, sop = map(unquote, instance.split("/"))
    query = {**ASKED, "studyUID": study, "seriesUID": series, "objectUID": sop}
    response = client.get(f"{ROOT}/wado", query_string=query)
    if response.status_code != 200:
        problem(response, 406)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(io.BytesIO(response.data))
        texts = {e.keyword for e in found.iterall() if e.VR in TEXTS and str(e.value or "")}
    allowed = {"Manufacturer", "ManufacturerModelName", "DeidentificationMethod", "SegmentLabel"}
    assert texts <= allowed | {"CodeValue", "CodingSchemeDesignator", "CodeMeaning"}
    assert str(found.StudyInstanceUID).startswith("2.25.")


def test_a_name_where_none_belongs(client: FlaskClient, keep: Keep) -> None:
    name = samples.Typed("LO", SECRET)
    keep(ct(ImageType=["ORIGINAL", f"{SECRET}^A"], BodyPartExamined=SECRET, SliceThickness=name))
    found = anonymous(client)
    assert SECRET not in str(found)
    assert found.Rows == 16
