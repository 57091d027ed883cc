"""C-MOVE to destinations that hold up: cancel, pending responses and a peer that leaves, at each phase."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.scp.site import LOOPBACK, Destination, Site, associate, open_site, store_response
from tests.scp.test_get import STUDY, counters_of, failed_uids, keep
from tests.scp.test_move import EXPLICIT, MOVE
from vna.config import DestinationConfig, DimseConfig
from vna.dimse import scu
from vna.dimse.associate import decode_request, encode_accept
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.errors import AssociationEnded
from vna.dimse.pdu import AnsweredContext, AssociateAccept, UserInformation
from vna.dimse.settings import (
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
    Rejection,
)
from vna.index.database import Database

CT = samples.CT_IMAGE
TOTAL = 5
DEADLINE = 60


@pytest.fixture
def impatient_site(database: Database, tmp_path: Path) -> Iterator[Site]:
    """One that answers pending all the time."""
    backend = FilesystemBackend(tmp_path / "store")
    config = DimseConfig(pending_interval=0.01)
    with open_site(database, backend, tmp_path, config) as running:
        yield running
    backend.close()


class Gate:
    """Lets instances pass until number `holds`, then holds whoever comes until `open` is called."""

    def __init__(self, holds: int) -> None:
        self._left = holds
        self._opened = threading.Event()
        self.reached = threading.Event()

    def answer(self, _command: Command) -> int:
        self._left -= 1
        if self._left < 0:
            self.reached.set()
            assert self._opened.wait(DEADLINE)
        return 0

    def open(self) -> None:
        self._opened.set()


@contextmanager
def moving(site: Site) -> Iterator[tuple[Association, Iterator[scu.Answer]]]:
    """A C-MOVE of the study under way."""
    with associate(site, (MOVE, (EXPLICIT,))) as peer:
        yield peer, scu.move(peer, MOVE, samples.dataset({**STUDY}), "DEST")


def cancelled(peer: Association, answers: Iterator[scu.Answer]) -> scu.Answer:
    """Cancel; the final response."""
    scu.cancel(peer, peer.context_for(MOVE).id, 1)
    return list(answers)[-1]


def keep_total(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in range(1, TOTAL + 1)])


@pytest.mark.parametrize("holds", [0, 2, TOTAL - 1])
def test_a_cancel_is_answered_while_the_destination_keeps_an_answer_back(
    site: Site, holds: int
) -> None:
    keep_total(site)
    gate = Gate(holds)
    with Destination(answer=gate.answer).listen(site), moving(site) as (peer, answers):
        assert next(answers).command.status == 0xFF00
        assert gate.reached.wait(DEADLINE)
        final = cancelled(peer, answers)
        gate.open()
    assert final.command.status == 0xFE00
    assert counters_of(final.command) == (TOTAL - holds - 1, holds, 1, 0)
    assert failed_uids(final) == [f"1.2.3.{holds + 1}"]


@contextmanager
def held_port(site: Site, serve: Callable[[socket.socket], None]) -> Iterator[threading.Event]:
    """A destination whose connections `serve` gets; set once the first was given to it."""
    served = threading.Event()
    with socket.create_server((LOOPBACK, 0)) as listening, contextlib.ExitStack() as held:
        site.destinations["DEST"] = DestinationConfig(LOOPBACK, listening.getsockname()[1])

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock = held.enter_context(listening.accept()[0])
                    serve(sock)
                    served.set()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield served
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE)


def test_a_cancel_is_answered_while_the_destination_answers_no_association_request(
    site: Site,
) -> None:
    keep_total(site)
    with (
        held_port(site, lambda _: None) as connected,
        moving(site) as (peer, answers),
    ):
        assert connected.wait(DEADLINE)
        final = cancelled(peer, answers)
    assert final.command.status == 0xFE00
    assert counters_of(final.command) == (TOTAL, 0, 0, 0)
    assert final.data == b""


def accept_association(sock: socket.socket) -> None:
    """Accept an association with the first transfer syntax of each context, and leave it at that."""
    header = sock.recv(6, socket.MSG_WAITALL)
    body = sock.recv(int.from_bytes(header[2:], "big"), socket.MSG_WAITALL)
    request = decode_request(memoryview(body))
    contexts = tuple(AnsweredContext(c.id, 0, c.transfer_syntaxes[0]) for c in request.contexts)
    user = UserInformation(max_pdu_length=16384, implementation_class_uid="1.2.3")
    names = request.called_ae_title, request.calling_ae_title
    sock.sendall(encode_accept(AssociateAccept(*names, contexts, user)))


def read_drop_by_drop(sock: socket.socket) -> None:
    """As that, then take a byte now and then until the connection ends."""
    accept_association(sock)

    def drip() -> None:
        pause = threading.Event()
        with contextlib.suppress(OSError):
            while sock.recv(1):
                pause.wait(0.05)

    threading.Thread(target=drip, daemon=True).start()


@pytest.mark.parametrize("serve", [accept_association, read_drop_by_drop])
def test_a_cancel_is_answered_while_the_destination_takes_hardly_anything(
    site: Site, serve: Callable[[socket.socket], None]
) -> None:
    pixels = samples.Typed("OW", bytes(32 * 2**20))
    keep(site, [(CT, EXPLICIT, "1.2.3.1"), (CT, EXPLICIT, "1.2.3.2")], PixelData=pixels)
    with held_port(site, serve) as served, moving(site) as (peer, answers):
        assert served.wait(DEADLINE)
        final = cancelled(peer, answers)
    assert final.command.status == 0xFE00
    remaining, completed, failed, warning = counters_of(final.command)
    assert (remaining, failed) in {(1, 1), (2, 0)}
    assert (completed, warning) == (0, 0)


def test_pending_responses_go_on_while_the_destination_blocks(impatient_site: Site) -> None:
    keep_total(impatient_site)
    gate = Gate(1)
    with (
        Destination(answer=gate.answer).listen(impatient_site),
        moving(impatient_site) as (_, answers),
    ):
        assert gate.reached.wait(DEADLINE)
        seen = [next(answers).command for _ in range(20)]
        gate.open()
        final = list(answers)[-1].command
    assert {command.status for command in seen} == {0xFF00}
    assert counters_of(seen[-1]) == (TOTAL - 1, 1, 0, 0)
    assert final.status == 0
    assert counters_of(final) == (None, TOTAL, 0, 0)


def test_a_peer_that_leaves_stops_its_move_although_the_destination_blocks(site: Site) -> None:
    keep_total(site)
    gate = Gate(1)
    with Destination(answer=gate.answer).listen(site) as destination:
        with moving(site) as (peer, answers):
            assert gate.reached.wait(DEADLINE)
            peer.interrupt()
            with pytest.raises(AssociationEnded):
                list(answers)
        assert site.listener.wait_idle(DEADLINE)
        gate.open()
    assert len(destination.received) <= 2


def test_what_was_delivered_before_the_peer_left_is_audited(site: Site, database: Database) -> None:
    keep_total(site)
    gate = Gate(2)
    with Destination(answer=gate.answer).listen(site):
        with moving(site) as (peer, answers):
            assert gate.reached.wait(DEADLINE)
            peer.interrupt()
            with pytest.raises(AssociationEnded):
                list(answers)
        assert site.listener.wait_idle(DEADLINE)
        gate.open()
    statement = "SELECT detail ->> 'instances' FROM audit WHERE action = 'instances.retrieved'"
    with database.connection() as connection:
        assert connection.execute(statement).fetchall() == [("2",)]


def test_several_associations_send_at_once(site: Site) -> None:
    keep_total(site)
    together = threading.Barrier(3)

    def answer(_: object) -> int:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(DEADLINE if not together.broken else 0)
        return 0

    keep(site, [(CT, EXPLICIT, "1.2.3.6")])
    with Destination(answer=answer).listen(site) as destination:
        wide(site, associations=3)
        with moving(site) as (_, answers):
            final = list(answers)[-1].command
    assert counters_of(final) == (None, 6, 0, 0)
    assert len({received.association for received in destination.received}) == 3


def wide(site: Site, **changes: int) -> None:
    """Configure the destination otherwise."""
    site.destinations["DEST"] = replace(site.destinations["DEST"], **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("rejection", [LOCAL_LIMIT_EXCEEDED, CALLING_AE_TITLE_NOT_RECOGNIZED])
def test_a_destination_that_allows_one_association_gets_everything_over_that(
    site: Site, rejection: Rejection
) -> None:
    keep_total(site)
    first, everybody = threading.Semaphore(1), threading.Semaphore(0)
    asked = count(1)

    def admit(_: object) -> Rejection | None:
        if next(asked) == 3:
            everybody.release()
        return None if first.acquire(blocking=False) else rejection

    def answer(_: object) -> int:
        if everybody.acquire(timeout=DEADLINE):
            everybody.release()
        return 0

    with Destination(answer=answer, admit=admit).listen(site) as destination:
        wide(site, associations=3)
        with moving(site) as (_, answers):
            final = list(answers)[-1].command
    assert counters_of(final) == (None, TOTAL, 0, 0)
    assert len({received.association for received in destination.received}) == 1


NEVER = 3600.0


@pytest.mark.parametrize(
    ("config", "serve"),
    [
        (DimseConfig(move_retries=0, artim_timeout=0.3, idle_timeout=NEVER), lambda _: None),
        (DimseConfig(move_retries=0, artim_timeout=NEVER, idle_timeout=0.3), accept_association),
    ],
    ids=["no association", "no answer"],
)
def test_a_mute_destination_is_given_up(
    database: Database,
    tmp_path: Path,
    config: DimseConfig,
    serve: Callable[[socket.socket], None],
) -> None:
    """One that was waited for once is not waited for again, for its close: that would take NEVER."""
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path, config) as site:
        keep(site, [(CT, EXPLICIT, "1.2.3.1")])
        with held_port(site, serve), moving(site) as (_, answers):
            final = list(answers)[-1]
        assert final.command.status == 0xA702
        assert counters_of(final.command) == (None, 0, 1, 0)
        assert failed_uids(final) == ["1.2.3.1"]
    backend.close()


class Holder:
    """Keeps answers back until `width` instances are there, then answers the last one first."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.rounds: list[list[str]] = []

    def __call__(self, association: Association) -> None:
        held: list[tuple[int, Command]] = []
        while (message := association.receive()) is not None:
            message.read_data(2**20)
            held.append((message.context.id, message.command))
            if len(held) == self._width:
                self.rounds.append([c.affected_sop_instance_uid for _, c in held])
                for context_id, command in reversed(held):
                    association.send(context_id, store_response(command, 0))
                held.clear()


