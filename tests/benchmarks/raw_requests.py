"""C-FIND, C-GET and C-MOVE with requests that are encoded before, answers that are hardly looked at."""

from __future__ import annotations

from typing import Self

from tests.benchmarks import raw_pdus
from tests.benchmarks.raw_client import open_association, release
from tests.benchmarks.raw_pdus import PduReader


class RawAssociation:
    """One association on which requests are made one after the other; a context manager."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self._connection, self._max_pdu = open_association(address, request)
        self._reader = PduReader(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            release(self._connection)
        except OSError:
            self._connection.close()

    def find(self, sop_class_uid: str, identifier: bytes) -> int:
        """C-FIND; how many matches came. Raises ConnectionError on any status but Success."""
        command = _request(raw_pdus.C_FIND, sop_class_uid)
        self._connection.sendall(raw_pdus.message(1, command, identifier, self._max_pdu))
        matches = 0
        for _, control, data in self._reader.fragments():
            if not control & 1:
                continue
            status = raw_pdus.number_of(raw_pdus.command_elements(data), raw_pdus.STATUS)
            if status not in raw_pdus.PENDING:
                return _checked(status, matches)
            matches += 1
        raise ConnectionError("the association was released during a C-FIND")

    def get(self, sop_class_uid: str, identifier: bytes) -> int:
        """C-GET; how many instances came whole. Raises ConnectionError on any status but Success."""
        command = _request(raw_pdus.C_GET, sop_class_uid)
        self._connection.sendall(raw_pdus.message(1, command, identifier, self._max_pdu))
        stored: dict[int, bytes] = {}
        received = 0
        for context_id, control, data in self._reader.fragments():
            if control & 1:
                elements = raw_pdus.command_elements(data)
                if raw_pdus.number_of(elements, raw_pdus.COMMAND_FIELD) == raw_pdus.C_STORE:
                    stored = elements
                elif (
                    status := raw_pdus.number_of(elements, raw_pdus.STATUS)
                ) not in raw_pdus.PENDING:
                    return _checked(status, received)
            elif control & 2:
                self._connection.sendall(raw_pdus.store_response(context_id, stored))
                received += 1
        raise ConnectionError("the association was released during a C-GET")

    def move(self, sop_class_uid: str, identifier: bytes, destination: str) -> int:
        """C-MOVE; how many sub-operations completed. Raises ConnectionError on any status but Success."""
        command = _request(raw_pdus.C_MOVE, sop_class_uid, destination)
        self._connection.sendall(raw_pdus.message(1, command, identifier, self._max_pdu))
        for _, control, data in self._reader.fragments():
            if control & 1:
                elements = raw_pdus.command_elements(data)
                status = raw_pdus.number_of(elements, raw_pdus.STATUS)
                if status not in raw_pdus.PENDING:
                    return _checked(status, raw_pdus.number_of(elements, raw_pdus.COMPLETED))
        raise ConnectionError("the association was released during a C-MOVE")


def _request(field: int, sop_class_uid: str, destination: str = "") -> bytes:
    elements: dict[int, bytes | int | str] = {
        raw_pdus.SOP_CLASS_UID: sop_class_uid,
        raw_pdus.COMMAND_FIELD: field,
        raw_pdus.MESSAGE_ID: 1,
        raw_pdus.PRIORITY: 0,
        raw_pdus.DATA_SET_TYPE: 1,
    }
    if destination:
        elements[raw_pdus.MOVE_DESTINATION] = destination.ljust(
            len(destination) + len(destination) % 2
        )
    return raw_pdus.command(elements)


def _checked(status: int, count: int) -> int:
    if status != 0:
        raise ConnectionError(f"status 0x{status:04X} after {count}")
    return count
