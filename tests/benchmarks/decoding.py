"""What decoder processes cost: their start, a call, a replacement."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from tests.benchmarks.report import Row
from tests.services import decoder_tasks as tasks
from vna.config_decoding import DecodingConfig
from vna.dicom.decode import PixelDescription, decode_frame
from vna.errors import DecoderFailed
from vna.services.decoders import Decoders

FRAME = 512 * 1024
IMAGE = 50 * 1024
_J2K = "693_J2KI.dcm"


def calls(_folder: Path, short: bool) -> Iterator[Row]:
    """Medians of calls, against an empty one and against the same function without processes."""
    repeats = 20 if short else 500
    with closing(Decoders(DecodingConfig(processes=1))) as decoders:
        first = _median(lambda: decoders.call(tasks.process_id), 1)
        yield Row("decoders: first call, host and all", first, "ms")
        empty = _median(lambda: decoders.call(tasks.process_id), repeats)
        data = os.urandom(FRAME)
        for size in (FRAME, IMAGE):
            value = _median(lambda size=size: decoders.call(tasks.first, data, size), repeats)  # type: ignore[misc]
            name = f"decoders: 512 KiB there, {size // 1024} KiB back, median"
            yield Row(name, value, "ms", "an empty call", empty, "< 1 ms")
        yield _decoding(decoders, repeats)
        yield Row("decoders: next call after a crash", _replaced(decoders), "ms")


def _decoding(decoders: Decoders, repeats: int) -> Row:
    """A frame of JPEG 2000."""
    dataset = dcmread(str(get_testdata_file(_J2K)))
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    description = PixelDescription(
        dataset.Rows, dataset.Columns, 1, dataset.BitsAllocated, dataset.BitsStored
    )
    here = _median(lambda: decode_frame(frame, syntax, description), repeats)
    there = _median(lambda: decoders.call(decode_frame, frame, syntax, description), repeats)
    return Row("decoders: a JPEG 2000 frame of 512 KiB, median", there, "ms", "in process", here)


def _replaced(decoders: Decoders) -> float:
    with contextlib.suppress(DecoderFailed):
        decoders.call(tasks.abort)
    return _median(lambda: decoders.call(tasks.process_id), 1)


def _median(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
