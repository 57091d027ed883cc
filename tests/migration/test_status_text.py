"""What people read of a campaign."""

from __future__ import annotations

from datetime import UTC, datetime

from vna.index.ledger_status import InstanceException, StudyException
from vna.migration.status_text import exception_lines


def test_what_a_source_says_does_not_command_a_terminal() -> None:
    said = "\x1b[2J\x1b[1;1Hall is well\nstudy 1.3: verified"
    instance = InstanceException("1.2.1", "1.2.1.1", "failed", "refused", said, 1, f"/a/{said}", 7)
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    study = StudyException("1.2", "parked", "source-error", said, 5, moment, None, (instance,))
    lines = list(exception_lines(study))
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert all("all is well" in line for line in lines)
