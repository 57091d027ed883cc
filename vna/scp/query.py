"""C-FIND: one pending response a match (PS3.4 C.4.1)."""

from __future__ import annotations

from contextlib import closing

from vna.dicom.encode import choose_charset, encode_dataset
from vna.model.query import JsonElement, Record
from vna.scp.exchange import Exchange
from vna.scp.identifier import (
    MAX_IDENTIFIER_BYTES,
    QUERY_RETRIEVE_LEVEL,
    RETRIEVE_AE_TITLE,
    SPECIFIC_CHARACTER_SET,
    FindRequest,
    Keys,
    items_of,
    read_identifier,
    to_find_request,
    vr_of_key,
)
from vna.scp.policy import model_of
from vna.scp.status import CANCEL, PENDING, PENDING_UNSUPPORTED_KEYS, SUCCESS, Status


def answer(exchange: Exchange) -> Status:
    """Send matches as they are found, then the final status. Raises InvalidQuery, Unavailable."""
    data = exchange.message.read_data(MAX_IDENTIFIER_BYTES)
    model = model_of(exchange.message.context.abstract_syntax)
    request = to_find_request(read_identifier(data, exchange.transfer_syntax_uid, model))
    status = _send_matches(exchange, request)
    exchange.respond(status)
    return status


def _send_matches(exchange: Exchange, request: FindRequest) -> Status:
    pending = exchange.response(
        Status(PENDING if request.all_supported else PENDING_UNSUPPORTED_KEYS)
    )
    ae_title, context = exchange.door.ae_title, exchange.message.context
    found = exchange.door.query.find(request.query, exchange.origin)
    with closing(found) as records:
        for record in records:
            if exchange.cancelled():
                return Status(CANCEL, "cancelled by the peer")
            data = response_identifier(record, request.keys, ae_title, context.transfer_syntax)
            exchange.association.send(context.id, pending, data)
    return Status(SUCCESS)


def response_identifier(
    record: Record, keys: Keys, ae_title: str, transfer_syntax_uid: str
) -> bytes:
    """The identifier of one pending response (PS3.4 C.4.1.1.3.2).

    Every key that was asked for, empty when the archive has no value, the level, where to retrieve
    from, and a character set that carries the values.
    """
    answers = {
        key: _answer(key, asked, record.attributes.get(key, {})) for key, asked in keys.items()
    }
    answers[QUERY_RETRIEVE_LEVEL] = {"vr": "CS", "Value": [record.level.value]}
    answers[RETRIEVE_AE_TITLE] = {"vr": "AE", "Value": [ae_title]}
    own = record.attributes.get(SPECIFIC_CHARACTER_SET)
    if own is not None:
        answers[SPECIFIC_CHARACTER_SET] = own
    return encode(answers, transfer_syntax_uid)


def encode(attributes: dict[str, JsonElement], transfer_syntax_uid: str) -> bytes:
    """`attributes` as a dataset whose Specific Character Set is the smallest that carries them."""
    charset = choose_charset(attributes)
    others = {key: e for key, e in attributes.items() if key != SPECIFIC_CHARACTER_SET}
    if charset:
        others[SPECIFIC_CHARACTER_SET] = {"vr": "CS", "Value": charset.split("\\")}
    return encode_dataset(others, transfer_syntax_uid, charset)


def _answer(key: str, asked: JsonElement, found: JsonElement) -> JsonElement:
    if not found:
        return {"vr": vr_of_key(key, asked)}
    wanted = items_of(asked) if found.get("vr") == "SQ" else []
    return _project(found, wanted[0]) if wanted and wanted[0] else found


def _project(sequence: JsonElement, wanted: Keys) -> JsonElement:
    """The items of `sequence` cut down to the elements of `wanted` (C.2.2.2.6)."""
    items = [
        {key: _answer(key, asked, item.get(key, {})) for key, asked in wanted.items()}
        for item in items_of(sequence)
    ]
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
