"""C-MOVE at the door: sub-operations to a configured destination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.scp.site import Destination, Site, associate, open_site
from tests.scp.test_get import STUDY, counters_of, failed_uids, keep
from vna.config import DestinationConfig, DimseConfig
from vna.dimse import scu
from vna.dimse.command import Command
from vna.dimse.negotiation import Acceptance, ContextResult, Proposal
from vna.index.database import Database
from vna.scp.lane import MAX_BARREN
from vna.scp.policy import Model

MOVE = f"{Model.STUDY_ROOT}.2"
CT, SC = samples.CT_IMAGE, samples.SECONDARY_CAPTURE
EXPLICIT, IMPLICIT, JPEG = samples.EXPLICIT, samples.IMPLICIT, samples.JPEG_BASELINE


RETRIES = 1


@pytest.fixture
def quick_site(database: Database, tmp_path: Path) -> Iterator[Site]:
    """One that tries again only once."""
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path, DimseConfig(move_retries=RETRIES)) as running:
        yield running
    backend.close()


def move(
    site: Site, destination: str = "DEST", keys: Mapping[str, samples.Value] = STUDY
) -> list[scu.Answer]:
    """All responses."""
    with associate(site, (MOVE, (EXPLICIT,)), calling="ASKER") as association:
        return list(scu.move(association, MOVE, samples.dataset({**keys}), destination))


def test_stored_bytes_are_sent_as_they_are_each_in_its_own_syntax(site: Site) -> None:
    sent = keep(site, [(CT, EXPLICIT, "1.2.3.1"), (CT, JPEG, "1.2.3.2"), (SC, IMPLICIT, "1.2.3.3")])
    with Destination().listen(site) as destination:
        *pending, final = move(site)
    assert final.command.status == 0
    assert counters_of(final.command) == (None, 3, 0, 0)
    assert counters_of(pending[0].command) == (3, 0, 0, 0)
    found = {r.command.affected_sop_instance_uid: r for r in destination.received}
    assert {uid: r.dataset for uid, r in found.items()} == sent
    assert found["1.2.3.2"].transfer_syntax == JPEG
    assert len({r.association for r in destination.received}) == 1


def test_the_destination_is_told_who_asked(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1")])
    with Destination().listen(site) as destination:
        move(site)
    (received,) = destination.received
    assert received.command.move_originator_application_entity_title == "ASKER"
    assert received.command.move_originator_message_id == 1
    assert received.command.affected_sop_class_uid == CT


def test_an_unknown_destination_has_a_status_of_its_own(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1")])
    (final,) = move(site, "NOWHERE")
    assert final.command.status == 0xA801
    assert "NOWHERE" in final.command.error_comment


def test_nothing_to_send_is_a_success_without_an_association(site: Site) -> None:
    with Destination().listen(site) as destination:
        (final,) = move(site)
    assert final.command.status == 0
    assert counters_of(final.command) == (None, 0, 0, 0)
    assert destination.received == []


def test_a_destination_that_is_down_fails_everything(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1"), (CT, EXPLICIT, "1.2.3.2")])
    site.destinations["DEST"] = DestinationConfig("127.0.0.1", 1)
    final = move(site)[-1]
    assert final.command.status == 0xA702
    assert counters_of(final.command) == (None, 0, 2, 0)
    assert failed_uids(final) == ["1.2.3.1", "1.2.3.2"]


def test_a_refused_class_fails_alone(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1"), (SC, EXPLICIT, "1.2.3.2")])

    def choose(proposal: Proposal) -> Acceptance | ContextResult:
        if proposal.abstract_syntax == SC:
            return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        return Acceptance(proposal.transfer_syntaxes[0])

    with Destination(choose=choose).listen(site) as destination:
        final = move(site)[-1]
    assert final.command.status == 0xB000
    assert counters_of(final.command) == (None, 1, 1, 0)
    assert failed_uids(final) == ["1.2.3.2"]
    assert len(destination.received) == 1


def test_a_destination_of_one_plain_syntax_gets_everything_converted(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1"), (CT, IMPLICIT, "1.2.3.2")])

    def choose(proposal: Proposal) -> Acceptance | ContextResult:
        if IMPLICIT not in proposal.transfer_syntaxes:
            return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        return Acceptance(IMPLICIT)

    with Destination(choose=choose).listen(site) as destination:
        final = move(site)[-1]
    assert counters_of(final.command) == (None, 2, 0, 0)
    assert {r.transfer_syntax for r in destination.received} == {IMPLICIT}


def test_statuses_of_the_destination_are_counted(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in (1, 2, 3)])
    statuses = iter([0, 0xB007, 0xA900])
    with Destination(answer=lambda _: next(statuses)).listen(site):
        final = move(site)[-1]
    assert final.command.status == 0xB000
    assert counters_of(final.command) == (None, 1, 1, 1)


def test_an_instance_whose_association_is_lost_is_sent_again_over_a_fresh_one(site: Site) -> None:
    sent = keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in (1, 2, 3)])
    statuses = iter([0, None, 0, 0])
    with Destination(answer=lambda _: next(statuses)).listen(site) as destination:
        final = move(site)[-1]
    assert final.command.status == 0
    assert counters_of(final.command) == (None, 3, 0, 0)
    assert {r.command.affected_sop_instance_uid: r.dataset for r in destination.received} == sent
    assert len({r.association for r in destination.received}) == 3


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110, None])
def test_what_the_destination_can_never_take_fails_once_and_the_rest_arrives(
    quick_site: Site, status: int | None
) -> None:
    keep(quick_site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in (1, 2, 3)])
    tried = Counter[str]()

    def answer(command: Command) -> int | None:
        uid = command.affected_sop_instance_uid
        tried[uid] += 1
        return status if uid == "1.2.3.2" else 0

    with Destination(answer=answer).listen(quick_site):
        final = move(quick_site)[-1]
    assert final.command.status == 0xB000
    assert counters_of(final.command) == (None, 2, 1, 0)
    assert failed_uids(final) == ["1.2.3.2"]
    assert tried == {"1.2.3.1": 1, "1.2.3.2": RETRIES + 1, "1.2.3.3": 1}


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122, 0x0117])
def test_a_permanent_refusal_is_not_repeated(site: Site, status: int) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1")])
    asked = count()

    def answer(_: object) -> int:
        next(asked)
        return status

    with Destination(answer=answer).listen(site):
        final = move(site)[-1]
    assert final.command.status == 0xA702
    assert counters_of(final.command) == (None, 0, 1, 0)
    assert next(asked) == 1


def test_what_is_refused_for_now_is_sent_again_over_a_fresh_association(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in (1, 2)])
    statuses = iter([0xA700, 0, 0])
    with Destination(answer=lambda _: next(statuses)).listen(site) as destination:
        final = move(site)[-1]
    assert final.command.status == 0
    assert counters_of(final.command) == (None, 2, 0, 0)
    order = [r.command.affected_sop_instance_uid for r in destination.received]
    assert order == ["1.2.3.1", "1.2.3.2", "1.2.3.1"]
    assert len({r.association for r in destination.received}) == 2


def test_a_destination_that_always_aborts_is_given_up(quick_site: Site) -> None:
    keep(quick_site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in range(1, 8)])
    asked = count()

    def answer(_: object) -> int | None:
        next(asked)
        return None

    with Destination(answer=answer).listen(quick_site):
        final = move(quick_site)[-1]
    assert final.command.status == 0xA702
    assert counters_of(final.command) == (None, 0, 7, 0)
    assert len(cast("list[str]", failed_uids(final))) == 7
    assert next(asked) == MAX_BARREN + RETRIES


def test_more_kinds_than_one_association_carries_take_several(site: Site) -> None:
    kinds = [(f"1.3.6.1.4.1.9999.{n}", JPEG, f"1.2.3.{n}") for n in range(1, 71)]
    sent = keep(site, kinds)
    with Destination().listen(site) as destination:
        final = move(site)[-1]
    assert counters_of(final.command) == (None, 70, 0, 0)
    assert {r.command.affected_sop_instance_uid: r.dataset for r in destination.received} == sent
    assert len({r.association for r in destination.received}) == 2
