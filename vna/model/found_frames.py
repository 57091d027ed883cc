"""Frames that were asked for: where they lie, and what is needed to deliver them as stored."""

from __future__ import annotations

from dataclasses import dataclass

from vna.model.frames import NativeFrames
from vna.model.instances import StoredInstance


@dataclass(frozen=True, slots=True)
class FoundFrames:
    """An instance of `count` frames; 0 when it has none that can be told apart.

    `spans`: (offset, length) in bytes of its object for each `number` asked for, in that order;
    empty when one of them is beyond `count`. `native` for uncompressed ones. `bits_allocated`:
    of those in RLE, 0 when the header does not say.
    """

    instance: StoredInstance
    bits_allocated: int
    count: int
    numbers: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    native: NativeFrames | None
