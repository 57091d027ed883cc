"""C-FIND: one pending response a match (PS3.4 C.4.1)."""

from __future__ import annotations

from contextlib import closing

from vna.errors import VnaError
from vna.scp.answers import AnswerWriter, Outbox
from vna.scp.exchange import Exchange
from vna.scp.extended import options_of
from vna.scp.hierarchy import require_hierarchy
from vna.scp.identifier import MAX_IDENTIFIER_BYTES, FindRequest, read_identifier, to_find_request
from vna.scp.policy import model_of
from vna.scp.status import CANCEL, SUCCESS, Status


def answer(exchange: Exchange) -> Status:
    """Send matches as they are found, then the final status. Raises InvalidQuery, Unavailable."""
    data = exchange.message.read_data(MAX_IDENTIFIER_BYTES)
    abstract_syntax = exchange.message.context.abstract_syntax
    model = model_of(abstract_syntax)
    identifier = read_identifier(data, exchange.transfer_syntax_uid, model)
    options = options_of(exchange.association, abstract_syntax, exchange.door.config)
    if not options.relational:
        require_hierarchy(identifier, model)
    request = to_find_request(identifier, options)
    outbox = Outbox(exchange, all_supported=request.all_supported)
    status = _send_matches(exchange, request, outbox)
    outbox.finish(status)
    return status


def _send_matches(exchange: Exchange, request: FindRequest, outbox: Outbox) -> Status:
    """Put each match into `outbox`; the peer may cancel whenever something goes out."""
    writer = AnswerWriter(request, exchange.door.ae_title, exchange.transfer_syntax_uid)
    with closing(exchange.door.query.find(request.query, exchange.origin)) as records:
        try:
            for record in records:
                outbox.put(writer.written(record))
                if outbox.is_due:
                    if exchange.cancelled():
                        break
                    outbox.flush()
        except VnaError:
            outbox.flush()  # what was found before the failure
            raise
    if exchange.cancelled():
        outbox.discard()
        return Status(CANCEL, "cancelled by the peer")
    return Status(SUCCESS)
