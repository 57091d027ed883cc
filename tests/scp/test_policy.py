"""Which presentation contexts the door accepts, and how."""

from __future__ import annotations

import pytest
from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.presentation import (
    QueryRetrievePresentationContexts,
    UnifiedProcedurePresentationContexts,
)

from vna.dimse.negotiation import (
    Acceptance,
    ContextResult,
    Proposal,
    RoleSelection,
    UserIdentity,
)
from vna.model.identifiers import Level
from vna.scp.policy import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    STORAGE_COMMITMENT,
    VERIFICATION,
    ArchivePolicy,
    Model,
    Service,
    model_of,
    service_of,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
DEFLATED = "1.2.840.10008.1.2.1.99"
PRIVATE_SYNTAX = "1.2.840.113619.5.2"
POLICY = ArchivePolicy()


def propose(
    abstract: str, *syntaxes: str, scu: bool | None = None, scp: bool = False
) -> Acceptance | ContextResult:
    role = None if scu is None else RoleSelection(abstract, scu=scu, scp=scp)
    return POLICY.choose(Proposal(1, abstract, syntaxes, role))


@pytest.mark.parametrize("context", AllStoragePresentationContexts, ids=lambda c: c.abstract_syntax)
def test_every_storage_class_that_pynetdicom_knows_is_kept(context: object) -> None:
    assert service_of(str(getattr(context, "abstract_syntax", ""))) is Service.STORAGE


@pytest.mark.parametrize(
    "uid",
    [
        pytest.param("1.2.840.10008.5.1.4.1.1.5", id="retired nuclear medicine"),
        pytest.param("1.2.840.10008.5.1.4.1.1.12.77", id="retired, without a name"),
        pytest.param("1.2.840.10008.5.1.4.1.1.8", id="retired standalone overlay"),
        pytest.param("1.2.840.10008.5.1.1.29", id="retired hardcopy"),
        pytest.param("1.2.840.10008.5.1.4.34.1", id="retired trial"),
        pytest.param("1.2.840.10008.5.1.4.34.7", id="RT delivery instruction"),
        pytest.param("1.2.840.10008.5.1.4.38.1", id="hanging protocol"),
        pytest.param("1.2.840.10008.5.1.4.1.1.999.1", id="a future one"),
        pytest.param("1.2.840.113619.4.27", id="private, of a vendor"),
        pytest.param("1.3.12.2.1107.5.9.1", id="private, of another vendor"),
        pytest.param("2.25.123", id="private, of a random UUID"),
    ],
)
def test_retired_future_and_private_classes_are_kept(uid: str) -> None:
    assert service_of(uid) is Service.STORAGE


@pytest.mark.parametrize(
    "uid",
    [
        pytest.param("1.2.840.10008.1.3.10", id="DICOMDIR"),
        pytest.param("1.2.840.10008.1.20.1.1", id="the instance of storage commitment"),
        pytest.param("1.2.840.10008.5.1.4.31", id="worklist"),
        pytest.param("1.2.840.10008.3.1.2.3.3", id="performed procedure step"),
        pytest.param("1.2.840.10008.5.1.1.9", id="print management"),
        pytest.param("1.2.840.10008.5.1.4.1.2.3.1", id="patient/study only"),
        pytest.param("1.2.840.10008.5.1.4.1.1.201.2", id="inventory find"),
        pytest.param("1.2.840.10008.5.1.4.1.1.200.4", id="protocol approval find"),
        pytest.param("1.2.840.10008.1.2.1", id="a transfer syntax"),
        pytest.param("1.2.840.10008.4.2", id="a service class"),
        pytest.param("1.2.840.10008.5.1.4.77", id="unknown, not under storage"),
        pytest.param("", id="empty"),
        pytest.param("1.2..3", id="empty component"),
        pytest.param("1.2.03", id="leading zero"),
        pytest.param("1.2.x", id="letters"),
        pytest.param("../../etc", id="a path"),
        pytest.param("1." + "2" * 64, id="too long"),
    ],
)
def test_what_is_not_served_is_no_abstract_syntax(uid: str) -> None:
    expected = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    assert propose(uid, IMPLICIT_LITTLE) is expected


def test_no_other_service_that_pynetdicom_knows_is_served_by_mistake() -> None:
    contexts = [*QueryRetrievePresentationContexts, *UnifiedProcedurePresentationContexts]
    services = {str(c.abstract_syntax): service_of(str(c.abstract_syntax)) for c in contexts}
    assert Service.STORAGE not in services.values()
    assert sum(service is not None for service in services.values()) == 9


@pytest.mark.parametrize(
    ("model", "numbers"),
    [
        (Model.PATIENT_ROOT, {1, 2, 3}),
        (Model.STUDY_ROOT, {1, 2, 3}),
        (Model.COMPOSITE_ROOT, {2, 3}),
        (Model.WITHOUT_BULK_DATA, {3}),
    ],
)
def test_each_information_model_is_served_as_far_as_the_standard_has_it(
    model: Model, numbers: set[int]
) -> None:
    for number, service in ((1, Service.FIND), (2, Service.MOVE), (3, Service.GET)):
        if number in numbers:
            assert service_of(f"{model}.{number}") is service
            assert model_of(f"{model}.{number}") is model
        else:
            assert service_of(f"{model}.{number}") is None


