"""Who may open an association, from where and as whom, without a socket."""

from __future__ import annotations

from dataclasses import replace

import pytest
from werkzeug.security import generate_password_hash

from tests import samples
from vna.config import DimseConfig, IdentityConfig, PeerConfig
from vna.dimse.negotiation import (
    Acceptance,
    ContextResult,
    Proposal,
    RoleSelection,
    UserIdentity,
)
from vna.dimse.settings import AssociationProposal
from vna.scp.admission import Admission, Admitted, Refusal
from vna.scp.hosts import Names
from vna.scp.peer_policy import PeerPolicy
from vna.scp.places import Places
from vna.scp.policy import VERIFICATION, ArchivePolicy

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
COMMITMENT = "1.2.840.10008.1.20.1"
IDENTITY = IdentityConfig(users={"anna": generate_password_hash("pw", "pbkdf2:sha256:1")})


def admission(config: DimseConfig, size: int = 10) -> Admission:
    return Admission(config, "VNA", Places(size), Names(lambda _: frozenset(("10.0.0.7",))))


def proposal(
    calling: str = "CT1",
    address: str = "10.0.0.1",
    called: str = "VNA",
    identity: UserIdentity | None = None,
) -> AssociationProposal:
    return AssociationProposal(calling, called, address, identity, ())


def refused(verdict: Admitted | Refusal) -> tuple[int, int, int]:
    assert isinstance(verdict, Refusal)
    assert verdict.reason
    rejection = verdict.rejection
    return rejection.result, rejection.source, rejection.reason


@pytest.mark.parametrize(
    ("config", "asked", "answer"),
    [
        (DimseConfig(), proposal("ANYBODY", called="ANYTHING"), None),
        (DimseConfig(known_ae_titles=("CT1",)), proposal(), None),
        (DimseConfig(known_ae_titles=(" CT1 ",)), proposal(), None),
        (DimseConfig(known_ae_titles=("CT1",)), proposal("CT2"), (1, 1, 3)),
        (DimseConfig(known_ae_titles=("CT1",)), proposal("ct1"), (1, 1, 3)),
        (DimseConfig(known_ae_titles=("CT1",), allow_any_ae=True), proposal("CT2"), None),
        (DimseConfig(peers={"CT1": PeerConfig()}), proposal(), None),
        (DimseConfig(peers={"CT1": PeerConfig()}), proposal("CT2"), (1, 1, 3)),
        (DimseConfig(peers={"MR1": PeerConfig()}, known_ae_titles=("CT1",)), proposal(), None),
        (DimseConfig(peers={"CT1": PeerConfig(hosts=("10.0.0.0/8",))}), proposal(), None),
        (DimseConfig(peers={"CT1": PeerConfig(hosts=("10.0.0.2",))}), proposal(), (1, 1, 3)),
        (
            DimseConfig(peers={"CT1": PeerConfig(hosts=("10.0.0.2",))}, allow_any_ae=True),
            proposal(),
            (1, 1, 3),
        ),
        (
            DimseConfig(peers={"CT1": PeerConfig(hosts=("ct1.example",))}),
            proposal(address="10.0.0.7"),
            None,
        ),
        (DimseConfig(check_called_ae_title=True), proposal(), None),
        (DimseConfig(check_called_ae_title=True), proposal(called="vna"), (1, 1, 7)),
    ],
)
def test_titles_and_hosts(
    config: DimseConfig, asked: AssociationProposal, answer: tuple[int, int, int] | None
) -> None:
    verdict = admission(config).judge(asked)
    if answer is None:
        assert isinstance(verdict, Admitted)
    else:
        assert refused(verdict) == answer


