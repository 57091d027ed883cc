"""C-GET at the door: sub-operations over the same association."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from tests import samples
from tests.scp.site import Site, associate
from vna.dicom.json import dataset_json
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.message import Message
from vna.dimse.negotiation import RoleSelection
from vna.scp.policy import Model

GET = f"{Model.STUDY_ROOT}.3"
CT, SC = samples.CT_IMAGE, samples.SECONDARY_CAPTURE
EXPLICIT, IMPLICIT, JPEG = samples.EXPLICIT, samples.IMPLICIT, samples.JPEG_BASELINE


@dataclass
class Taken:
    """What a C-GET brought: (transfer syntax, dataset) by SOP Instance UID, and the responses."""

    instances: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    responses: list[scu.Answer] = field(default_factory=list)

    @property
    def final(self) -> Command:
        return self.responses[-1].command

    @property
    def counters(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Remaining, completed, failed, warning."""
        return counters_of(self.final)

    @property
    def failed_uids(self) -> object:
        return failed_uids(self.responses[-1])


def counters_of(command: Command) -> tuple[int | None, int | None, int | None, int | None]:
    return (
        command.number_of_remaining_suboperations,
        command.number_of_completed_suboperations,
        command.number_of_failed_suboperations,
        command.number_of_warning_suboperations,
    )


def failed_uids(answer: scu.Answer) -> object:
    """The Failed SOP Instance UID List of a response."""
    elements = dataset_json(
        answer.data, dataset_offset=0, transfer_syntax_uid=answer.transfer_syntax
    )
    return elements["00080058"]["Value"]


def keep(
    site: Site, items: Sequence[tuple[str, str, str]], **overrides: samples.Value
) -> dict[str, bytes]:
    """Store (class, syntax, SOP Instance UID)s in study 1.2; the datasets by UID."""
    sent = {}
    kinds = list(dict.fromkeys((sop_class, syntax) for sop_class, syntax, _ in items))
    with associate(site, *[(kind[0], (kind[1],)) for kind in kinds]) as association:
        for sop_class, syntax, uid in items:
            uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
            pixels = {} if syntax != JPEG else compressed()
            elements = samples.identity(
                SOPClassUID=sop_class, SOPInstanceUID=uid, **{**uids, **pixels, **overrides}
            )
            data = samples.dataset(elements, syntax)
            context = association.context_for(sop_class, syntax)
            response = scu.store(association, context, scu.Instance(sop_class, uid), data)
            assert response.status == 0, response
            sent[uid] = data
    return sent


def compressed() -> dict[str, samples.Value]:
    """An element that makes no image: a syntax that can't be decoded from it."""
    return {"ImageComments": "pretends to be compressed"}


def receive_contexts(
    kinds: Sequence[tuple[str, tuple[str, ...]]],
) -> tuple[list[tuple[str, tuple[str, ...]]], list[RoleSelection]]:
    roles = [RoleSelection(uid, scu=False, scp=True) for uid in dict.fromkeys(k[0] for k in kinds)]
    return [(GET, (EXPLICIT,)), *kinds], roles


def get(
    site: Site,
    keys: Mapping[str, samples.Value],
    kinds: Sequence[tuple[str, tuple[str, ...]]],
    answer: Callable[[Association, Message], int] = lambda _association, _message: 0,
) -> Taken:
    contexts, roles = receive_contexts(kinds)
    taken = Taken()

    with associate(site, *contexts, roles=roles) as association:

        def on_store(message: Message) -> int:
            data = message.read_data(2**30)
            uid = message.command.affected_sop_instance_uid
            taken.instances[uid] = (message.context.transfer_syntax, data)
            return answer(association, message)

        identifier = samples.dataset({**keys})
        taken.responses.extend(scu.get(association, GET, identifier, on_store))
    return taken


STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}


def test_stored_bytes_come_back_as_they_are(site: Site) -> None:
    items = [
        (CT, EXPLICIT, "1.2.3.1"),
        (CT, IMPLICIT, "1.2.3.2"),
        (CT, JPEG, "1.2.3.3"),
        (SC, EXPLICIT, "1.2.3.4"),
    ]
    sent = keep(site, items)
    kinds = [(CT, (EXPLICIT,)), (CT, (IMPLICIT,)), (CT, (JPEG,)), (SC, (EXPLICIT,))]
    taken = get(site, STUDY, kinds)
    assert taken.final.status == 0
    assert taken.counters == (None, 4, 0, 0)
    assert {uid: data for uid, (_, data) in taken.instances.items()} == sent
    assert taken.instances["1.2.3.3"][0] == JPEG


