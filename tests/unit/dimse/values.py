"""Values and strategies that the tests of the upper layer share."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from vna.dimse.negotiation import (
    CommonExtended,
    PresentationContext,
    RoleSelection,
    UserIdentity,
)
from vna.dimse.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ProposedContext,
    UserInformation,
)

VERIFICATION = "1.2.840.10008.1.1"
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"

CONTEXTS = {
    1: PresentationContext(1, VERIFICATION, IMPLICIT, as_scu=False, as_scp=True),
    3: PresentationContext(3, CT_STORAGE, EXPLICIT, as_scu=False, as_scp=True),
}

uids = st.from_regex(r"[1-9](\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)
ae_titles = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16
).filter(lambda text: text == text.strip())
roles = st.builds(RoleSelection, uids, st.booleans(), st.booleans())
common_extended = st.builds(CommonExtended, uids, uids, st.lists(uids, max_size=3).map(tuple))
identities = st.builds(
    UserIdentity,
    st.integers(1, 5),
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.booleans(),
)
user_information = st.builds(
    UserInformation,
    max_pdu_length=st.integers(0, 0xFFFFFFFF),
    implementation_class_uid=uids,
    implementation_version_name=ae_titles,
    asynchronous_operations=st.none() | st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    roles=st.lists(roles, max_size=4).map(tuple),
    extended=st.lists(st.tuples(uids, st.binary(max_size=20)), max_size=3).map(tuple),
    common_extended=st.lists(common_extended, max_size=3).map(tuple),
    user_identity=st.none() | identities,
    identity_response=st.none() | st.binary(max_size=40),
)
requests = st.builds(
    AssociateRequest,
    ae_titles,
    ae_titles,
    st.lists(
        st.builds(
            ProposedContext, st.integers(0, 255), uids, st.lists(uids, max_size=4).map(tuple)
        ),
        max_size=6,
    ).map(tuple),
    user_information,
    uids,
    st.integers(0, 65535),
)
accepts = st.builds(
    AssociateAccept,
    ae_titles,
    ae_titles,
    st.lists(
        st.builds(AnsweredContext, st.integers(0, 255), st.just(0), uids)
        | st.builds(AnsweredContext, st.integers(0, 255), st.integers(1, 4), st.just("")),
        max_size=6,
    ).map(tuple),
    user_information,
    uids,
    st.integers(0, 65535),
)


def request(*contexts: ProposedContext, **user: object) -> AssociateRequest:
    """An A-ASSOCIATE-RQ; without contexts it proposes verification."""
    proposed = contexts or (ProposedContext(1, VERIFICATION, (IMPLICIT,)),)
    return AssociateRequest("VNA", "PEER", proposed, UserInformation(**user))  # type: ignore[arg-type]


def p_data(*pdvs: tuple[int, int, bytes]) -> bytes:
    """A P-DATA-TF of (context id, message control header, fragment) values."""
    body = b"".join(
        (len(data) + 2).to_bytes(4, "big") + bytes((context_id, control)) + data
        for context_id, control, data in pdvs
    )
    return b"\x04\x00" + len(body).to_bytes(4, "big") + body


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at the given places (taken modulo its length)."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]
