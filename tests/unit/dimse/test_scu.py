"""The client calls against an acceptor of ours that plays the service."""

from __future__ import annotations

from tests.unit.dimse import values
from tests.unit.dimse.peers import GETTER, REQUESTOR, response, serving
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.message import Message

PENDING, SUCCESS, CANCELLED = 0xFF00, 0x0000, 0xFE00


def request_of(association: Association) -> Message:
    message = association.receive()
    assert message is not None
    return message


def until_released(association: Association) -> None:
    assert association.receive() is None


def test_find_yields_every_answer() -> None:
    def handle(association: Association) -> bytes:
        message = request_of(association)
        keys = message.read_data(1000)
        for number in range(3):
            answer = response(message, PENDING)
            association.send(message.context.id, answer, b"record %d" % number)
        association.send(message.context.id, response(message, SUCCESS))
        until_released(association)
        return keys

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            answers = list(scu.find(association, values.STUDY_FIND, b"keys"))
            association.release()
        assert server.result.result(20) == b"keys"
    assert [answer.data for answer in answers] == [b"record 0", b"record 1", b"record 2", b""]
    assert [answer.is_pending for answer in answers] == [True, True, True, False]
    assert answers[0].transfer_syntax == values.EXPLICIT


def test_leaving_a_find_early_cancels_it() -> None:
    def handle(association: Association) -> int:
        message = request_of(association)
        message.read_data(1000)
        sent = 0
        while not association.cancelled(message.command.message_id or 0):
            association.send(message.context.id, response(message, PENDING), b"record")
            sent += 1
        association.send(message.context.id, response(message, CANCELLED))
        until_released(association)
        return sent

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            answers = scu.find(association, values.STUDY_FIND, b"keys")
            assert next(answers).data == b"record"
            answers.close()  # type: ignore[attr-defined]
            assert not association.is_over
            association.release()
        assert server.result.result(20) >= 1


def test_move_names_its_destination_and_counts() -> None:
    def handle(association: Association) -> str:
        message = request_of(association)
        message.read_data(1000)
        answer = response(message, PENDING, number_of_remaining_suboperations=1)
        association.send(message.context.id, answer)
        answer = response(message, SUCCESS, number_of_completed_suboperations=2)
        association.send(message.context.id, answer)
        until_released(association)
        return message.command.move_destination

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            answers = list(scu.move(association, values.STUDY_MOVE, b"keys", "DEST"))
            association.release()
        assert server.result.result(20) == "DEST"
    assert answers[0].command.number_of_remaining_suboperations == 1
    assert answers[1].command.number_of_completed_suboperations == 2


def test_get_takes_the_objects_on_the_same_association() -> None:
    def handle(association: Association) -> list[int | None]:
        message = request_of(association)
        message.read_data(1000)
        statuses = []
        context = association.context_for(values.CT_STORAGE)
        for number in range(3):
            instance = scu.Instance(values.CT_STORAGE, f"1.2.{number}", "MOVER", 5)
            data = bytes((number,)) * 300_000
            statuses.append(scu.store(association, context, instance, data).status)
        association.send(message.context.id, response(message, SUCCESS))
        until_released(association)
        return statuses

    stored: list[tuple[str, str, int]] = []

    def on_store(message: Message) -> int:
        command = message.command
        originator = command.move_originator_application_entity_title
        uid = command.affected_sop_instance_uid
        stored.append((uid, originator, len(message.read_data(10**6))))
        return 0xB000 if uid == "1.2.1" else SUCCESS

    with serving(handle) as server:
        with Association.request(server.address, GETTER) as association:
            answers = list(scu.get(association, values.STUDY_GET, b"keys", on_store))
            association.release()
        assert server.result.result(20) == [SUCCESS, 0xB000, SUCCESS]
    assert stored == [(f"1.2.{number}", "MOVER", 300_000) for number in range(3)]
    assert [answer.command.status for answer in answers] == [SUCCESS]


def test_an_event_report_in_between_is_refused_and_the_answer_still_found() -> None:
    def handle(association: Association) -> list[int | None]:
        message = request_of(association)
        context = message.context.id
        stale = Command(CommandField.C_ECHO_RSP, message_id_being_responded_to=999, status=1)
        association.send(context, stale)
        event = Command(
            CommandField.N_EVENT_REPORT_RQ,
            message_id=40,
            affected_sop_class_uid="1.2.840.10008.1.20.1",
            affected_sop_instance_uid="1.2.840.10008.1.20.1.1",
            event_type_id=1,
        )
        association.send(context, event, b"report")
        association.send(context, response(message))
        answer = association.wait_response(40).command
        until_released(association)
        return [answer.command_field, answer.status, answer.event_type_id]

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            assert scu.echo(association).status == SUCCESS
            association.release()
        assert server.result.result(20) == [CommandField.N_EVENT_REPORT_RSP, 0x0211, 1]


def test_a_cancel_during_sub_operations_is_remembered() -> None:
    def handle(association: Association) -> bool:
        message = request_of(association)
        message.read_data(1000)
        context = association.context_for(values.CT_STORAGE)
        instance = scu.Instance(values.CT_STORAGE, "1.2.3")
        scu.store(association, context, instance, b"data")
        was_cancelled = association.cancelled(message.command.message_id or 0)
        association.send(message.context.id, response(message, CANCELLED))
        until_released(association)
        return was_cancelled

    with serving(handle) as server:
        with Association.request(server.address, GETTER) as association:

            def on_store(message: Message) -> int:
                context = association.context_for(values.STUDY_GET)
                scu.cancel(association, context.id, 1)
                return SUCCESS

            answers = list(scu.get(association, values.STUDY_GET, b"keys", on_store))
            association.release()
        assert server.result.result(20)
    assert [answer.command.status for answer in answers] == [CANCELLED]
