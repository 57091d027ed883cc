"""Asynchronous operations, user identities and common extended negotiation with pynetdicom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association as TheirAssociation
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    UserIdentityNegotiation,
)

from tests.unit.dimse import values
from tests.unit.dimse.peers import ACCEPTOR, REQUESTOR, answer_all, serving
from tests.unit.dimse.policies import TablePolicy
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.negotiation import CommonExtended, UserIdentity
from vna.dimse.settings import IDENTITY_REFUSED, AssociationProposal, Rejection

CT_FILE = get_testdata_file("CT_small.dcm")
STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"


@contextmanager
def pynetdicom_to(address: tuple[str, int], *items: object) -> Iterator[TheirAssociation]:
    ae = AE("PEER")
    ae.add_requested_context(values.CT_STORAGE, values.EXPLICIT)
    ae.add_requested_context(values.VERIFICATION, values.IMPLICIT)
    association = ae.associate(*address, ext_neg=list(items), ae_title="VNA")
    yield association
    association.abort() if association.is_established else ae.shutdown()


def operations(invoked: int, performed: int) -> AsynchronousOperationsWindowNegotiation:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = invoked
    item.maximum_number_operations_performed = performed
    return item


@pytest.mark.parametrize(
    ("asked", "granted"), [((4, 2), (4, 2)), ((0, 0), (8, 8)), ((1, 1), (1, 1))]
)
def test_pynetdicom_is_granted_a_window_and_stores(
    asked: tuple[int, int], granted: tuple[int, int]
) -> None:
    settings = replace(ACCEPTOR, operations_window=8)
    with (
        serving(answer_all, settings) as server,
        pynetdicom_to(server.address, operations(*asked)) as association,
    ):
        assert association.is_established
        assert association.acceptor.asynchronous_operations == granted
        dataset = dcmread(str(CT_FILE))
        assert [association.send_c_store(dataset).Status for _ in range(20)] == [0] * 20
        association.release()
        assert len(server.result.result(20)) == 20


def test_a_pipeline_to_pynetdicom_falls_back_to_one_at_a_time() -> None:
    received: list[str] = []

    def keep(event: evt.Event) -> int:
        received.append(str(event.request.AffectedSOPInstanceUID))
        return 0xB000 if str(event.request.AffectedSOPInstanceUID).endswith("7") else 0

    ae, told = AE("VNA"), list[tuple[int, int | None]]()
    ae.add_supported_context(values.CT_STORAGE, values.EXPLICIT)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    settings = replace(REQUESTOR, operations_window=16)
    try:
        with Association.request(server.socket.getsockname(), settings) as association:
            assert (association.max_invoked, association.max_performed) == (1, 1)
            pipeline = scu.StorePipeline(association)
            context = association.context_for(values.CT_STORAGE)
            for number in range(20):

                def on_status(answer: Command | None, number: int = number) -> None:
                    told.append((number, answer.status if answer else None))

                instance = scu.Instance(values.CT_STORAGE, f"1.2.{number}")
                pipeline.store(context, instance, BytesIO(bytes(3000)), on_status)
            pipeline.finish()
            association.release()
    finally:
        server.shutdown()
    assert received == [f"1.2.{number}" for number in range(20)]
    assert told == [(n, 0xB000 if str(n).endswith("7") else 0) for n in range(20)]


def identity_item(kind: int, *, wants_response: bool) -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type = kind
    item.primary_field = b"someone"
    item.secondary_field = b"secret" if kind == 2 else b""
    item.positive_response_requested = wants_response
    return item


class Greeting(TablePolicy):
    """Answers identities."""

    def answer_identity(self, identity: UserIdentity) -> bytes | None:
        return b"ticket" if identity.kind in {3, 4, 5} else b""


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("wants_response", [True, False])
def test_every_kind_of_identity_reaches_admission(kind: int, wants_response: bool) -> None:
    seen: list[AssociationProposal] = []

    def admit(proposal: AssociationProposal) -> None:
        seen.append(proposal)

    policy = Greeting({values.VERIFICATION: (values.IMPLICIT,)})
    settings = replace(ACCEPTOR, policy=policy, admit=admit)
    with (
        serving(answer_all, settings) as server,
        pynetdicom_to(
            server.address, identity_item(kind, wants_response=wants_response)
        ) as association,
    ):
        assert association.is_established
        answer = association.acceptor.user_identity
        association.release()
        server.result.result(20)
    secret = b"secret" if kind == 2 else b""
    (proposal,) = seen
    assert proposal.user_identity == UserIdentity(kind, b"someone", secret, wants_response)
    assert [context.abstract_syntax for context in proposal.contexts] == [
        values.CT_STORAGE,
        values.VERIFICATION,
    ]
    assert (answer is not None) == wants_response
    if answer is not None:
        assert answer.server_response == (b"ticket" if kind > 2 else b"")


def test_a_refused_identity_is_a_rejection() -> None:
    done = threading.Event()

    def admit(proposal: AssociationProposal) -> Rejection:
        done.set()
        return IDENTITY_REFUSED

    settings = replace(ACCEPTOR, admit=admit)
    with (
        serving(answer_all, settings) as server,
        pynetdicom_to(server.address, identity_item(2, wants_response=True)) as association,
    ):
        assert association.is_rejected
        answer = association.acceptor.primitive
        assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 1)
        with pytest.raises(Exception, match="rejected"):
            server.result.result(20)
    assert done.is_set()


def test_what_pynetdicom_says_of_a_class_reaches_the_association() -> None:
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid = UID(values.CT_STORAGE)
    item.service_class_uid = UID(STORAGE_SERVICE_CLASS)
    item.related_general_sop_class_identification = [UID("1.2.3"), UID("1.2.4.5")]

    def handle(association: Association) -> dict[str, CommonExtended]:
        answer_all(association)
        return association.common_extended

    with serving(handle) as server, pynetdicom_to(server.address, item) as association:
        assert association.is_established
        association.release()
        said = server.result.result(20)
    assert said == {
        values.CT_STORAGE: CommonExtended(
            values.CT_STORAGE, STORAGE_SERVICE_CLASS, ("1.2.3", "1.2.4.5")
        )
    }
