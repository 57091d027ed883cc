"""What stored objects are to people, and which of them stands for all."""

from __future__ import annotations

import pytest
from pydicom._uid_dict import UID_dictionary

from tests import samples
from vna.dicom.documents import Form, document_type, likely_form, rank, representative

_STORAGE = "1.2.840.10008.5.1.4.1.1."
STORED = {
    uid: str(entry[0])
    for uid, entry in UID_dictionary.items()
    if entry[1] == "SOP Class" and "Storage" in entry[0] and uid.startswith(_STORAGE)
}
IMAGES = {
    "Segmentation Storage",
    "Label Map Segmentation Storage",
    "Parametric Map Storage",
    "RT Dose Storage",
    "Enhanced US Volume Storage",
    "Height Map Segmentation Storage",
}
OTHERS = ("Standalone", "DICOS", "Ophthalmic Thickness", "Ophthalmic Optical", "Corneal Topography")


@pytest.mark.parametrize("uid", STORED, ids=lambda uid: STORED[uid])
def test_every_storage_class_of_the_standard(uid: str) -> None:
    name, form = STORED[uid], likely_form(uid, samples.EXPLICIT)
    if " SR Storage" in name or uid.startswith(_STORAGE + "88."):
        assert form is Form.REPORT
    elif "Encapsulated" in name:
        assert form is Form.DOCUMENT
    elif "Presentation State" in name:
        assert form is Form.PRESENTATION
    elif "Image Storage" in name or name in IMAGES:
        assert form is Form.IMAGE
    elif not name.startswith(OTHERS):
        assert form is Form.DATA


def test_a_video_shows_in_its_transfer_syntax() -> None:
    assert likely_form(_STORAGE + "77.1.4.1", samples.MPEG4) is Form.VIDEO
    assert likely_form("1.2.826.0.1.1", samples.EXPLICIT) is Form.IMAGE


def test_the_middle_of_the_best_stands_for_all() -> None:
    image, report = rank(Form.IMAGE, samples.CT_IMAGE), rank(Form.REPORT, "")
    mask, video = rank(Form.IMAGE, _STORAGE + "66.4"), rank(Form.VIDEO, "")
    assert representative([report, image, mask, image, image, mask]) == 3
    assert representative([mask, video, report]) == 0
    assert representative([report, video]) == 1
    assert representative([report]) == 0


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("application/msword", "application/msword"),
        ("Image/PNG ", "image/png"),
        ("text/html; charset=utf-8", "text/html"),
        ("", "application/octet-stream"),
        ("text", "application/octet-stream"),
        ("text/html\r\nSet-Cookie: a", "application/octet-stream"),
        ("a/b" * 100, "application/octet-stream"),
    ],
)
def test_what_a_document_declares_itself_to_be(declared: str, expected: str) -> None:
    assert document_type("1.2.3", declared).media_type == expected
    assert document_type(_STORAGE + "104.1", declared).media_type == "application/pdf"
