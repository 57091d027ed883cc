"""C-ECHO: the peer asks whether the archive is there (PS3.4 annex A)."""

from __future__ import annotations

from vna.scp.exchange import Exchange
from vna.scp.status import SUCCESS, Status


def answer(exchange: Exchange) -> Status:
    """Success, always (PS3.7 9.3.5)."""
    exchange.respond(Status(SUCCESS))
    return Status(SUCCESS)
