"""Negotiation: what each kind of request gets for an answer (PS3.8 9.3, PS3.7 D.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.dimse import values
from tests.unit.dimse.policies import TablePolicy
from vna.dimse.handshake import judge, make_accept, make_request, read_accept
from vna.dimse.negotiation import (
    Acceptance,
    CommonExtended,
    ContextResult,
    PresentationContext,
    Proposal,
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
from vna.dimse.settings import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
    MALFORMED_REQUEST,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    AcceptorSettings,
    AssociationProposal,
    Rejection,
    RequestorSettings,
)

POLICY = TablePolicy(
    {
        values.VERIFICATION: (values.IMPLICIT, values.EXPLICIT),
        values.CT_STORAGE: (values.EXPLICIT, values.IMPLICIT),
    }
)
SETTINGS = AcceptorSettings("VNA", POLICY)
ECHO = ProposedContext(1, values.VERIFICATION, (values.IMPLICIT,))
CT = ProposedContext(3, values.CT_STORAGE, (values.JPEG, values.EXPLICIT))


class CuriousPolicy(TablePolicy):
    """Remembers what it was asked, answers extended negotiation and identities, allows no SCP
    role."""

    def __init__(self) -> None:
        super().__init__({values.CT_STORAGE: (values.EXPLICIT,)})
        self.seen: list[Proposal] = []

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        self.seen.append(proposal)
        return Acceptance(proposal.transfer_syntaxes[-1], allow_scp=False)

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        return information[::-1]

    def answer_identity(self, identity: UserIdentity) -> bytes:
        return b"ticket for " + identity.primary


REJECTED: dict[str, tuple[AssociateRequest, Rejection]] = {
    "protocol version": (
        replace(values.request(ECHO), protocol_version=2),
        PROTOCOL_VERSION_NOT_SUPPORTED,
    ),
    "application context": (
        replace(values.request(ECHO), application_context_name="1.2.3"),
        APPLICATION_CONTEXT_NOT_SUPPORTED,
    ),
    "no context": (replace(values.request(ECHO), contexts=()), MALFORMED_REQUEST),
    "even id": (values.request(replace(ECHO, id=2)), MALFORMED_REQUEST),
    "same id twice": (values.request(ECHO, replace(CT, id=1)), MALFORMED_REQUEST),
    "called AE title": (
        replace(values.request(ECHO), called_ae_title="OTHER"),
        CALLED_AE_TITLE_NOT_RECOGNIZED,
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_request_is_rejected_for(name: str) -> None:
    request, rejection = REJECTED[name]
    settings = replace(SETTINGS, check_called_ae_title=True)
    assert judge(request, settings, "127.0.0.1") == rejection


def test_another_called_ae_title_is_fine_unless_checked() -> None:
    request = replace(values.request(ECHO), called_ae_title="OTHER")
    assert judge(request, SETTINGS, "127.0.0.1") is None


def test_later_protocol_versions_that_include_ours_are_fine() -> None:
    assert judge(replace(values.request(ECHO), protocol_version=3), SETTINGS, "") is None


def test_admission_is_asked_last_and_knows_who_comes() -> None:
    asked = []

    def admit(proposal: AssociationProposal) -> Rejection:
        asked.append(proposal)
        return LOCAL_LIMIT_EXCEEDED

    settings = replace(SETTINGS, admit=admit)
    identity = UserIdentity(5, b"token", response_requested=True)
    request = values.request(ECHO, user_identity=identity)
    assert judge(request, settings, "127.0.0.1") == LOCAL_LIMIT_EXCEEDED
    assert asked == [AssociationProposal("PEER", "VNA", "127.0.0.1", identity, (ECHO,))]


def test_contexts_are_taken_or_refused_one_by_one() -> None:
    request = values.request(
        ECHO,
        CT,
        ProposedContext(5, "1.2.3", (values.IMPLICIT,)),
        ProposedContext(7, values.CT_STORAGE, (values.JPEG,)),
        ProposedContext(9, values.CT_STORAGE, ()),
        ProposedContext(11, "", (values.IMPLICIT,)),
    )
    accept, contexts = make_accept(request, SETTINGS)
    assert accept.contexts == (
        AnsweredContext(1, 0, values.IMPLICIT),
        AnsweredContext(3, 0, values.EXPLICIT),
        AnsweredContext(5, 3, values.IMPLICIT),
        AnsweredContext(7, 4, values.JPEG),
        AnsweredContext(9, 4, values.IMPLICIT),
        AnsweredContext(11, 3, values.IMPLICIT),
    )
    assert sorted(contexts.accepted) == [1, 3]
    assert contexts.refused == {5: 3, 7: 4, 9: 4, 11: 3}
    assert contexts.accepted[3] == PresentationContext(
        3, values.CT_STORAGE, values.EXPLICIT, as_scu=False, as_scp=True
    )


def test_128_contexts_of_many_syntaxes_are_answered() -> None:
    proposed = tuple(
        ProposedContext(2 * number + 1, values.CT_STORAGE, (values.JPEG,) * 30 + (values.IMPLICIT,))
        for number in range(128)
    )
    accept, contexts = make_accept(values.request(*proposed), SETTINGS)
    assert len(accept.contexts) == len(contexts.accepted) == 128
    assert judge(values.request(*proposed), SETTINGS, "") is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, (False, True)),
        ((True, True), (True, True)),
        ((False, True), (True, False)),
        ((True, False), (False, True)),
    ],
)
def test_roles_follow_the_proposal(
    wanted: tuple[bool, bool] | None, expected: tuple[bool, bool]
) -> None:
    roles = () if wanted is None else (RoleSelection(values.CT_STORAGE, *wanted),)
    accept, contexts = make_accept(values.request(CT, roles=roles), SETTINGS)
    assert accept.user.roles == roles
    assert (contexts.accepted[3].as_scu, contexts.accepted[3].as_scp) == expected


def test_a_role_may_be_refused() -> None:
    roles = (RoleSelection(values.CT_STORAGE, scu=True, scp=True),)
    settings = replace(SETTINGS, policy=CuriousPolicy())
    accept, contexts = make_accept(values.request(CT, roles=roles), settings)
    assert accept.user.roles == (RoleSelection(values.CT_STORAGE, scu=True, scp=False),)
    assert not contexts.accepted[3].as_scu


def test_roles_of_refused_classes_are_not_answered() -> None:
    roles = (RoleSelection("1.2.3", scu=True, scp=True),)
    request = values.request(ProposedContext(1, "1.2.3", (values.IMPLICIT,)), roles=roles)
    assert make_accept(request, SETTINGS)[0].user.roles == ()


def test_everything_said_of_a_class_reaches_the_policy() -> None:
    policy = CuriousPolicy()
    role = RoleSelection(values.CT_STORAGE, scu=False, scp=True)
    common = CommonExtended(values.CT_STORAGE, "1.2.840.10008.4.2", ("1.2.3",))
    request = values.request(
        CT,
        roles=(role,),
        extended=((values.CT_STORAGE, b"\x02\x01"),),
        common_extended=(common,),
        user_identity=UserIdentity(1, b"name", response_requested=True),
        asynchronous_operations=(0, 0),
    )
    accept, _ = make_accept(request, replace(SETTINGS, policy=policy))
    assert policy.seen == [
        Proposal(3, values.CT_STORAGE, CT.transfer_syntaxes, role, b"\x02\x01", common)
    ]
    assert accept.user.extended == ((values.CT_STORAGE, b"\x01\x02"),)
    assert accept.user.identity_response == b"ticket for name"
    assert accept.user.asynchronous_operations == (1, 1)
    assert accept.user.common_extended == ()


def test_an_identity_is_answered_only_when_asked() -> None:
    request = values.request(ECHO, user_identity=UserIdentity(1, b"name"))
    assert make_accept(request, SETTINGS)[0].user.identity_response is None
    assert make_accept(values.request(ECHO), SETTINGS)[0].user.asynchronous_operations is None


def test_a_request_numbers_its_contexts() -> None:
    settings = RequestorSettings(
        "ME",
        "VNA",
        ((values.VERIFICATION, (values.IMPLICIT,)), (values.CT_STORAGE, (values.JPEG,))),
    )
    assert [context.id for context in make_request(settings).contexts] == [1, 3]


@pytest.mark.parametrize("count", [0, 129])
def test_a_request_has_1_to_128_contexts(count: int) -> None:
    contexts = ((values.VERIFICATION, (values.IMPLICIT,)),) * count
    with pytest.raises(ValueError, match="presentation contexts"):
        make_request(RequestorSettings("ME", "VNA", contexts))


def answered(*contexts: AnsweredContext, roles: tuple[RoleSelection, ...] = ()) -> AssociateAccept:
    return AssociateAccept("VNA", "PEER", contexts, UserInformation(roles=roles))


def test_an_answer_is_believed_only_as_far_as_it_was_asked_for() -> None:
    request = values.request(ECHO, CT, replace(CT, id=5), replace(CT, id=7))
    contexts = read_accept(
        request,
        answered(
            AnsweredContext(1, 0, values.IMPLICIT),
            AnsweredContext(3, 0, values.IMPLICIT),
            AnsweredContext(5, 4, ""),
            AnsweredContext(99, 0, values.IMPLICIT),
        ),
    )
    assert list(contexts.accepted) == [1]
    assert contexts.refused == {3: 2, 5: 4, 7: 2}


@pytest.mark.parametrize(
    ("wanted", "granted", "expected"),
    [
        ((), (), (True, False)),
        ((False, True), (False, True), (False, True)),
        ((True, True), (True, False), (True, False)),
        ((False, True), (), (True, False)),
        ((), (True, True), (True, False)),
    ],
)
def test_the_requestor_has_the_roles_that_were_granted(
    wanted: tuple[bool, ...], granted: tuple[bool, ...], expected: tuple[bool, bool]
) -> None:
    def roles(flags: tuple[bool, ...]) -> tuple[RoleSelection, ...]:
        return (RoleSelection(values.CT_STORAGE, *flags),) if flags else ()

    request = values.request(CT, roles=roles(wanted))
    answer = answered(AnsweredContext(3, 0, values.EXPLICIT), roles=roles(granted))
    context = read_accept(request, answer).accepted[3]
    assert (context.as_scu, context.as_scp) == expected
