"""JPEG's lossless process, written for tests from the standard alone (ISO 10918-1 H)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

Samples = np.ndarray[Any, np.dtype[Any]]

_CATEGORIES, _CODE_BITS = 17, 5
_WHOLE = 1 << 16


def lossless_jpeg(
    samples: Samples,
    precision: int,
    predictor: int,
    *,
    rows_per_restart: int = 0,
    is_by_plane: bool = False,
    ids: bytes = b"\1\2\3\4",
) -> bytes:
    """`samples` by row, column and component as a codestream; in one scan, or one for each component.

    All differences have codes of the same length: no prediction is better than another.
    """
    rows, columns, count = samples.shape
    components = b"".join(bytes([ids[n], 0x11, 0]) for n in range(count))
    frame = struct.pack(">BHHB", precision, rows, columns, count) + components
    lengths = bytes(_CATEGORIES if bits == _CODE_BITS else 0 for bits in range(1, 17))
    table = b"\0" + lengths + bytes(range(_CATEGORIES))
    parts = [b"\xff\xd8", _segment(0xC3, frame), _segment(0xC4, table)]
    if rows_per_restart:
        parts.append(_segment(0xDD, struct.pack(">H", rows_per_restart * columns)))
    scans = [[n] for n in range(count)] if is_by_plane else [list(range(count))]
    for scan in scans:
        selected = b"".join(bytes([ids[n], 0]) for n in scan)
        parts.append(_segment(0xDA, bytes([len(scan)]) + selected + bytes([predictor, 0, 0])))
        parts.append(
            _restarts(samples[:, :, scan].astype(int), precision, predictor, rows_per_restart)
        )
    return b"".join([*parts, b"\xff\xd9"])


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def _restarts(samples: Samples, precision: int, predictor: int, rows: int) -> bytes:
    """The entropy coded segments of a scan, `rows` in each, with the markers between them."""
    rows = rows or len(samples)
    segments = [
        _coded(_differences(samples[start : start + rows], 1 << precision - 1, predictor))
        for start in range(0, len(samples), rows)
    ]
    return b"".join(
        segment + (bytes([0xFF, 0xD0 + n % 8]) if n < len(segments) - 1 else b"")
        for n, segment in enumerate(segments)
    )


def _differences(samples: Samples, middle: int, predictor: int) -> Iterator[int]:
    """What each sample has beyond its prediction (H.1.2.1), modulo 2**16."""
    for y, x, component in np.ndindex(samples.shape):
        plane = samples[:, :, component]
        if y == 0:
            expected = plane[0, x - 1] if x else middle
        elif x == 0:
            expected = plane[y - 1, 0]
        else:
            expected = _predicted(predictor, plane[y, x - 1], plane[y - 1, x], plane[y - 1, x - 1])
        yield int(plane[y, x] - expected) % _WHOLE


def _predicted(predictor: int, left: int, above: int, corner: int) -> int:
    """Table H.1."""
    return (
        left,
        above,
        corner,
        left + above - corner,
        left + (above - corner >> 1),
        above + (left - corner >> 1),
        left + above >> 1,
    )[predictor - 1]


def _coded(differences: Iterable[int]) -> bytes:
    """Each as the code of its category, and its value in as many bits (H.1.2.2)."""
    words = []
    for modulo in differences:
        signed = modulo if modulo <= _WHOLE // 2 else modulo - _WHOLE
        bits = abs(signed).bit_length()
        words.append(f"{bits:0{_CODE_BITS}b}")
        if 0 < bits < _CATEGORIES - 1:
            words.append(f"{signed if signed > 0 else signed + (1 << bits) - 1:0{bits}b}")
    text = "".join(words)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big")
    return data.replace(b"\xff", b"\xff\0")