@pytest.mark.parametrize("is_for_all", [True, False])
def test_an_identity_is_required_of_all_or_of_one(is_for_all: bool) -> None:
    config = DimseConfig(
        peers={"CT1": PeerConfig(user_identity_required=not is_for_all), "MR1": PeerConfig()},
        identity=replace(IDENTITY, required=is_for_all),
    )
    judge = admission(config).judge
    assert refused(judge(proposal())) == (1, 1, 1)
    assert isinstance(judge(proposal("MR1")), Refusal if is_for_all else Admitted)
    verdict = judge(proposal(identity=UserIdentity(2, b"anna", b"pw")))
    assert isinstance(verdict, Admitted)
    assert verdict.user == "anna"
    assert refused(judge(proposal("MR1", identity=UserIdentity(2, b"anna", b"no")))) == (1, 1, 1)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (DimseConfig(max_associations=1), "dimse.max_associations if"),
        (DimseConfig(max_associations_per_ae=1), "dimse.max_associations_per_ae"),
        (DimseConfig(max_associations_per_address=1), "dimse.max_associations_per_address"),
        (DimseConfig(peers={"CT1": PeerConfig(max_associations=1)}), "dimse.peers"),
    ],
)
def test_limits_say_what_to_raise(config: DimseConfig, word: str) -> None:
    judge = admission(config).judge
    first = judge(proposal())
    assert isinstance(first, Admitted)
    verdict = judge(proposal())
    assert refused(verdict) == (2, 3, 2)
    assert isinstance(verdict, Refusal)
    assert word in verdict.reason
    first.place.leave()
    assert isinstance(judge(proposal()), Admitted)


def test_who_is_refused_takes_no_place() -> None:
    config = DimseConfig(
        max_associations=1, known_ae_titles=("CT1",), identity=replace(IDENTITY, required=True)
    )
    judge = admission(config).judge
    for _ in range(5):
        assert isinstance(judge(proposal("STRANGER")), Refusal)
        assert isinstance(judge(proposal()), Refusal)
    assert isinstance(judge(proposal(identity=UserIdentity(2, b"anna", b"pw"))), Admitted)


def context(
    uid: str,
    *syntaxes: str,
    role: tuple[bool, bool] | None = None,
) -> Proposal:
    selection = None if role is None else RoleSelection(uid, *role)
    return Proposal(1, uid, syntaxes or (samples.IMPLICIT,), selection)


def policy(**rules: tuple[str, ...]) -> PeerPolicy:
    made = PeerPolicy(ArchivePolicy())
    made.rules = PeerConfig(**rules)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    ("services", "uid", "is_accepted"),
    [
        ((), STUDY_FIND, True),
        (("store",), CT_STORAGE, True),
        (("store",), STUDY_FIND, False),
        (("store",), VERIFICATION, False),
        (("verification", "find"), VERIFICATION, True),
        (("verification", "find"), STUDY_FIND, True),
        (("find",), CT_STORAGE, False),
        (("get",), STUDY_GET, True),
        (("move",), STUDY_GET, False),
        (("store",), COMMITMENT, False),
        (("commitment",), COMMITMENT, True),
    ],
)
def test_services(services: tuple[str, ...], uid: str, is_accepted: bool) -> None:
    choice = policy(services=services).choose(context(uid))
    if is_accepted:
        assert isinstance(choice, Acceptance)
    else:
        assert choice is ContextResult.USER_REJECTION


def test_who_may_only_get_receives_but_does_not_send() -> None:
    getter = policy(services=("get",))
    assert getter.choose(context(CT_STORAGE)) is ContextResult.USER_REJECTION
    for role in ((False, True), (True, True)):
        choice = getter.choose(context(CT_STORAGE, role=role))
        assert isinstance(choice, Acceptance)
        assert not choice.allow_scu
        assert choice.allow_scp
    assert getter.choose(context(CT_STORAGE, role=(True, False))) is ContextResult.USER_REJECTION


def test_transfer_syntaxes_bound_what_is_sent_to_us() -> None:
    jpeg, explicit = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.1"
    restricted = policy(transfer_syntaxes=(explicit,))
    choice = restricted.choose(context(CT_STORAGE, jpeg, explicit))
    assert isinstance(choice, Acceptance)
    assert choice.transfer_syntax == explicit
    refusal = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    assert restricted.choose(context(CT_STORAGE, jpeg)) is refusal
    assert isinstance(restricted.choose(context(STUDY_FIND)), Acceptance)
    assert isinstance(restricted.choose(context(CT_STORAGE, jpeg, role=(False, True))), Acceptance)


def test_only_a_verified_user_is_confirmed() -> None:
    made = policy()
    identity = UserIdentity(2, b"anna", b"pw", response_requested=True)
    assert made.answer_identity(identity) is None
    made.user = "anna"
    assert made.answer_identity(identity) == b""