def test_study_root_has_no_patient_level() -> None:
    assert Level.PATIENT in Model.PATIENT_ROOT.levels
    assert Level.PATIENT not in Model.STUDY_ROOT.levels


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ((IMPLICIT_LITTLE,), IMPLICIT_LITTLE),
        ((EXPLICIT_BIG,), EXPLICIT_BIG),
        ((IMPLICIT_LITTLE, EXPLICIT_LITTLE), EXPLICIT_LITTLE),
        ((EXPLICIT_BIG, IMPLICIT_LITTLE), EXPLICIT_BIG),
        ((JPEG_2000, EXPLICIT_LITTLE), JPEG_2000),
        ((EXPLICIT_LITTLE, JPEG_2000), EXPLICIT_LITTLE),
        ((IMPLICIT_LITTLE, JPEG_2000, EXPLICIT_LITTLE), EXPLICIT_LITTLE),
        ((DEFLATED,), DEFLATED),
        ((PRIVATE_SYNTAX, IMPLICIT_LITTLE), PRIVATE_SYNTAX),
        (("1.2..3", JPEG), JPEG),
        ((CT, JPEG), JPEG),
    ],
)
def test_the_first_syntax_counts_but_explicit_little_endian_is_preferred(
    proposed: tuple[str, ...], chosen: str
) -> None:
    assert propose(CT, *proposed) == Acceptance(chosen, allow_scp=True)


@pytest.mark.parametrize("syntaxes", [("1.2..3",), (CT,), ("",), ()])
def test_a_context_without_a_possible_syntax_is_refused(syntaxes: tuple[str, ...]) -> None:
    assert propose(CT, *syntaxes) is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED


@pytest.mark.parametrize("abstract", [VERIFICATION, f"{Model.STUDY_ROOT}.1"])
def test_identifiers_travel_uncompressed(abstract: str) -> None:
    assert propose(abstract, JPEG, IMPLICIT_LITTLE) == Acceptance(IMPLICIT_LITTLE, allow_scp=False)
    assert propose(abstract, JPEG) is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED


def test_a_peer_that_only_receives_gets_a_syntax_that_carries_everything() -> None:
    chosen = propose(CT, JPEG, IMPLICIT_LITTLE, EXPLICIT_LITTLE, scu=False, scp=True)
    assert chosen == Acceptance(EXPLICIT_LITTLE, allow_scp=True)
    assert propose(CT, JPEG, scu=False, scp=True) == Acceptance(JPEG, allow_scp=True)
    assert propose(CT, EXPLICIT_BIG, IMPLICIT_LITTLE, scu=False, scp=True) == Acceptance(
        IMPLICIT_LITTLE, allow_scp=True
    )


def test_roles_that_leave_nothing_to_do_are_refused() -> None:
    find = f"{Model.STUDY_ROOT}.1"
    assert propose(find, IMPLICIT_LITTLE, scu=False, scp=True) is ContextResult.USER_REJECTION
    assert propose(CT, IMPLICIT_LITTLE, scu=False, scp=False) is ContextResult.USER_REJECTION
    assert propose(find, IMPLICIT_LITTLE, scu=True, scp=True) == Acceptance(
        IMPLICIT_LITTLE, allow_scp=False
    )


def test_extended_negotiation_is_answered_for_what_is_served() -> None:
    assert POLICY.answer_extended(CT, b"\x02\x00\x02\x00\x00\x00") == bytes((2, 0, 3, 0, 0, 0))
    assert POLICY.answer_extended(f"{Model.STUDY_ROOT}.1", b"\x01\x01\x01") == b"\x01\x01\x01"
    assert POLICY.answer_extended(f"{Model.STUDY_ROOT}.1", b"\1" * 5) == b"\1\1\1\1\0"
    assert POLICY.answer_extended(f"{Model.STUDY_ROOT}.2", b"\1\1") == b"\1\0"
    assert ArchivePolicy("never").answer_extended(f"{Model.STUDY_ROOT}.1", b"\1" * 5) == (
        b"\1\1\0\1\0"
    )
    assert POLICY.answer_extended(f"{Model.PATIENT_ROOT}.2", b"\x00") == b"\x00"
    assert POLICY.answer_extended(VERIFICATION, b"\x01") is None
    assert POLICY.answer_identity(UserIdentity(1, b"someone", response_requested=True)) == b""


def test_names_of_the_standard_are_read_as_expected() -> None:
    assert UID("1.2.840.10008.1.20.1").name.endswith("SOP Class")  # "Storage Commitment …"


@pytest.mark.parametrize(("scu", "scp"), [(True, False), (False, True), (True, True)])
def test_storage_commitment_is_served_in_either_role(*, scu: bool, scp: bool) -> None:
    role = RoleSelection(STORAGE_COMMITMENT, scu=scu, scp=scp)
    proposal = Proposal(1, STORAGE_COMMITMENT, (IMPLICIT_LITTLE, EXPLICIT_LITTLE), role)
    assert service_of(STORAGE_COMMITMENT) is Service.COMMITMENT
    assert POLICY.choose(proposal) == Acceptance(EXPLICIT_LITTLE, allow_scp=True)
