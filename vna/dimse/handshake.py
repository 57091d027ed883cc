"""What an A-ASSOCIATE-RQ gets for an answer, and what an answer means (PS3.8 7.1, PS3.7 D.3)."""

from __future__ import annotations

from dataclasses import dataclass

from vna.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from vna.dimse.command import IMPLICIT_VR_LITTLE_ENDIAN
from vna.dimse.negotiation import (
    Acceptance,
    ContextResult,
    Policy,
    PresentationContext,
    Proposal,
    RoleSelection,
)
from vna.dimse.pdu import (
    APPLICATION_CONTEXT_NAME,
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ProposedContext,
    UserInformation,
)
from vna.dimse.settings import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    MALFORMED_REQUEST,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    AcceptorSettings,
    AssociationProposal,
    Rejection,
    RequestorSettings,
)

MAX_CONTEXTS = 128
SYNCHRONOUS = (1, 1)
UNLIMITED = 0
MAX_WINDOW = 0xFFFF


@dataclass(frozen=True, slots=True)
class Contexts:
    """What came of the proposals: accepted by id, and the result of each refused one."""

    accepted: dict[int, PresentationContext]
    refused: dict[int, int]


def make_request(settings: RequestorSettings) -> AssociateRequest:
    """The A-ASSOCIATE-RQ. Raises ValueError for more than 128 contexts or none."""
    if not 1 <= len(settings.contexts) <= MAX_CONTEXTS:
        raise ValueError(f"{len(settings.contexts)} presentation contexts; 1 to {MAX_CONTEXTS} fit")
    contexts = tuple(
        ProposedContext(2 * index + 1, abstract_syntax, tuple(transfer_syntaxes))
        for index, (abstract_syntax, transfer_syntaxes) in enumerate(settings.contexts)
    )
    window = settings.operations_window
    user = UserInformation(
        max_pdu_length=settings.max_pdu_length,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        asynchronous_operations=(window, 1) if window > 1 else None,
        roles=settings.roles,
        extended=settings.extended,
        common_extended=settings.common_extended,
        user_identity=settings.user_identity,
    )
    return AssociateRequest(settings.called_ae_title, settings.calling_ae_title, contexts, user)


def read_accept(request: AssociateRequest, accept: AssociateAccept) -> Contexts:
    """What the acceptor took. An answer that names nothing proposed counts as a refusal of that
    context.
    """
    proposed = {context.id: context for context in request.contexts}
    wanted = {role.sop_class_uid: role for role in request.user.roles}
    granted = {role.sop_class_uid: role for role in accept.user.roles}
    accepted: dict[int, PresentationContext] = {}
    refused = {context_id: int(ContextResult.NO_REASON) for context_id in proposed}
    for answer in accept.contexts:
        context = proposed.get(answer.id)
        if context is None:
            continue
        if answer.result == 0 and answer.transfer_syntax in context.transfer_syntaxes:
            uid = context.abstract_syntax
            scu, scp = _agreed(wanted.get(uid), granted.get(uid))
            accepted[answer.id] = PresentationContext(
                answer.id, uid, answer.transfer_syntax, scu, scp
            )
            refused.pop(answer.id, None)
        elif answer.result != 0:
            refused[answer.id] = answer.result
    return Contexts(accepted, refused)


def agreed_window(asked: UserInformation, answered: UserInformation) -> tuple[int, int]:
    """The operations that the *requestor* may have outstanding, and those that it performs at once.

    PS3.7 D.3.3.3: (1, 1), the synchronous mode, unless both sides sent the item; the smaller number
    counts, and 0, which is "any number", never does.
    """
    wanted, granted = asked.asynchronous_operations, answered.asynchronous_operations
    if wanted is None or granted is None:
        return SYNCHRONOUS
    return _smaller(wanted[0], granted[0]), _smaller(wanted[1], granted[1])


def agreed_extended(asked: UserInformation, answered: UserInformation) -> dict[str, bytes]:
    """The acceptor's answer for each SOP class for which the requestor asked (PS3.7 D.3.3.5)."""
    proposed = {uid for uid, _ in asked.extended}
    return {uid: information for uid, information in answered.extended if uid in proposed}


def judge(
    request: AssociateRequest, settings: AcceptorSettings, peer_address: str
) -> Rejection | None:
    """Why this request is rejected as a whole; None: it is not."""
    if not request.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context_name != APPLICATION_CONTEXT_NAME:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    ids = [context.id for context in request.contexts]
    if not ids or len(set(ids)) != len(ids) or not all(context_id & 1 for context_id in ids):
        return MALFORMED_REQUEST
    if settings.check_called_ae_title and request.called_ae_title != settings.ae_title.strip():
        return CALLED_AE_TITLE_NOT_RECOGNIZED
    proposal = AssociationProposal(
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        peer_address=peer_address,
        user_identity=request.user.user_identity,
        contexts=request.contexts,
    )
    return settings.admit(proposal)


