"""The table from errors to statuses, and what an Error Comment may hold."""

from __future__ import annotations

import pytest

from vna.errors import (
    Corrupt,
    InvalidInstance,
    InvalidQuery,
    MismatchedInstance,
    NotFound,
    OutOfSpace,
    Unavailable,
    Unsupported,
    VnaError,
)
from vna.scp.policy import Service
from vna.scp.status import (
    Status,
    UndecodableIdentifier,
    comment,
    failure,
    is_failure,
    is_warning,
    remedy,
)


@pytest.mark.parametrize(
    ("service", "error", "code"),
    [
        (Service.STORAGE, OutOfSpace("full"), 0xA700),
        (Service.STORAGE, Unavailable("gone"), 0xA700),
        (Service.STORAGE, MismatchedInstance("other"), 0xA900),
        (Service.STORAGE, InvalidInstance("empty"), 0xC000),
        (Service.STORAGE, Corrupt("bits"), 0x0110),
        (Service.FIND, InvalidQuery("level"), 0xA900),
        (Service.FIND, UndecodableIdentifier("bytes"), 0xC000),
        (Service.FIND, OutOfSpace("full"), 0xA700),
        (Service.FIND, NotFound("what"), 0xC000),
        (Service.MOVE, InvalidQuery("level"), 0xA900),
        (Service.MOVE, UndecodableIdentifier("bytes"), 0xC000),
        (Service.MOVE, Unavailable("gone"), 0xA701),
        (Service.GET, InvalidQuery("level"), 0xA900),
        (Service.GET, Unavailable("gone"), 0xA701),
        (Service.GET, Unsupported("syntax"), 0xC000),
        (Service.VERIFICATION, VnaError("odd"), 0x0110),
    ],
)
def test_each_error_has_the_status_of_the_standard(
    service: Service, error: VnaError, code: int
) -> None:
    assert failure(service, error) == Status(code, str(error))


@pytest.mark.parametrize("service", Service)
def test_a_fault_of_ours_is_a_processing_failure_and_tells_nothing(service: Service) -> None:
    status = failure(service, KeyError("Doe^Jane"))
    assert status.code == 0x0110
    assert "Doe" not in status.comment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two\nlines\tand   spaces", "two lines and spaces"),
        ("a\\b", "a?b"),
        ("Grün", "Gr?n"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 61 + "..."),
        ("", ""),
    ],
)
def test_a_comment_is_a_short_ascii_line(text: str, expected: str) -> None:
    assert comment(text) == expected


@pytest.mark.parametrize(
    "error",
    [OutOfSpace(""), Unavailable(""), MismatchedInstance(""), InvalidQuery(""), Corrupt("")],
)
def test_every_kind_of_error_has_a_remedy_of_its_own(error: VnaError) -> None:
    assert "fault of the archive" not in remedy(error)


def test_an_unknown_error_asks_for_a_report() -> None:
    assert "report" in remedy(RuntimeError())


@pytest.mark.parametrize("code", [0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007])
def test_warnings_mean_stored(code: int) -> None:
    assert is_warning(code)
    assert not is_failure(code)


@pytest.mark.parametrize("code", [0x0110, 0x0117, 0x0122, 0xA700, 0xA900, 0xC000])
def test_failures_are_neither_warning_nor_cancel(code: int) -> None:
    assert is_failure(code)
    assert not is_warning(code)


def test_cancel_and_success_are_no_failures() -> None:
    assert not is_failure(0xFE00)
    assert not is_failure(0x0000)