def test_as_many_are_under_way_as_the_destination_grants(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in range(1, 7)])
    holder = Holder(3)
    with Destination(take=holder, window=3).listen(site), moving(site) as (_, answers):
        final = list(answers)[-1].command
    assert counters_of(final) == (None, 6, 0, 0)
    assert holder.rounds == [["1.2.3.1", "1.2.3.2", "1.2.3.3"], ["1.2.3.4", "1.2.3.5", "1.2.3.6"]]


def test_all_that_were_under_way_are_sent_again_when_the_association_is_lost(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in range(1, 7)])
    lost: list[str] = []

    def lose(association: Association) -> None:
        """The first association is lost with three instances unanswered."""
        while (message := association.receive()) is not None:
            message.read_data(2**20)
            uid = message.command.affected_sop_instance_uid
            if len(lost) < 3:
                lost.append(uid)
                if len(lost) == 3:
                    association.interrupt()
                continue
            arrived.append(uid)
            association.send(message.context.id, store_response(message.command, 0))

    arrived: list[str] = []
    with Destination(take=lose, window=3).listen(site), moving(site) as (_, answers):
        final = list(answers)[-1].command
    assert counters_of(final) == (None, 6, 0, 0)
    assert sorted(arrived) == [f"1.2.3.{n}" for n in range(1, 7)]
