"""Pending responses of a C-FIND (PS3.4 C.4.1.1.3.2): what each says, and how they are sent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from vna.dicom.attributes import BY_TAG
from vna.dicom.encode import encode_dataset
from vna.model.query import JsonElement, Record
from vna.scp.exchange import Exchange
from vna.scp.identifier import (
    INSTANCE_AVAILABILITY,
    QUERY_RETRIEVE_LEVEL,
    RETRIEVE_AE_TITLE,
    SPECIFIC_CHARACTER_SET,
    TIMEZONE_OFFSET_FROM_UTC,
    FindRequest,
    Keys,
    items_of,
    vr_of_key,
)
from vna.scp.status import PENDING, PENDING_UNSUPPORTED_KEYS, Status

MOST_HELD = 64
MOST_HELD_BYTES = 2**17
LONGEST_HELD = 0.02
"""Seconds; with the next match, or the end, what is older goes out."""

_ADDED = (SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY)
_ONLINE: JsonElement = {"vr": "CS", "Value": ["ONLINE"]}


class AnswerWriter:
    """Writes the identifiers of the responses to one request.

    Every key that was asked for, empty when the archive has no value, the level, where to retrieve
    from and how soon, and a character set that carries the values: the data's own when it can, else
    that which the request has or ISO_IR 192, see `encode_dataset`. Timezone Offset From UTC only
    with a value. Keys that the archive does not keep are written once, not for each match.
    """

    def __init__(self, request: FindRequest, ae_title: str, transfer_syntax_uid: str) -> None:
        self._transfer_syntax_uid = transfer_syntax_uid
        self._requested = request.charset
        empty: Keys = {key: {"vr": vr_of_key(key, e)} for key, e in request.keys.items()}
        self._empty: Keys = {key: e for key, e in empty.items() if int(key, 16) in BY_TAG}
        unknown = {key: e for key, e in empty.items() if key not in self._empty}
        self._written = _runs(unknown, (*self._empty, *_ADDED), transfer_syntax_uid)
        self._wanted_items = {
            key: items[0]
            for key in self._empty
            if (items := _items(request.keys[key])) and items[0]
        }
        self._retrieve: JsonElement = {"vr": "AE", "Value": [ae_title]}
        self._level: JsonElement = {"vr": "CS", "Value": [request.query.level.value]}

    def written(self, record: Record) -> bytes:
        """The identifier for one match."""
        attributes = record.attributes
        answers = {key: attributes.get(key) or empty for key, empty in self._empty.items()}
        for key, wanted in self._wanted_items.items():
            if answers[key].get("vr") == "SQ":
                answers[key] = _project(answers[key], wanted)
        answers[QUERY_RETRIEVE_LEVEL] = self._level
        answers[RETRIEVE_AE_TITLE] = self._retrieve
        answers[INSTANCE_AVAILABILITY] = attributes.get(INSTANCE_AVAILABILITY, _ONLINE)
        if not answers.get(TIMEZONE_OFFSET_FROM_UTC, _ONLINE).get("Value"):
            del answers[TIMEZONE_OFFSET_FROM_UTC]
        own = attributes.get(SPECIFIC_CHARACTER_SET)
        if own is not None:
            answers[SPECIFIC_CHARACTER_SET] = own
        return encode_dataset(answers, self._transfer_syntax_uid, self._requested, self._written)


class Outbox:
    """Responses that wait to go out together: few system calls here, few wake-ups at the peer.

    None waits for longer than it takes to find the next match, or LONGEST_HELD.
    """

    def __init__(self, exchange: Exchange, *, all_supported: bool) -> None:
        self._exchange = exchange
        self._pending = exchange.response(
            Status(PENDING if all_supported else PENDING_UNSUPPORTED_KEYS)
        )
        self._held: list[bytes] = []
        self._size = 0
        self._sent_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether what waits should go out."""
        return (
            len(self._held) >= MOST_HELD
            or self._size >= MOST_HELD_BYTES
            or time.monotonic() - self._sent_at >= LONGEST_HELD
        )

    def put(self, identifier: bytes) -> None:
        """Add a pending response with `identifier`."""
        self._held.append(identifier)
        self._size += len(identifier)

    def flush(self) -> None:
        """Send what waits. Raises DimseError."""
        self._send(None)

    def finish(self, status: Status) -> None:
        """Send what waits, and the final response behind it. Raises DimseError."""
        self._send(status)

    def discard(self) -> None:
        """Forget what waits: the peer does not want it any more."""
        self._held, self._size = [], 0

    def _send(self, status: Status | None) -> None:
        exchange, held = self._exchange, self._held
        last = None if status is None else exchange.response(status)
        self.discard()
        exchange.association.send_alike(exchange.message.context.id, self._pending, held, last)
        self._sent_at = time.monotonic()


def _runs(empty: Keys, others: Iterable[str], transfer_syntax_uid: str) -> Mapping[str, bytes]:
    """The elements of `empty` as bytes, in runs that none of `others` comes between, see `encode_dataset`."""
    keys = sorted({*empty, *others})
    runs = (list(run) for is_empty, run in groupby(keys, empty.__contains__) if is_empty)
    return {run[0]: encode_dataset({k: empty[k] for k in run}, transfer_syntax_uid) for run in runs}


def _items(element: JsonElement) -> Sequence[Keys]:
    return [item for item in items_of(element)[:1] if isinstance(item, dict)]


def _project(sequence: JsonElement, wanted: Keys) -> JsonElement:
    """The items of `sequence` cut down to the elements of `wanted` (C.2.2.2.6)."""
    items = [
        {key: _member(key, asked, item.get(key, {})) for key, asked in wanted.items()}
        for item in items_of(sequence)
    ]
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def _member(key: str, asked: JsonElement, found: JsonElement) -> JsonElement:
    if not found:
        return {"vr": vr_of_key(key, asked)}
    wanted = _items(asked) if found.get("vr") == "SQ" else []
    return _project(found, wanted[0]) if wanted and wanted[0] else found
