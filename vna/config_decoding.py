"""The configuration of the processes that run the pixel codecs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecodingConfig:
    """Decoder processes, which each process of the archive has for itself; times in seconds.

    `processes`: how many of them at most, 0 for one a core and no more than four. `memory_bytes`: what one of them
    may take beyond its code; archive.max_transcode_bytes fits in twice, and a frame beside it. `seconds`: how long
    one call may take. `idle_seconds`: after how long without work they are let go.
    """

    processes: int = 0
    memory_bytes: int = 1536 * 2**20
    seconds: float = 60.0
    idle_seconds: float = 300.0
