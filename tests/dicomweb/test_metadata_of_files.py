"""/metadata of real files: element for element what pydicom gives, each value left out behind its own URL."""

from __future__ import annotations

import base64
import warnings
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from pydicom import config, dcmread
from pydicom.errors import BytesLengthException

from tests import samples
from tests.dicomweb.multiparts import ROOT
from tests.unit.dicom.test_json import DAMAGED, PYDICOM_RAISES, differences, expected

pytestmark = pytest.mark.slow

FILES = [
    path
    for path in (*samples.pydicom_files(), *samples.corpus_files())
    if path.name not in DAMAGED | PYDICOM_RAISES
]
PIXEL_DATA = ("7FE00010", "7FE00008", "7FE00009")
OTHERWISE = {
    "fo-dicom__GH1301__a0521cd6.dcm": "pydicom reads a CS in the character set that is for names",
    "fo-dicom__chrGB2312__02fa2f21.dcm": "pydicom leaves an escape sequence in a name",
    "dcm4che__Tag-0040-A170-VR-CS__ef2cf919.dcm": "a sequence that holds text: pydicom sees an item",
    "pydicom__ambiguous_vr__cba67be0.dcm": "pydicom leaves the VR open",
}
"""Where pydicom is no measure: only that there is an answer counts."""


def stored_path(client: FlaskClient, path: Path) -> str:
    """The path of the instance behind the root, "" for a file that is refused."""
    answer = client.post(
        f"{ROOT}/studies", data=path.read_bytes(), content_type="application/dicom"
    )
    for item in answer.get_json(force=True).get("00081199", {}).get("Value", []):
        url = str(item["00081190"]["Value"][0])
        return url[url.index(ROOT) :]
    return ""


def as_pydicom_gives(path: Path) -> dict[str, Any] | None:
    """None where pydicom gives up."""
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            return expected(dcmread(path, force=True).to_json_dict())
        except (ValueError, TypeError, AttributeError, NotImplementedError, BytesLengthException):
            return None


def is_big_endian(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return not dcmread(path, force=True, stop_before_pixels=True).original_encoding[1]


def swap_words(found: dict[str, Any]) -> None:
    """As the standard wants it (PS3.18 F.2.7), and pydicom does not."""
    for element in found.values():
        if element["vr"] == "OW" and "InlineBinary" in element:
            words = array("H", base64.b64decode(element["InlineBinary"]))
            words.byteswap()
            element["InlineBinary"] = base64.b64encode(words.tobytes()).decode()


def left_out(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The elements, at any depth, whose value is behind a URL."""
    for element in found.values():
        if "BulkDataURI" in element:
            yield element
        for item in element.get("Value", ()) if element["vr"] == "SQ" else ():
            yield from left_out(item)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_real_file(client: FlaskClient, path: Path) -> None:
    instance, theirs = stored_path(client, path), as_pydicom_gives(path)
    if not instance:
        pytest.skip("refused")
    answer = client.get(f"{instance}/metadata", headers={"Accept": "application/dicom+json"})
    assert answer.status_code == 200
    (ours,) = orjson.loads(answer.data)
    pixels = {tag: ours.pop(tag) for tag in PIXEL_DATA if tag in ours}
    for element in left_out(ours):
        value = client.get(element.pop("BulkDataURI"))
        assert value.status_code == 200, value.text
        element["InlineBinary"] = base64.b64encode(value.data).decode()
    if theirs is None or path.name in OTHERWISE:
        return
    assert pixels.keys() == {tag for tag in PIXEL_DATA if theirs.pop(tag, None) is not None}
    if is_big_endian(path):
        swap_words(theirs)
    assert list(differences(ours, theirs)) == []
