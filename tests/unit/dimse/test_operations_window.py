"""The asynchronous operations window: how it is negotiated and used (PS3.7 D.3.3.3)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dimse import values
from tests.unit.dimse.peers import ACCEPTOR, REQUESTOR, answer_all, response, serving
from tests.unit.dimse.policies import TablePolicy
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.errors import AssociationEnded
from vna.dimse.handshake import agreed_window, make_accept, make_request
from vna.dimse.message import Message
from vna.dimse.pdu import UserInformation
from vna.dimse.settings import AcceptorSettings

WINDOW = replace(REQUESTOR, operations_window=4)
WIDE = replace(ACCEPTOR, operations_window=16)
CT = scu.Instance(values.CT_STORAGE, "1.2.3.4")
numbers = st.integers(0, 0xFFFF)


@given(asked=numbers, performed=numbers, ours=st.integers(1, 100_000))
def test_what_is_granted_is_within_both_bounds(asked: int, performed: int, ours: int) -> None:
    settings = AcceptorSettings("VNA", TablePolicy({}), operations_window=ours)
    request = values.request(asynchronous_operations=(asked, performed))
    accept, _ = make_accept(request, settings)
    window = agreed_window(request.user, accept.user)
    assert window == accept.user.asynchronous_operations
    for wanted, granted in zip((asked, performed), window, strict=True):
        assert 1 <= granted <= min(ours, 0xFFFF)
        assert granted <= wanted or wanted == 0


@given(st.none() | st.tuples(numbers, numbers), st.none() | st.tuples(numbers, numbers))
def test_an_answer_never_widens_what_was_asked(
    asked: tuple[int, int] | None, answered: tuple[int, int] | None
) -> None:
    window = agreed_window(
        UserInformation(asynchronous_operations=asked),
        UserInformation(asynchronous_operations=answered),
    )
    if asked is None or answered is None:
        assert window == (1, 1)
    else:
        for one, other, agreed in zip(asked, answered, window, strict=True):
            assert agreed >= 1
            assert agreed <= one or one == 0
            assert agreed <= other or other == 0


@pytest.mark.parametrize(("window", "item"), [(1, None), (2, (2, 1)), (64, (64, 1))])
def test_a_window_is_proposed_only_when_wanted(window: int, item: tuple[int, int] | None) -> None:
    request = make_request(replace(REQUESTOR, operations_window=window))
    assert request.user.asynchronous_operations == item


@pytest.mark.parametrize(
    ("requestor", "acceptor", "expected"),
    [(REQUESTOR, WIDE, 1), (WINDOW, ACCEPTOR, 1), (WINDOW, WIDE, 4)],
)
def test_both_sides_see_the_same_window(
    requestor: Any, acceptor: AcceptorSettings, expected: int
) -> None:
    def handle(association: Association) -> tuple[int, int]:
        answer_all(association)
        return association.max_invoked, association.max_performed

    with serving(handle, acceptor) as server:
        with Association.request(server.address, requestor) as ours:
            assert (ours.max_invoked, ours.max_performed) == (expected, 1)
            ours.release()
        assert server.result.result(20) == (1, expected)


def send_all(
    association: Association, count: int, data: bytes = bytes(100)
) -> list[tuple[int, int | None]]:
    """(position, status) in the order in which the answers came."""
    context, pipeline = association.context_for(values.CT_STORAGE), scu.StorePipeline(association)
    came: list[tuple[int, int | None]] = []

    def keep(position: int) -> Callable[[Command | None], None]:
        return lambda answer: came.append((position, answer.status if answer else None))

    for position in range(count):
        instance = replace(CT, sop_instance_uid=f"1.2.{position}")
        pipeline.store(context, instance, data, keep(position))
    pipeline.finish()
    return came


def test_responses_may_come_in_any_order() -> None:
    def handle(association: Association) -> None:
        waiting: list[Message] = []
        while (message := association.receive()) is not None:
            message.read_data(2**20)
            waiting.append(message)
            if len(waiting) == 4:
                for late in reversed(waiting):
                    status = int(late.command.affected_sop_instance_uid.rsplit(".", 1)[-1])
                    association.send(late.context.id, response(late, 0xB000 + status))
                waiting.clear()

    with serving(handle, WIDE) as server, Association.request(server.address, WINDOW) as ours:
        came = send_all(ours, 12)
        ours.release()
        server.result.result(20)
    assert [position for position, _ in came] == [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8]
    assert all(status == 0xB000 + position for position, status in came)


def test_no_more_than_the_window_is_outstanding() -> None:
    """The peer answers none before it has all that the window lets through, and finds no more."""

    def handle(association: Association) -> int:
        most, waiting = 0, list[Message]()
        while (message := association.receive()) is not None:
            message.read_data(2**20)
            waiting.append(message)
            most = max(most, len(waiting))
            if len(waiting) == 4:
                for each in waiting:
                    association.send(each.context.id, response(each))
                waiting.clear()
        return most

    with serving(handle, WIDE) as server, Association.request(server.address, WINDOW) as ours:
        assert len(send_all(ours, 40)) == 40
        ours.release()
        assert server.result.result(20) == 4


def test_without_a_window_the_pipeline_waits_for_each_answer() -> None:
    with serving(answer_all) as server, Association.request(server.address, WINDOW) as ours:
        assert send_all(ours, 5) == [(position, 0) for position in range(5)]
        ours.release()
        assert len(server.result.result(20)) == 5


def test_an_association_that_ends_tells_each_instance_that_waits() -> None:
    def handle(association: Association) -> None:
        messages = [association.receive() for _ in range(2)]
        last = messages[-1]
        assert last is not None
        association.send(last.context.id, response(last))
        association.abort()

    told: list[tuple[int, bool]] = []

    def keep(position: int) -> Callable[[Command | None], None]:
        return lambda answer: told.append((position, bool(answer)))

    with serving(handle, WIDE) as server:
        ours = Association.request(server.address, WINDOW)
        context, pipeline = ours.context_for(values.CT_STORAGE), scu.StorePipeline(ours)
        for position in range(2):
            pipeline.store(context, CT, bytes(10), keep(position))
        with pytest.raises(AssociationEnded):
            pipeline.finish()
        with pytest.raises(AssociationEnded):
            pipeline.store(context, CT, bytes(10), lambda _: told.append((9, False)))
        ours.close()
        server.result.result(20)
    assert sorted(told) == [(0, False), (1, True)]
    assert pipeline.outstanding == 0


def test_a_dataset_that_cannot_be_read_fails_alone_and_ends_the_association() -> None:
    def broken() -> Any:
        yield bytes(100_000)
        raise OSError("disk")

    def handle(association: Association) -> None:
        with contextlib.suppress(AssociationEnded):
            answer_all(association)

    told: list[Command | None] = []
    with serving(handle, WIDE) as server, Association.request(server.address, WINDOW) as ours:
        pipeline = scu.StorePipeline(ours)
        with pytest.raises(OSError, match="disk"):
            pipeline.store(ours.context_for(values.CT_STORAGE), CT, broken(), told.append)
        server.result.result(20)
    assert told == []
    assert pipeline.outstanding == 0


def test_messages_of_many_threads_arrive_whole() -> None:
    """Each thread sends its own byte; a message with two kinds of bytes was torn."""

    def send(association: Association, number: int) -> None:
        context = association.context_for(values.CT_STORAGE)
        for _ in range(10):
            command = Command(
                CommandField.C_STORE_RQ,
                message_id=association.next_message_id(),
                affected_sop_class_uid=values.CT_STORAGE,
                affected_sop_instance_uid=f"1.2.{number}",
            )
            association.send(context.id, command, bytes([number]) * 50_001)

    def handle(association: Association) -> list[bytes]:
        seen = []
        while (message := association.receive()) is not None:
            seen.append(message.read_data(2**20))
        return seen

    settings = replace(WIDE, max_pdu_length=4096)
    with serving(handle, settings) as server, Association.request(server.address, WINDOW) as ours:
        threads = [threading.Thread(target=send, args=(ours, number)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        ours.release()
        seen = server.result.result(20)
    assert sorted(seen) == sorted(
        bytes([number]) * 50_001 for number in range(6) for _ in range(10)
    )


def test_requests_of_many_threads_get_their_own_responses() -> None:
    """One thread receives, others ask and wait."""
    answers: dict[int, int | None] = {}

    def echo_instance(message: Message) -> Command:
        return response(message, int(message.command.affected_sop_instance_uid[4:]))

    def peer(association: Association) -> None:
        with contextlib.suppress(AssociationEnded):
            while (message := association.receive()) is not None:
                message.read_data(2**20)
                association.send(message.context.id, echo_instance(message))

    def receive(association: Association) -> None:
        association.receive_here_only()
        ready.set()
        with contextlib.suppress(AssociationEnded):
            association.receive()

    def ask(association: Association, number: int) -> None:
        instance = replace(CT, sop_instance_uid=f"1.2.{number}")
        context = association.context_for(values.CT_STORAGE)
        answers[number] = scu.store(association, context, instance, bytes(5000)).status

    ready = threading.Event()
    with serving(peer, WIDE) as server, Association.request(server.address, WINDOW) as ours:
        receiver = threading.Thread(target=receive, args=(ours,))
        receiver.start()
        assert ready.wait(20)
        threads = [threading.Thread(target=ask, args=(ours, number)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        ours.interrupt()
        receiver.join(20)
        server.result.result(20)
    assert answers == {number: number for number in range(1, 9)}


def test_an_abort_goes_between_two_pdus_of_what_another_thread_sends() -> None:
    """The peer understands it, and the sending thread learns that it is over."""
    started, errors = threading.Event(), list[BaseException]()

    def endless() -> Any:
        started.set()
        while True:
            yield bytes(16384)

    def send(association: Association) -> None:
        try:
            scu.store(association, association.context_for(values.CT_STORAGE), CT, endless())
        except AssociationEnded as exc:
            errors.append(exc)

    def handle(association: Association) -> str:
        message = association.receive()
        assert message is not None
        try:
            for _ in message.fragments():
                pass
        except AssociationEnded as exc:
            return type(exc).__name__
        return "released"

    with serving(handle, WIDE) as server, Association.request(server.address, WINDOW) as ours:
        ours.receive_here_only()
        sender = threading.Thread(target=send, args=(ours,))
        sender.start()
        assert started.wait(20)
        ours.abort()
        sender.join(20)
        assert server.result.result(20) == "AssociationAborted"
    assert len(errors) == 1


def test_a_response_that_nobody_waits_for_reaches_the_receiver() -> None:
    def handle(association: Association) -> None:
        message = association.receive()
        assert message is not None
        stranger = replace(response(message), message_id_being_responded_to=999)
        association.send(message.context.id, stranger)
        with contextlib.suppress(AssociationEnded):
            association.receive()

    with serving(handle, WIDE) as server, Association.request(server.address, WINDOW) as ours:
        told: list[Command | None] = []
        command = Command(CommandField.C_ECHO_RQ, message_id=1)
        ours.invoke(1, command, None, told.append)
        message = ours.receive()
        assert message is not None
        assert message.command.message_id_being_responded_to == 999
        assert told == []
        ours.abort()
        assert told == [None]
        server.result.result(20)


def test_a_request_after_the_end_is_refused_at_once() -> None:
    told: list[Command | None] = []
    with serving(answer_all, WIDE) as server, Association.request(server.address, WINDOW) as ours:
        ours.release()
        with pytest.raises(AssociationEnded):
            ours.invoke(1, Command(CommandField.C_ECHO_RQ, message_id=1), None, told.append)
        server.result.result(20)
    assert told == []
