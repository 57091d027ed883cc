"""Datasets of odd length, for a receiver that takes none (PS3.5 A.5, PS3.8 D.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vna.dicom.syntaxes import DEFLATED_EXPLICIT_VR
from vna.dimse.fragments import Buffer, Data, Reader
from vna.scp.rendition import Payload

_PAD = b"\0"
_CHUNK = 2**20


def for_another_try(payload: Payload, transfer_syntax_uid: str, tries: int) -> Payload:
    """What goes out after `tries` vain ones: a deflated dataset of odd length gets its padding byte.

    Many devices store deflated streams without it, and some receivers end the association then.
    The first try sends what is stored, to the bit; behind any other dataset a byte would be a fault.
    """
    if not tries or transfer_syntax_uid != DEFLATED_EXPLICIT_VR:
        return payload
    return Payload(_even(payload.data), payload.close)


def _even(data: Data) -> Data:
    if data is None:
        return None
    if isinstance(data, Buffer):
        return data if len(data) % 2 == 0 else bytes(data) + _PAD
    return _even_pieces(data)


def _even_pieces(data: Reader | Iterable[Buffer]) -> Iterator[Buffer]:
    pieces = iter(lambda: data.read(_CHUNK), b"") if isinstance(data, Reader) else data
    length = 0
    for piece in pieces:
        length += len(piece)
        yield piece
    if length % 2:
        yield _PAD
