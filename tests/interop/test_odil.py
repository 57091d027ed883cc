"""odil, a DICOM stack of its own in C++, as SCU of every service and as C-MOVE destination."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.security import generate_password_hash

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.e2e.process import free_port
from tests.interop.programs import (
    BIN,
    DEADLINE,
    Ended,
    attempt,
    await_listening,
    differences,
    found,
    keep,
    read,
    sample,
)
from tests.peers.peer import LOOPBACK
from tests.scp.site import Site, open_site
from vna.config import DestinationConfig, DimseConfig, IdentityConfig
from vna.index.database import Database
from vna.services.retrieve import read_fully

SYSTEM_PYTHON = BIN / "python3"
CLIENT = Path(__file__).parent / "odil_client.py"
FILES = tuple(map(sample, ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "test-SR.dcm")))
PENDING = 0xFF00


def is_installed() -> bool:
    return SYSTEM_PYTHON.exists() and attempt(SYSTEM_PYTHON, "-c", "import odil").code == 0


pytestmark = [
    pytest.mark.usefixtures("network"),
    pytest.mark.skipif(
        not is_installed(), reason="odil is not installed; as root: apt-get install python3-odil"
    ),
]


def attempt_odil(site: Site, what: str, request: dict[str, Any]) -> Ended:
    return attempt(SYSTEM_PYTHON, CLIENT, what, site.address[1], json.dumps(request))


def odil(site: Site, what: str, **request: Any) -> Any:
    """What the client answers."""
    ended = attempt_odil(site, what, request)
    assert ended.code == 0, ended.output
    return json.loads(ended.output)


def test_echo(site: Site) -> None:
    odil(site, "echo", times=5)


def test_a_user_with_a_password(database: Database, tmp_path: Path) -> None:
    users = {"anna": generate_password_hash("secret", "pbkdf2:sha256:1")}
    config = DimseConfig(identity=IdentityConfig(required=True, users=users))
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path, config) as site:
        odil(site, "echo", user={"name": "anna", "password": "secret"})
        for user in ({"name": "anna", "password": "wrong"}, {}):
            ended = attempt_odil(site, "echo", {"user": user})
            assert ended.code != 0
            assert "rejected" in ended.output.lower()
        assert len(site.rejections()) == 2
    backend.close()


@pytest.mark.parametrize("syntax", [samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN])
def test_store_of_many_over_one_association(site: Site, tmp_path: Path, syntax: str) -> None:
    uids, paths = [samples.new_uid() for _ in range(8)], []
    for uid in uids:
        paths.append(tmp_path / f"{uid}.dcm")
        paths[-1].write_bytes(samples.ct(sop_instance_uid=uid, rows=64, transfer_syntax_uid=syntax))
    assert odil(site, "store", files=list(map(str, paths))) == len(uids)
    assert [site.stored(uid)[0].transfer_syntax_uid for uid in uids] == [syntax] * len(uids)


def test_store_of_real_files(site: Site, tmp_path: Path) -> None:
    assert odil(site, "store", files=list(map(str, FILES))) == len(FILES)
    for path in FILES:
        original = read(path)
        (stored,) = site.stored(str(original.SOPInstanceUID))
        assert stored.transfer_syntax_uid == original.file_meta.TransferSyntaxUID
        reader, _ = site.door.retrieve.open_part10(stored)
        kept = tmp_path / path.name
        with reader:
            kept.write_bytes(read_fully(reader))
        assert differences(kept, path) == []


@pytest.mark.parametrize(
    ("keys", "patients"),
    [
        ({"QueryRetrieveLevel": ["STUDY"], "PatientID": []}, ["1CT1", "4MR1"]),
        ({"QueryRetrieveLevel": ["STUDY"], "PatientID": ["1CT1"]}, ["1CT1"]),
        ({"QueryRetrieveLevel": ["SERIES"], "Modality": ["MR"], "PatientID": []}, ["4MR1"]),
        ({"QueryRetrieveLevel": ["IMAGE"], "PatientID": ["4MR?"]}, ["4MR1"]),
        ({"QueryRetrieveLevel": ["STUDY"], "PatientID": ["nobody"]}, []),
    ],
)
def test_find(site: Site, keys: dict[str, list[str]], patients: list[str]) -> None:
    keep(site, FILES[:2])
    answers = odil(site, "find", keys={"StudyInstanceUID": [], **keys})
    assert sorted(answer["00100020"]["Value"][0] for answer in answers) == patients
    assert all(answer["00080054"]["Value"] == ["VNA"] for answer in answers)


def keep_studies(site: Site) -> tuple[list[str], dict[str, Path]]:
    """The Study Instance UIDs of FILES, and each file by its SOP Instance UID."""
    return [str(read(path).StudyInstanceUID) for path in FILES], keep(site, FILES)


def check(responses: list[dict[str, int]], folder: Path, kept: dict[str, Path]) -> None:
    """All came, with the right counters, and nothing was changed on the way."""
    final = {"status": 0, "completed": len(kept), "failed": 0, "warning": 0}
    assert responses[-1] == final
    assert {response["status"] for response in responses[:-1]} <= {PENDING}
    got = found(folder)
    assert got.keys() == kept.keys()
    assert [differences(got[uid], path) for uid, path in kept.items()] == [[]] * len(kept)


def test_get(site: Site, tmp_path: Path) -> None:
    studies, kept = keep_studies(site)
    folder = tmp_path / "got"
    folder.mkdir()
    classes = sorted({str(read(path).SOPClassUID) for path in FILES})
    keys = {"QueryRetrieveLevel": ["STUDY"], "StudyInstanceUID": studies}
    check(odil(site, "get", keys=keys, folder=str(folder), classes=classes), folder, kept)


@contextmanager
def receiving(site: Site, folder: Path, originators: list[str]) -> Iterator[None]:
    """A destination made of odil that the site knows as ODIL, for one association; it ends by itself.

    It is waited for without a connection, which would be the one association.
    """
    folder.mkdir()
    port = free_port()
    request = json.dumps({"folder": str(folder)})
    command = [str(word) for word in (SYSTEM_PYTHON, CLIENT, "receive", port, request)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        await_listening(port, process)
        site.destinations["ODIL"] = DestinationConfig(LOOPBACK, port)
        try:
            yield
            output, _ = process.communicate(timeout=DEADLINE)
            originators += json.loads(output)
        finally:
            process.kill()


@pytest.mark.parametrize("window", [1, 8])
def test_move_to_odil_asked_for_by_odil(site: Site, tmp_path: Path, window: int) -> None:
    studies, kept = keep_studies(site)
    folder, originators = tmp_path / "got", list[str]()
    keys = {"QueryRetrieveLevel": ["STUDY"], "StudyInstanceUID": studies}
    with receiving(site, folder, originators):
        site.destinations["ODIL"] = replace(site.destinations["ODIL"], operations_window=window)
        responses = odil(site, "move", keys=keys, destination="ODIL")
    check(responses, folder, kept)
    assert originators == ["ODIL"] * len(kept)


def test_move_to_nobody_fails(site: Site) -> None:
    keys = {"QueryRetrieveLevel": ["STUDY"], "StudyInstanceUID": ["1.2.3"]}
    responses = odil(site, "move", keys=keys, destination="NOWHERE")
    assert [response["status"] for response in responses] == [0xA801]


def test_get_without_a_context_for_some_fails_those(site: Site, tmp_path: Path) -> None:
    studies, kept = keep_studies(site)
    folder = tmp_path / "got"
    folder.mkdir()
    keys = {"QueryRetrieveLevel": ["STUDY"], "StudyInstanceUID": studies}
    responses = odil(site, "get", keys=keys, folder=str(folder), classes=[samples.CT_IMAGE])
    final = responses[-1]
    assert (final["status"], final["completed"], final["failed"]) == (0xB000, 1, len(kept) - 1)
    assert "remaining" not in final
    assert len(found(folder)) == 1
