"""Queries in every character set by DCMTK's findscu and by pynetdicom; their decoders judge ours."""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.scp.site import Site, associate, open_site
from tests.scp.test_query import CONTEXTS, STUDY_ROOT
from tests.scp.test_query_charset import NAMES, UTF_8, keep_study
from vna.dicom.part10 import file_meta
from vna.index.database import Database

BIN = Path("/usr/bin")
MISSING = [name for name in ("findscu", "dcmdump") if not (BIN / name).exists()]
needs_dcmtk = pytest.mark.skipif(
    bool(MISSING), reason=f"DCMTK is not installed ({', '.join(MISSING)}); apt install dcmtk"
)
IDS = [label for label, _, _ in NAMES]
UNKNOWN_TO_DEBIANS_DCMTK = {
    "ISO_IR 203",
    "\\ISO 2022 IR 87",
    "ISO 2022 IR 13\\ISO 2022 IR 87",
    "\\ISO 2022 IR 159",
}
"""DCMTK 3.6.7 with the iconv of GNU: its own texts in these sets are compared as bytes."""

UNKNOWN_TO_PYDICOM = {"ISO_IR 203"}
LEAVES_ESCAPES = {"\\ISO 2022 IR 58"}
"""pydicom 3.0 leaves the escape sequence of ISO-IR 58 in the text."""


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path) as running:
        yield running
    backend.close()


def run(program: str, *arguments: object) -> str:
    """What a program of DCMTK says, which must succeed."""
    command = [str(BIN / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=120)
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, f"{' '.join(command)}: {output}"
    return output


def study_of(path: Path) -> str:
    """The Study Instance UID of an answer, whatever pydicom thinks of its character set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(dcmread(path).StudyInstanceUID)


def query_file(folder: Path, label: str, name: bytes) -> Path:
    """A file with the identifier of a C-FIND."""
    keys: dict[str, samples.Value] = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}
    keys["PatientName"] = name
    if label:
        keys["SpecificCharacterSet"] = label
    path = folder / "query.dcm"
    path.write_bytes(file_meta(STUDY_ROOT, "1.2", samples.EXPLICIT) + samples.dataset(keys))
    return path


@needs_dcmtk
@pytest.mark.parametrize(("label", "text", "name"), NAMES, ids=IDS)
def test_findscu_asks_and_dcmdump_reads_the_answers(
    site: Site, tmp_path: Path, label: str, text: str, name: bytes
) -> None:
    with associate(site, *CONTEXTS) as association:
        own = keep_study(association, label, name)
        unicode = keep_study(association, UTF_8, text.encode())
    folder = tmp_path / "answers"
    folder.mkdir()
    query = query_file(tmp_path, label, name)
    run("findscu", "-S", "-X", "-od", folder, *site.address, query)
    answers = sorted(folder.glob("rsp*.dcm"))
    assert {study_of(path) for path in answers} == {own, unicode}
    for path in answers:
        if label in UNKNOWN_TO_DEBIANS_DCMTK and study_of(path) == own:
            assert name in path.read_bytes()
            continue
        dumped = run("dcmdump", "+U8", "+P", "0010,0010", path)
        (found,) = re.findall(r"PN \[(.*)\]", dumped)
        assert found.rstrip("^=") == text


@pytest.mark.parametrize(("label", "text", "name"), NAMES, ids=IDS)
def test_pynetdicom_asks_in_unicode_and_reads_the_answers(
    site: Site, label: str, text: str, name: bytes
) -> None:
    if label in UNKNOWN_TO_PYDICOM:
        label, name = UTF_8, text.encode()
    with associate(site, *CONTEXTS) as association:
        uid = keep_study(association, label, name)
    identifier = Dataset()
    identifier.SpecificCharacterSet = UTF_8
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = ""
    identifier.PatientName = text
    ae = AE("PYNETDICOM")
    ae.add_requested_context(STUDY_ROOT)
    association = ae.associate(*site.address, ae_title="VNA")
    assert association.is_established
    try:
        found = [answer for _, answer in association.send_c_find(identifier, STUDY_ROOT) if answer]
    finally:
        association.release()
    (answer,) = found
    answer.decode()
    terms = answer.SpecificCharacterSet
    assert ("\\".join(terms) if not isinstance(terms, str) else terms) == label
    assert answer.StudyInstanceUID == uid
    name_found = str(answer.PatientName)
    assert (name_found.replace("\x1b$)A", "") if label in LEAVES_ESCAPES else name_found) == text
