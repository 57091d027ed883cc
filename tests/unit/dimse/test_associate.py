"""A-ASSOCIATE-RQ and -AC: our codec against itself, against pynetdicom's, and against garbage."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from tests.unit.dimse import values
from vna.dimse.associate import decode_accept, decode_request, encode_accept, encode_request
from vna.dimse.negotiation import CommonExtended, RoleSelection, UserIdentity
from vna.dimse.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    InvalidPdu,
    ProposedContext,
    UserInformation,
)

FULL_USER = UserInformation(
    max_pdu_length=16382,
    implementation_class_uid="1.2.3",
    implementation_version_name="PEER_1",
    asynchronous_operations=(3, 4),
    roles=(RoleSelection(values.CT_STORAGE, scu=False, scp=True),),
    extended=((values.STUDY_FIND, b"\x01\x01"),),
    common_extended=(CommonExtended("1.2.3.4", "1.2.840.10008.4.2", (values.CT_STORAGE,)),),
    user_identity=UserIdentity(2, b"name", b"secret", response_requested=True),
)


@given(values.requests)
def test_a_request_comes_back(request_: AssociateRequest) -> None:
    assert decode_request(memoryview(encode_request(request_))[6:]) == request_


@given(values.accepts)
def test_an_accept_comes_back(accept: AssociateAccept) -> None:
    assert decode_accept(memoryview(encode_accept(accept))[6:]) == accept


def test_pynetdicom_reads_our_request() -> None:
    ours = values.request(
        ProposedContext(1, values.VERIFICATION, (values.IMPLICIT,)),
        ProposedContext(3, values.CT_STORAGE, (values.EXPLICIT, values.IMPLICIT)),
        max_pdu_length=16382,
        implementation_class_uid="1.2.3",
        implementation_version_name="PEER_1",
        roles=FULL_USER.roles,
        user_identity=FULL_USER.user_identity,
    )
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(encode_request(ours))
    assert theirs.called_ae_title.strip() == "VNA"
    assert theirs.calling_ae_title.strip() == "PEER"
    assert [item.context_id for item in theirs.presentation_context] == [1, 3]
    assert theirs.presentation_context[1].transfer_syntax == [values.EXPLICIT, values.IMPLICIT]
    information = theirs.user_information
    assert information.maximum_length == 16382
    assert information.implementation_class_uid == "1.2.3"
    assert information.role_selection[values.CT_STORAGE].scp == 1
    assert information.user_identity.primary_field == b"name"
    assert theirs.encode() == encode_request(ours)


def test_we_read_what_pynetdicom_encodes_again() -> None:
    ours = AssociateRequest("VNA", "PEER", values.request().contexts, FULL_USER)
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(encode_request(ours))
    assert decode_request(memoryview(theirs.encode())[6:]) == ours


def test_pynetdicom_reads_our_accept() -> None:
    ours = AssociateAccept(
        "VNA",
        "PEER",
        (AnsweredContext(1, 0, values.IMPLICIT), AnsweredContext(3, 4, values.EXPLICIT)),
        UserInformation(262144, "1.2.3", "PEER_1", (1, 1), FULL_USER.roles, identity_response=b"x"),
    )
    theirs = A_ASSOCIATE_AC()
    theirs.decode(encode_accept(ours))
    assert [item.result for item in theirs.presentation_context] == [0, 4]
    assert theirs.user_information.maximum_length == 262144
    assert theirs.user_information.async_ops_window.max_operations_invoked == 1


def test_every_cut_is_an_error_or_a_shorter_request() -> None:
    whole = encode_request(AssociateRequest("VNA", "PEER", values.request().contexts, FULL_USER))
    refused = 0
    for length in range(len(whole) - 6):
        try:
            decode_request(memoryview(whole)[6 : 6 + length])
        except InvalidPdu:
            refused += 1
    # Only a cut between two of the three top-level items leaves something whole.
    assert refused == len(whole) - 6 - 3


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_read_but_never_crashes(body: bytes) -> None:
    for decode in (decode_request, decode_accept):
        try:
            decode(memoryview(body))
        except InvalidPdu as exc:
            assert str(exc)


@given(st.data())
def test_a_damaged_request_is_refused_or_read_but_never_crashes(data: st.DataObject) -> None:
    whole = bytearray(
        encode_request(AssociateRequest("A", "B", values.request().contexts, FULL_USER))
    )
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(6, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_request(memoryview(whole)[6:])
    except InvalidPdu as exc:
        assert str(exc)


def test_unknown_items_are_ignored() -> None:
    plain = values.request(max_pdu_length=4096)
    whole = encode_request(plain)
    assert decode_request(memoryview(whole + b"\x7f\x00\x00\x02ab")[6:]) == plain


def test_padding_and_controls_in_ae_titles_do_no_harm() -> None:
    whole = bytearray(encode_request(values.request()))
    whole[10:26] = b"VN\nA\0\0\0\0\0\0\0\0\0\0\0\0"
    assert decode_request(memoryview(whole)[6:]).called_ae_title == "VN?A"


@pytest.mark.parametrize("padding", [b"\0", b" "])
def test_a_padded_uid_is_read_without_its_padding(padding: bytes) -> None:
    whole = encode_request(values.request())
    item = b"\x30\x00\x00\x11" + values.VERIFICATION.encode()
    context_length = whole.index(b"\x20\x00", 74) + 3
    changed = bytearray(whole.replace(item, b"\x30\x00\x00\x12" + item[4:] + padding))
    changed[context_length] += 1
    context = decode_request(memoryview(changed)[6:]).contexts[0]
    assert context.abstract_syntax == values.VERIFICATION


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


CONTEXT = item(0x20, b"\x01\0\0\0" + item(0x30, b"1.2") + item(0x40, b"1.2"))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        pytest.param(CONTEXT * 50_000, "presentation contexts", id="contexts"),
        pytest.param(
            item(0x20, b"\x01\0\0\0" + item(0x40, b"1.2") * 9000),
            "transfer syntaxes",
            id="transfer syntaxes",
        ),
        pytest.param(item(0x50, item(0x54, bytes(8))) * 2, "user information", id="users"),
    ],
)
def test_more_items_than_any_peer_needs_are_refused(items: bytes, message: str) -> None:
    head = encode_request(values.request())[6:74]
    with pytest.raises(InvalidPdu, match=message):
        decode_request(memoryview(head + items))


def test_a_few_contexts_too_many_are_read() -> None:
    head = encode_request(values.request())[6:74]
    assert len(decode_request(memoryview(head + CONTEXT * 129)).contexts) == 129
