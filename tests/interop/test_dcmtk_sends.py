"""Objects that DCMTK's storescu and dcmsend send in the ways that they know."""

from __future__ import annotations

from pathlib import Path

import pytest
from werkzeug.security import generate_password_hash

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.interop.programs import attempt, dcmtk, needs, read, run, sample
from tests.scp.site import Site, open_site
from vna.config import DimseConfig, IdentityConfig
from vna.index.database import Database

pytestmark = [
    pytest.mark.usefixtures("network"),
    needs("dcmtk", *map(dcmtk, ("storescu", "dcmsend", "echoscu"))),
]
NAMES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm", "rtplan.dcm")
FILES = tuple(map(sample, (*NAMES, "SC_rgb_rle_2frame.dcm", "test-SR.dcm", "image_dfl.dcm")))
PREFERRED = {samples.IMPLICIT: samples.EXPLICIT}
"""What dcmsend makes of a file where it has the choice."""


def write_many(folder: Path, count: int) -> list[str]:
    """Small files in a new folder; their SOP Instance UIDs."""
    folder.mkdir()
    uids = [samples.new_uid() for _ in range(count)]
    for uid in uids:
        file = samples.small(SOPClassUID=samples.CT_IMAGE, SOPInstanceUID=uid)
        (folder / f"{uid}.dcm").write_bytes(file)
    return uids


def stored(site: Site, uids: list[str]) -> list[str]:
    """Which of them the archive has."""
    return [uid for uid in uids if site.stored(uid)]


@pytest.mark.parametrize("option", ["+ma", "-ma"])
def test_dcmsend_sends_each_file_in_its_syntax(site: Site, tmp_path: Path, option: str) -> None:
    report = tmp_path / "report.txt"
    run(dcmtk("dcmsend"), "-dn", option, "+crf", report, *site.address, *FILES)
    assert f"with status SUCCESS  : {len(FILES)}" in report.read_text()
    for path in FILES:
        header = read(path)
        (kept,) = site.stored(str(header.SOPInstanceUID))
        syntax = str(header.file_meta.TransferSyntaxUID)
        assert kept.transfer_syntax_uid == PREFERRED.get(syntax, syntax)


def test_dcmsend_sends_a_folder(site: Site, tmp_path: Path) -> None:
    uids = write_many(tmp_path / "many", 60)
    run(dcmtk("dcmsend"), "+sd", "+r", *site.address, tmp_path / "many")
    assert stored(site, uids) == uids


def test_what_came_before_an_abort_stays(site: Site, tmp_path: Path) -> None:
    uids = write_many(tmp_path / "many", 10)
    run(dcmtk("storescu"), "--abort", "+sd", *site.address, tmp_path / "many")
    assert stored(site, uids) == uids


@pytest.mark.parametrize("length", [4096, 131072])
def test_storescu_with_its_own_pdu_length(site: Site, tmp_path: Path, length: int) -> None:
    uids = write_many(tmp_path / "many", 5)
    run(dcmtk("storescu"), "-pdu", length, "--repeat", 2, "+sd", *site.address, tmp_path / "many")
    assert stored(site, uids) == uids


PROFILE = f"""
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = {samples.EXPLICIT}
[[PresentationContexts]]
[Storage]
PresentationContext1 = {samples.CT_IMAGE}\\Plain
[[ExtendedNegotiation]]
[Extended]
ExtendedNegotiation1 = {samples.CT_IMAGE}\\020001000200
[[Profiles]]
[Images]
PresentationContexts = Storage
ExtendedNegotiation = Extended
"""


def test_storescu_negotiates_the_level_of_support(site: Site, tmp_path: Path) -> None:
    profile = tmp_path / "profile.cfg"
    profile.write_text(PROFILE)
    uids = write_many(tmp_path / "many", 1)
    options = ("-d", "-xf", profile, "Images", "+sd")
    output = run(dcmtk("storescu"), *options, *site.address, tmp_path / "many")
    accepted = output.partition("Accepted Extended Negotiation:")[2]
    assert "[0x02, 0x00, 0x03, 0x00, 0x00, 0x00]" in accepted  # full, with every attribute kept
    assert stored(site, uids) == uids


def test_storescu_names_its_user(database: Database, tmp_path: Path) -> None:
    users = {"anna": generate_password_hash("secret", "pbkdf2:sha256:1")}
    config = DimseConfig(identity=IdentityConfig(required=True, users=users))
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path, config) as site:
        file = sample("CT_small.dcm")
        uids = [str(read(file).SOPInstanceUID)]
        for user in ((), ("-usr", "anna", "-pwd", "wrong"), ("-usr", "anna")):
            ended = attempt(dcmtk("storescu"), *user, *site.address, file)
            assert ended.code != 0
            assert "Association Rejected" in ended.output
        assert stored(site, uids) == []
        run(dcmtk("storescu"), "-usr", "anna", "-pwd", "secret", "-rsp", *site.address, file)
        assert stored(site, uids) == uids
        assert len(site.rejections()) == 3
    backend.close()
