"""DCMTK's own programs against the DICOM door."""

from __future__ import annotations

import io
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.e2e.process import free_port
from tests.interop.programs import SAMPLES
from tests.scp.site import LOOPBACK, Site, open_site
from vna.config import DestinationConfig
from vna.index.database import Database
from vna.services.retrieve import read_fully

TRAILING_PADDING = 0xFFFCFFFC

# Full paths: pynetdicom installs programs of the same names.
BIN = Path("/usr/bin")
PROGRAMS = ("echoscu", "storescu", "findscu", "movescu", "getscu", "storescp", "dcmqrscp")
MISSING = [name for name in PROGRAMS if not (BIN / name).exists()]

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"DCMTK is not installed ({', '.join(MISSING)}); apt install dcmtk"
)

DEADLINE = 120
FILES = (*SAMPLES, "image_dfl.dcm")


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path) as running:
        yield running
    backend.close()


def run(program: str, *arguments: object) -> str:
    """Run a program of DCMTK to its end; what it says."""
    command = [str(BIN / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(command)}: {output}"
    return output


def dataset_of(path: Path) -> bytes:
    """The dataset bytes of a DICOM file, behind preamble and meta."""
    with path.open("rb") as file:
        pydicom.filereader.read_preamble(file, force=False)
        pydicom.filereader._read_file_meta_info(file)
        return file.read()


def real_files() -> list[Path]:
    found = (get_testdata_file(name, download=False) for name in FILES)
    return [Path(str(path)) for path in found if path is not None]


def store_real_files(site: Site) -> dict[str, bytes]:
    """Store FILES by storescu, each in its own transfer syntax; the datasets as stored, by UID."""
    uids = []
    for path in real_files():
        header = pydicom.dcmread(path, stop_before_pixels=True)
        run("storescu", "-R", *proposal(header.file_meta.TransferSyntaxUID), *site.address, path)
        uids.append(str(header.SOPInstanceUID))
    return {uid: site.dataset(uid) for uid in uids}


def proposal(syntax: str) -> list[str]:
    """The option of storescu and getscu that proposes `syntax`."""
    options = {
        "1.2.840.10008.1.2.4.90": "-xv",
        "1.2.840.10008.1.2.4.91": "-xw",
        "1.2.840.10008.1.2.4.51": "-xx",
        "1.2.840.10008.1.2.4.50": "-xy",
        "1.2.840.10008.1.2.4.57": "-xs",
        "1.2.840.10008.1.2.4.70": "-xs",
        "1.2.840.10008.1.2.5": "-xr",
        "1.2.840.10008.1.2.1.99": "-xd",
        "1.2.840.10008.1.2.2": "-xb",
        "1.2.840.10008.1.2": "-xi",
    }
    option = options.get(syntax)
    return [option] if option else []


@contextmanager
def storescp(site: Site, directory: Path, *options: str, name: str = "STORESCP") -> Iterator[Path]:
    """DCMTK's storescp as a C-MOVE destination; files arrive in `directory` as they are sent."""
    port = free_port()
    directory.mkdir()
    command = [BIN / "storescp", "+B", *options, "-aet", name, "-od", directory, str(port)]
    with serving(port, [str(part) for part in command]):
        site.destinations[name] = DestinationConfig(LOOPBACK, port)
        yield directory


@contextmanager
def serving(port: int, command: list[str]) -> Iterator[None]:
    """A server program until the end of the block, once it accepts connections."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            await_port(port, process)
            yield
        finally:
            process.kill()


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((LOOPBACK, port)).close()
        except ConnectionRefusedError:
            continue
        return
    pytest.fail("the server did not start")


def test_echoscu(site: Site) -> None:
    run("echoscu", *site.address)


@pytest.mark.parametrize("path", real_files(), ids=lambda path: path.name)
def test_storescu_stores_a_file_as_it_is(site: Site, path: Path) -> None:
    original = pydicom.dcmread(path)
    syntax = original.file_meta.TransferSyntaxUID
    run("storescu", "-R", *proposal(syntax), *site.address, path)
    (stored,) = site.stored(str(original.SOPInstanceUID))
    assert stored.transfer_syntax_uid == syntax
    reader, _ = site.door.retrieve.open_part10(stored)
    with reader:
        kept = pydicom.dcmread(io.BytesIO(read_fully(reader)))
    original.pop(TRAILING_PADDING, None)  # storescu leaves it out
    assert kept == original


def test_storescu_many_files_over_one_association(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    uids = [samples.new_uid() for _ in range(50)]
    for number, uid in enumerate(uids):
        file = samples.small(SOPClassUID=samples.CT_IMAGE, SOPInstanceUID=uid)
        (folder / f"{number}.dcm").write_bytes(file)
    run("storescu", "+sd", *site.address, folder)
    assert all(len(site.stored(uid)) == 1 for uid in uids)


@pytest.mark.parametrize(
    ("model", "level", "keys", "count"),
    [
        ("-S", "STUDY", ["PatientID=1CT1", "StudyInstanceUID"], 1),
        ("-P", "PATIENT", ["PatientName=CompressedSamples*", "PatientID"], 3),
        ("-S", "SERIES", ["Modality=MR", "SeriesInstanceUID"], 1),
        ("-S", "IMAGE", ["PatientID=1CT1", "SOPInstanceUID"], 1),
        ("-S", "STUDY", ["PatientID=nobody", "StudyInstanceUID"], 0),
    ],
)
def test_findscu(site: Site, model: str, level: str, keys: list[str], count: int) -> None:
    store_real_files(site)
    arguments = [f"QueryRetrieveLevel={level}", *keys]
    options = [word for argument in arguments for word in ("-k", argument)]
    output = run("findscu", model, "-v", *site.address, *options)
    assert len(re.findall(r"Find Response: \d+ \(Pending\)", output)) == count, output


def test_findscu_reports_a_bad_level(site: Site) -> None:
    command = [BIN / "findscu", "-S", *site.address, "-k", "QueryRetrieveLevel=PATIENT"]
    done = subprocess.run(
        [str(part) for part in (*command, "-k", "PatientID=1", "-v")],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert "DataSetDoesNotMatchSOPClass" in done.stdout + done.stderr


def test_movescu_to_storescp_delivers_the_stored_bytes(site: Site, tmp_path: Path) -> None:
    sent = store_real_files(site)
    with storescp(site, tmp_path / "moved", "+xa") as folder:
        for study in studies_of(site, sent):
            run("movescu", "-S", "-aem", "STORESCP", *site.address, *study_keys(study))
        assert delivered(folder) == sent


def test_movescu_to_an_unknown_destination_fails(site: Site) -> None:
    command = [BIN / "movescu", "-S", "-v", "-aem", "NOWHERE", *site.address, *study_keys("1.2")]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=DEADLINE
    )
    assert "MoveDestinationUnknown" in (done.stdout + done.stderr).replace(" ", "")


def test_movescu_to_a_destination_without_compression_delivers_decompressed(
    site: Site, tmp_path: Path
) -> None:
    path = Path(str(get_testdata_file("SC_rgb_rle_2frame.dcm", download=False)))
    run("storescu", "-R", "-xr", *site.address, path)
    original = pydicom.dcmread(path)
    with storescp(site, tmp_path / "plain", "+xi") as folder:
        keys = study_keys(str(original.StudyInstanceUID))
        run("movescu", "-S", "-aem", "STORESCP", *site.address, *keys)
        (file,) = folder.iterdir()
        moved = pydicom.dcmread(file)
    assert moved.file_meta.TransferSyntaxUID == samples.IMPLICIT
    assert moved.pixel_array.tobytes() == original.pixel_array.tobytes()


def test_movescu_to_dcmqrscp(site: Site, tmp_path: Path) -> None:
    path = Path(str(get_testdata_file("CT_small.dcm", download=False)))
    run("storescu", *site.address, path)
    port, folder = free_port(), tmp_path / "qr"
    folder.mkdir()
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQRSCP {folder} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with serving(port, [str(BIN / "dcmqrscp"), "-c", str(configuration)]):
        site.destinations["QRSCP"] = DestinationConfig(LOOPBACK, port)
        study = str(pydicom.dcmread(path).StudyInstanceUID)
        run("movescu", "-S", "-aem", "QRSCP", *site.address, *study_keys(study))
        kept = [file for file in folder.iterdir() if file.name != "index.dat"]
    assert len(kept) == 1


def get_study_of(site: Site, name: str, folder: Path) -> tuple[pydicom.FileDataset, Path]:
    """Store a file of pydicom's in its own syntax, and get it back by getscu."""
    path = Path(str(get_testdata_file(name, download=False)))
    original = pydicom.dcmread(path)
    run("storescu", "-R", *proposal(original.file_meta.TransferSyntaxUID), *site.address, path)
    folder.mkdir()
    keys = study_keys(str(original.StudyInstanceUID))
    run("getscu", "-S", "+B", "-od", folder, *site.address, *keys)
    (file,) = folder.iterdir()
    return original, file


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
def test_getscu_gets_explicit_files_as_they_are(site: Site, tmp_path: Path, name: str) -> None:
    original, file = get_study_of(site, name, tmp_path / "got")
    assert dataset_of(file) == site.dataset(str(original.SOPInstanceUID))


def test_getscu_gets_implicit_files_as_the_explicit_that_it_prefers(
    site: Site, tmp_path: Path
) -> None:
    original, file = get_study_of(site, "rtplan.dcm", tmp_path / "got")
    got = pydicom.dcmread(file)
    assert got.file_meta.TransferSyntaxUID == samples.EXPLICIT
    assert got == original


def test_getscu_gets_compressed_files_decompressed_where_it_takes_plain_ones(
    site: Site, tmp_path: Path
) -> None:
    original, file = get_study_of(site, "SC_rgb_rle_2frame.dcm", tmp_path / "got")
    got = pydicom.dcmread(file)
    assert got.file_meta.TransferSyntaxUID == samples.EXPLICIT
    assert got.pixel_array.tobytes() == original.pixel_array.tobytes()


def study_keys(study_instance_uid: str) -> list[str]:
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_instance_uid}"]


def studies_of(site: Site, uids: dict[str, bytes]) -> set[str]:
    return {site.stored(uid)[0].uids.study_instance_uid for uid in uids}


def delivered(folder: Path) -> dict[str, bytes]:
    """Datasets by SOP Instance UID, from files as DCMTK wrote them."""
    files = list(folder.iterdir())
    return {
        str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID): dataset_of(file)
        for file in files
    }


def test_the_programs_under_test_are_those_of_dcmtk() -> None:
    assert all(shutil.which(name, path=str(BIN)) for name in PROGRAMS)
    assert "dcmtk" in run("echoscu", "--version")
