"""The upper layer library against DCMTK's tools and pynetdicom, in both directions."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Event

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pynetdicom import AE, evt

from tests.unit.dimse import values
from tests.unit.dimse.peers import (
    ACCEPTOR,
    GETTER,
    PATIENT,
    REQUESTOR,
    answer_all,
    response,
    serving,
)
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.errors import AssociationEnded
from vna.dimse.message import Message
from vna.dimse.negotiation import RoleSelection

PENDING, SUCCESS, CANCELLED = 0xFF00, 0x0000, 0xFE00
CT_FILE = get_testdata_file("CT_small.dcm")


def tool(name: str) -> str:
    """The full path of a DCMTK program: pynetdicom's of the same name stand before it in the
    PATH."""
    path = Path("/usr/bin") / name
    if not path.exists():
        pytest.skip(f"{path} is not installed (Debian package dcmtk)")
    return str(path)


def run(name: str, *arguments: str) -> str:
    """Run a tool to its end; what it said. Fails unless it succeeded."""
    done = subprocess.run(
        [tool(name), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def encoded(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def ct_bytes() -> bytes:
    return encoded(dcmread(str(CT_FILE)))


def record(number: int) -> bytes:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.PatientName = f"Doe^{number}"
    dataset.StudyInstanceUID = f"1.2.{number}"
    return encoded(dataset)


def where(address: tuple[str, int]) -> tuple[str, str]:
    return address[0], str(address[1])


def test_echoscu() -> None:
    with serving(answer_all) as server:
        output = run("echoscu", "-v", "--repeat", "3", *where(server.address))
        assert server.result.result(20) == [("C-ECHO-RQ", b"")] * 3
    assert output.count("Success") == 3


def test_echoscu_is_told_that_it_is_rejected() -> None:
    settings = replace(ACCEPTOR, check_called_ae_title=True)
    command = [tool("echoscu"), "-v", "-aec", "OTHER"]
    with serving(answer_all, settings) as server:
        done = subprocess.run(
            [*command, *where(server.address)], capture_output=True, text=True, timeout=60
        )
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stdout + done.stderr


def test_echoscu_that_aborts() -> None:
    with serving(answer_all) as server:
        run("echoscu", "-v", "--abort", *where(server.address))
        assert "abort" in str(server.result.exception(20))


@pytest.mark.parametrize("maximum", ["4096", "131072"])
def test_storescu(maximum: str) -> None:
    settings = replace(ACCEPTOR, max_pdu_length=int(maximum))
    tool("storescu")
    with serving(answer_all, settings) as server:
        run("storescu", "-R", "-pdu", maximum, *where(server.address), str(CT_FILE))
        ((name, data),) = server.result.result(20)
    assert name == "C-STORE-RQ"
    stored = read_dataset(BytesIO(data), is_implicit_VR=False, is_little_endian=True)
    assert stored.PixelData == dcmread(str(CT_FILE)).PixelData


def test_findscu_and_its_cancel() -> None:
    def handle(association: Association) -> int:
        message = association.receive()
        assert message is not None
        message.read_data(10_000)
        sent = 0
        while not association.cancelled(message.command.message_id or 0):
            association.send(message.context.id, response(message, PENDING), record(sent))
            sent += 1
        association.send(message.context.id, response(message, CANCELLED))
        assert association.receive() is None
        return sent

    tool("findscu")
    with serving(handle) as server:
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=")
        output = run("findscu", "-S", "-v", *keys, "--cancel", "3", *where(server.address))
        assert server.result.result(20) >= 3
    assert "Doe^2" in output
    assert "Cancel" in output


def test_movescu() -> None:
    def handle(association: Association) -> str:
        message = association.receive()
        assert message is not None
        message.read_data(10_000)
        done = response(
            message,
            SUCCESS,
            number_of_completed_suboperations=4,
            number_of_failed_suboperations=0,
            number_of_warning_suboperations=0,
        )
        association.send(message.context.id, done)
        assert association.receive() is None
        return message.command.move_destination

    tool("movescu")
    with serving(handle) as server:
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2")
        run("movescu", "-S", "-v", "-aem", "THERE", *keys, *where(server.address))
        assert server.result.result(20) == "THERE"


def test_getscu(tmp_path: Path) -> None:
    instance = scu.Instance(values.CT_STORAGE, str(dcmread(str(CT_FILE)).SOPInstanceUID))

    def handle(association: Association) -> Command:
        message = association.receive()
        assert message is not None
        message.read_data(10_000)
        context = association.context_for(values.CT_STORAGE, values.EXPLICIT)
        stored = scu.store(association, context, instance, BytesIO(ct_bytes()))
        done = response(message, SUCCESS, number_of_completed_suboperations=1)
        association.send(message.context.id, done)
        assert association.receive() is None
        return stored

    tool("getscu")
    with serving(handle) as server:
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2")
        options = ("-S", "+B", "-od", str(tmp_path))
        run("getscu", *options, *keys, *where(server.address))
        assert server.result.result(20).status == SUCCESS
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().endswith(ct_bytes())


@contextmanager
def storescp(directory: Path, *options: str) -> Iterator[tuple[str, int]]:
    """DCMTK's storage server on a free port, ready to be called."""
    program = tool("storescp")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address: tuple[str, int] = free.getsockname()
    command = [program, *options, "-od", str(directory), str(address[1])]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        stack.callback(process.terminate)
        _await_listener(address)
        yield address


