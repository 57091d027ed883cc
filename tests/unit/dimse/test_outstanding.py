"""Who waits for which response, and that each is told once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vna.dimse.command import Command
from vna.dimse.errors import AssociationEnded
from vna.dimse.outstanding import MAX_MESSAGE_ID, Outstanding


def response(message_id: int, status: int = 0) -> Command:
    return Command(0x8001, message_id_being_responded_to=message_id, status=status)


def test_message_ids_start_again_and_pass_over_those_in_use() -> None:
    outstanding = Outstanding()
    taken = outstanding.next_message_id()
    outstanding.add(taken, lambda _: None)
    ids = [outstanding.next_message_id() for _ in range(MAX_MESSAGE_ID - 1)]
    assert ids == list(range(2, MAX_MESSAGE_ID + 1))
    assert outstanding.next_message_id() == 2


def test_a_message_id_has_one_request_at_a_time() -> None:
    outstanding = Outstanding()
    outstanding.add(5, lambda _: None)
    with pytest.raises(ValueError, match="5"):
        outstanding.add(5, lambda _: None)


def test_a_response_to_nothing_is_nobodys() -> None:
    outstanding = Outstanding()
    assert not outstanding.answered(response(1))
    assert not outstanding.answered(Command(0x8001, status=0))


def test_waiting_ends_with_the_response_from_another_thread() -> None:
    outstanding, answers = Outstanding(), list[Command | None]()
    outstanding.add(1, answers.append)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(outstanding.wait, lambda: bool(answers))
        assert outstanding.answered(response(1))
        waiting.result(20)
    assert answers == [response(1)]


def test_waiting_ends_with_the_association() -> None:
    outstanding, answers = Outstanding(), list[Command | None]()
    outstanding.add(1, answers.append)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(outstanding.wait, lambda: False)
        outstanding.close()
        with pytest.raises(AssociationEnded):
            waiting.result(20)
    assert answers == [None]
    with pytest.raises(AssociationEnded):
        outstanding.add(2, answers.append)


@given(st.lists(st.integers(1, 9), min_size=1, unique=True), st.randoms())
def test_responses_find_their_requests_in_any_order(ids: list[int], order: object) -> None:
    outstanding, answers = Outstanding(), dict[int, Command | None]()

    def keep(message_id: int) -> None:
        outstanding.add(message_id, lambda answer: answers.update({message_id: answer}))

    for message_id in ids:
        keep(message_id)
    shuffled = list(ids)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    for message_id in shuffled:
        assert outstanding.answered(response(message_id, status=message_id))
    assert answers == {message_id: response(message_id, message_id) for message_id in ids}
    assert len(outstanding) == 0


class EachIsToldOnce(RuleBasedStateMachine):
    """However requests, responses, withdrawals and the end follow each other."""

    def __init__(self) -> None:
        super().__init__()
        self.outstanding = Outstanding()
        self.told: dict[int, int] = {}
        self.waiting: set[int] = set()
        self.is_closed = False
        self.count = 0

    @rule()
    def ask(self) -> None:
        if self.is_closed:
            return
        message_id, number = self.outstanding.next_message_id(), self.count
        self.count += 1
        self.told[message_id] = 0

        def on_response(_: Command | None) -> None:
            self.told[message_id] += 1

        self.outstanding.add(message_id, on_response)
        self.waiting.add(message_id)
        assert number == message_id - 1

    @rule(message_id=st.integers(0, 12))
    def answer(self, message_id: int) -> None:
        assert self.outstanding.answered(response(message_id)) == (message_id in self.waiting)
        self.waiting.discard(message_id)

    @rule(message_id=st.integers(1, 12))
    def withdraw(self, message_id: int) -> None:
        assert self.outstanding.withdraw(message_id) == (message_id in self.waiting)
        if message_id in self.waiting:
            self.waiting.discard(message_id)
            self.told[message_id] += 1

    @rule()
    def close(self) -> None:
        self.outstanding.close()
        self.waiting.clear()
        self.is_closed = True

    @invariant()
    def all_but_the_waiting_were_told_once(self) -> None:
        assert len(self.outstanding) == len(self.waiting)
        assert all(
            times == (message_id not in self.waiting) for message_id, times in self.told.items()
        )


TestEachIsToldOnce = EachIsToldOnce.TestCase