def make_accept(
    request: AssociateRequest, settings: AcceptorSettings
) -> tuple[AssociateAccept, Contexts]:
    """The A-ASSOCIATE-AC to a request that is not rejected, and what it makes of the contexts."""
    choices = {
        proposal.context_id: (proposal, _choose(settings.policy, proposal))
        for proposal in _proposals(request)
    }
    roles = _granted_roles(choices)
    contexts = _resolve(choices, roles)
    answers = tuple(
        AnsweredContext(context.id, *_answer(context, choices[context.id][1]))
        for context in request.contexts
    )
    classes = {context.abstract_syntax for context in contexts.accepted.values()}
    user = _answer_user(request.user, settings, classes, tuple(roles.values()))
    accept = AssociateAccept(request.called_ae_title, request.calling_ae_title, answers, user)
    return accept, contexts


def _proposals(request: AssociateRequest) -> list[Proposal]:
    roles = {role.sop_class_uid: role for role in request.user.roles}
    extended = dict(request.user.extended)
    common = {item.sop_class_uid: item for item in request.user.common_extended}
    return [
        Proposal(
            context.id,
            context.abstract_syntax,
            context.transfer_syntaxes,
            roles.get(context.abstract_syntax),
            extended.get(context.abstract_syntax),
            common.get(context.abstract_syntax),
        )
        for context in request.contexts
    ]


def _choose(policy: Policy, proposal: Proposal) -> Acceptance | ContextResult:
    if not proposal.abstract_syntax:
        return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    if not proposal.transfer_syntaxes:
        return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    return policy.choose(proposal)


_Choices = dict[int, tuple[Proposal, Acceptance | ContextResult]]


def _granted_roles(choices: _Choices) -> dict[str, RoleSelection]:
    """The role items of the answer: one for each SOP class that was accepted and had one (PS3.7
    D.3.3.4).
    """
    granted: dict[str, RoleSelection] = {}
    for proposal, choice in choices.values():
        role, uid = proposal.role, proposal.abstract_syntax
        if role is not None and isinstance(choice, Acceptance) and uid not in granted:
            granted[uid] = RoleSelection(
                uid, role.scu and choice.allow_scu, role.scp and choice.allow_scp
            )
    return granted


def _resolve(choices: _Choices, roles: dict[str, RoleSelection]) -> Contexts:
    accepted: dict[int, PresentationContext] = {}
    refused: dict[int, int] = {}
    for context_id, (proposal, choice) in choices.items():
        if isinstance(choice, Acceptance):
            uid = proposal.abstract_syntax
            peer_scu, peer_scp = _agreed(proposal.role, roles.get(uid))
            accepted[context_id] = PresentationContext(
                context_id, uid, choice.transfer_syntax, as_scu=peer_scp, as_scp=peer_scu
            )
        else:
            refused[context_id] = int(choice)
    return Contexts(accepted, refused)


def _agreed(wanted: RoleSelection | None, granted: RoleSelection | None) -> tuple[bool, bool]:
    """The requestor's roles (SCU, SCP); without both items the default ones, PS3.7 D.3.3.4."""
    if wanted is None or granted is None:
        return True, False
    return wanted.scu and granted.scu, wanted.scp and granted.scp


def _answer(context: ProposedContext, choice: Acceptance | ContextResult) -> tuple[int, str]:
    """Result and transfer syntax; that of a refusal says nothing, but has to be there."""
    if isinstance(choice, Acceptance):
        return 0, choice.transfer_syntax
    first = context.transfer_syntaxes[:1] or (IMPLICIT_VR_LITTLE_ENDIAN,)
    return int(choice), first[0]


def _answer_user(
    asked: UserInformation,
    settings: AcceptorSettings,
    classes: set[str],
    roles: tuple[RoleSelection, ...],
) -> UserInformation:
    identity = asked.user_identity
    policy = settings.policy
    extended = (
        (uid, policy.answer_extended(uid, data)) for uid, data in asked.extended if uid in classes
    )
    return UserInformation(
        max_pdu_length=settings.max_pdu_length,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        asynchronous_operations=_grant_window(asked, settings.operations_window),
        roles=roles,
        extended=tuple((uid, answer) for uid, answer in extended if answer is not None),
        identity_response=policy.answer_identity(identity)
        if identity is not None and identity.response_requested
        else None,
    )


def _grant_window(asked: UserInformation, ours: int) -> tuple[int, int] | None:
    """As much as was asked for, but no more than `ours`; no item for who sent none."""
    if asked.asynchronous_operations is None:
        return None
    invoked, performed = asked.asynchronous_operations
    most = min(ours, MAX_WINDOW)
    return _smaller(invoked, most), _smaller(performed, most)


def _smaller(one: int, other: int) -> int:
    return min((number for number in (one, other) if number != UNLIMITED), default=1)