def _await_listener(address: tuple[str, int]) -> None:
    never = Event()
    for _ in range(400):
        try:
            socket.create_connection(address, timeout=20).close()
        except OSError:
            never.wait(0.05)
        else:
            return
    pytest.fail("storescp does not listen")


@pytest.mark.parametrize("maximum", ["4096", "131072"])
def test_our_requestor_stores_at_storescp(tmp_path: Path, maximum: str) -> None:
    instance = scu.Instance(values.CT_STORAGE, "1.2.826.0.1.3680043.8.498.1")
    with (
        storescp(tmp_path, "+B", "-pdu", maximum) as address,
        Association.request(address, REQUESTOR) as association,
    ):
        assert association.peer_max_pdu_length == int(maximum)
        assert scu.echo(association).status == SUCCESS
        context = association.context_for(values.CT_STORAGE)
        assert scu.store(association, context, instance, ct_bytes()).status == SUCCESS
        pieces = (ct_bytes()[start : start + 777] for start in range(0, len(ct_bytes()), 777))
        other = replace(instance, sop_instance_uid="1.2.826.0.1.3680043.8.498.2")
        assert scu.store(association, context, other, pieces).status == SUCCESS
        association.release()
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    assert all(file.read_bytes().endswith(ct_bytes()) for file in files)


def test_our_requestor_notices_that_storescp_aborts(tmp_path: Path) -> None:
    instance = scu.Instance(values.CT_STORAGE, "1.2.3")
    with (
        storescp(tmp_path, "--abort-after") as address,
        Association.request(address, REQUESTOR) as association,
    ):
        context = association.context_for(values.CT_STORAGE)
        with pytest.raises(AssociationEnded):
            scu.store(association, context, instance, ct_bytes())


def test_pynetdicom_as_requestor() -> None:
    ae = AE(ae_title="PYNETDICOM")
    ae.add_requested_context(values.CT_STORAGE, [values.EXPLICIT])
    ae.add_requested_context(values.VERIFICATION)
    with serving(answer_all) as server:
        association = ae.associate(*server.address, ae_title="VNA")
        assert association.is_established
        assert association.send_c_echo().Status == SUCCESS
        assert association.send_c_store(dcmread(str(CT_FILE))).Status == SUCCESS
        association.release()
        seen = server.result.result(20)
    assert [name for name, _ in seen] == ["C-ECHO-RQ", "C-STORE-RQ"]
    assert seen[1][1] == ct_bytes()


def test_pynetdicom_as_get_acceptor() -> None:
    def handle_get(_: evt.Event) -> Iterator[object]:
        yield 1
        yield PENDING, dcmread(str(CT_FILE))

    ae = AE(ae_title="VNA")
    ae.add_supported_context(values.STUDY_GET, [values.EXPLICIT])
    ae.add_supported_context(values.CT_STORAGE, [values.EXPLICIT], scu_role=True, scp_role=True)
    listener = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_GET, handle_get)]
    )
    stored = []

    def on_store(message: Message) -> int:
        stored.append(message.read_data(10**6))
        return SUCCESS

    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.StudyInstanceUID = "1.2"
    role = RoleSelection(values.CT_STORAGE, scu=True, scp=True)
    settings = replace(GETTER, roles=(role,), timeouts=PATIENT)
    try:
        with Association.request(listener.server_address, settings) as association:
            context = association.context_for(values.STUDY_GET)
            assert context.transfer_syntax == values.EXPLICIT
            answers = list(scu.get(association, values.STUDY_GET, encoded(keys), on_store))
            association.release()
    finally:
        listener.shutdown()
    assert stored == [ct_bytes()]
    assert answers[-1].command.status == SUCCESS
    assert answers[-1].command.number_of_completed_suboperations == 1