def test_a_pending_response_counts_what_remains(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1"), (CT, EXPLICIT, "1.2.3.2")])
    taken = get(site, STUDY, [(CT, (EXPLICIT,))])
    first = taken.responses[0].command
    assert first.status == 0xFF00
    assert counters_of(first) == (2, 0, 0, 0)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ["1.2", "9.9"]}, 3),
        (
            {
                "QueryRetrieveLevel": "SERIES",
                "StudyInstanceUID": "1.2",
                "SeriesInstanceUID": "1.2.3",
            },
            3,
        ),
        ({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": ["1.2.3.1", "1.2.3.3"]}, 2),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "9.9"}, 0),
        (
            {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "9", "SeriesInstanceUID": "1.2.3"},
            0,
        ),
    ],
)
def test_each_level_selects(site: Site, keys: Mapping[str, samples.Value], expected: int) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in (1, 2, 3)])
    taken = get(site, keys, [(CT, (EXPLICIT,))])
    assert taken.final.status == 0
    assert taken.counters == (None, expected, 0, 0)
    assert len(taken.instances) == expected


def test_native_data_is_converted_for_a_peer_that_takes_another_plain_syntax(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1")])
    taken = get(site, STUDY, [(CT, (IMPLICIT,))])
    assert taken.final.status == 0
    syntax, data = taken.instances["1.2.3.1"]
    assert syntax == IMPLICIT
    elements = dataset_json(data, dataset_offset=0, transfer_syntax_uid=IMPLICIT)
    assert elements["00080018"]["Value"] == ["1.2.3.1"]
    assert elements["00100020"]["Value"] == ["PID-1"]


def test_what_the_peer_does_not_take_fails_and_the_rest_is_sent(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1"), (SC, EXPLICIT, "1.2.3.2")])
    taken = get(site, STUDY, [(CT, (EXPLICIT,))])
    assert taken.final.status == 0xB000
    assert taken.counters == (None, 1, 1, 0)
    assert taken.failed_uids == ["1.2.3.2"]


def test_nothing_sent_at_all_is_unable_to_perform(site: Site) -> None:
    keep(site, [(SC, EXPLICIT, "1.2.3.2")])
    taken = get(site, STUDY, [(CT, (EXPLICIT,))])
    assert taken.final.status == 0xA702
    assert taken.counters == (None, 0, 1, 0)
    assert taken.final.error_comment
    assert taken.failed_uids == ["1.2.3.2"]


def test_statuses_of_the_peer_are_counted(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in (1, 2, 3)])
    statuses = iter([0xA700, 0xB000, 0x0000])
    taken = get(site, STUDY, [(CT, (EXPLICIT,))], lambda _a, _m: next(statuses))
    assert taken.final.status == 0xB000
    assert taken.counters == (None, 1, 1, 1)
    assert len(taken.instances) == 3


def test_a_cancelled_retrieval_says_what_remains(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in range(1, 6)])

    def cancel(association: Association, message: Message) -> int:
        context = association.context_for(GET)
        scu.cancel(association, context.id, 1)
        return 0

    taken = get(site, STUDY, [(CT, (EXPLICIT,))], cancel)
    assert taken.final.status == 0xFE00
    remaining, completed, failed, warning = taken.counters
    assert remaining is not None
    assert completed is not None
    assert remaining > 0
    assert (remaining + completed, failed, warning) == (5, 0, 0)
    assert len(taken.instances) == completed


def test_an_object_that_is_gone_fails_alone(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1"), (CT, EXPLICIT, "1.2.3.2")])
    (lost,) = site.stored("1.2.3.1")
    site.backend.delete(lost.location.key)
    taken = get(site, STUDY, [(CT, (EXPLICIT,))])
    assert taken.final.status == 0xB000
    assert taken.counters == (None, 1, 1, 0)
    assert taken.failed_uids == ["1.2.3.1"]


@pytest.mark.parametrize(
    "keys",
    [
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"},
        {"QueryRetrieveLevel": "PATIENT", "PatientID": "PID-1"},
        {"StudyInstanceUID": "1.2"},
    ],
)
def test_an_empty_or_wrong_key_never_sends_the_archive(
    site: Site, keys: Mapping[str, samples.Value]
) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1")])
    taken = get(site, keys, [(CT, (EXPLICIT,))])
    assert taken.final.status == 0xA900
    assert taken.final.error_comment
    assert taken.instances == {}
