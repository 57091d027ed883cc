"""Looking at a study leaves one audit event, not one a frame."""

from __future__ import annotations

import pytest

from tests.services.conftest import ORIGIN, Bench
from vna.audit import AuditAction, AuditEvent
from vna.errors import Unavailable
from vna.model.identifiers import Origin
from vna.services.retrieve import RetrieveService
from vna.services.views import RecentViews


class Events(list[AuditEvent]):
    """An audit log that can fail."""

    is_down = False

    def record(self, event: AuditEvent) -> None:
        if self.is_down:
            raise Unavailable("down")
        self.append(event)


def test_a_viewing_is_new_again_after_a_while() -> None:
    now = [0.0]
    views = RecentViews(10, 100, lambda: now[0])
    assert [views.is_new(("a", "b", "c")) for _ in range(3)] == [True, False, False]
    assert views.is_new(("a", "b", "d"))
    now[0] = 10
    assert [views.is_new(("a", "b", "c")) for _ in range(2)] == [True, False]
    views.forget(("a", "b", "c"))
    assert views.is_new(("a", "b", "c"))


def test_memory_of_viewings_is_bounded() -> None:
    views = RecentViews(10, 3)
    assert all(views.is_new(("", "", str(n))) for n in range(5))
    assert not views.is_new(("", "", "4"))
    assert views.is_new(("", "", "0"))


def test_one_event_a_user_and_study(bench: Bench) -> None:
    events = Events()
    retrieve = RetrieveService(bench.index, bench.objects, events)
    for _ in range(3):
        retrieve.record_viewed("1.2", ORIGIN, "frames")
        retrieve.record_viewed("1.3", ORIGIN, "metadata")
        retrieve.record_viewed("1.2", Origin("web", "other"), "frames")
    assert [(e.study_instance_uid, e.origin.peer) for e in events] == [
        ("1.2", "tester"),
        ("1.3", "tester"),
        ("1.2", "other"),
    ]
    assert {event.action for event in events} == {AuditAction.INSTANCES_RETRIEVED}
    assert events[0].detail == {"view": "frames"}


def test_a_viewing_that_could_not_be_kept_is_tried_again(bench: Bench) -> None:
    events = Events()
    retrieve = RetrieveService(bench.index, bench.objects, events)
    events.is_down = True
    with pytest.raises(Unavailable):
        retrieve.record_viewed("1.2", ORIGIN, "frames")
    events.is_down = False
    retrieve.record_viewed("1.2", ORIGIN, "frames")
    assert len(events) == 1
