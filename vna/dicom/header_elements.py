"""The elements of an object's header: walked as a whole, or along those of the header before."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from vna.dicom.deflate import FIRST_BYTES, MAX_HEADER_BYTES, inflate
from vna.dicom.elements import Scanner
from vna.dicom.encoding import Buffer, Encoding
from vna.dicom.envelope import Syntax, dataset_start
from vna.dicom.runs import (
    MAX_KEPT_BYTES,
    MAX_RUN_ELEMENTS,
    Elements,
    Run,
    cut,
    follow,
    is_ascending,
)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The elements found. `buffer`: the object, its dataset inflated where it was deflated;
    `pixel_element` -1: none. `is_whole`: nothing of the inflated dataset is missing. `is_regular`:
    its runs may be remembered.
    """

    buffer: Buffer
    elements: Elements
    pixel_element: int
    is_whole: bool
    is_regular: bool = False


@dataclass(frozen=True, slots=True)
class _Header:
    """The header read last: `runs` of a dataset in `encoding`."""

    encoding: Encoding
    runs: tuple[Run, ...]


class Recent:
    """Each thread's header before this one, for what a thread stores mostly belongs together."""

    def __init__(self) -> None:
        self._local = threading.local()

    def read(self, scanner: Scanner, dataset_offset: int, syntax: Syntax) -> Dataset:
        """The elements of a header; warnings go to `scanner`."""
        dataset = self._followed(scanner.buffer, dataset_offset, syntax)
        if dataset is None:
            dataset = _read_dataset(scanner, dataset_offset, syntax)
        self._local.header = _remembered(dataset, syntax.encoding)
        return dataset

    def _followed(self, buffer: Buffer, dataset_offset: int, syntax: Syntax) -> Dataset | None:
        known: _Header | None = getattr(self._local, "header", None)
        if known is None or syntax.deflated or known.encoding != syntax.encoding:
            return None
        start = dataset_start(buffer, dataset_offset)
        followed = follow(buffer, start, syntax.encoding, known.runs)
        return None if followed is None else _regular(buffer, *followed, is_whole=True)


def _remembered(dataset: Dataset, encoding: Encoding) -> _Header | None:
    """A regular header, unless its runs have become so short in time that they help little.

    At an object's end an element may be read otherwise than before others: that run is left out.
    """
    runs = dataset.elements.runs
    if dataset.pixel_element < 0:
        runs = runs[:-1]
    elements = sum([len(run.tokens) for run in runs])
    if not (runs and dataset.is_regular) or len(runs) * MAX_RUN_ELEMENTS > elements * 2:
        return None
    return _Header(encoding, tuple(runs))


def _read_dataset(scanner: Scanner, dataset_offset: int, syntax: Syntax) -> Dataset:
    if not syntax.deflated:
        return _scan(scanner, scanner.buffer, dataset_offset, syntax.encoding, is_whole=True)
    stored, limit = scanner.buffer, FIRST_BYTES
    while True:
        part = inflate(stored, dataset_offset, limit)
        inner = Scanner(bytes(stored[:dataset_offset]) + part.data)
        dataset = _scan(
            inner, inner.buffer, dataset_offset, syntax.encoding, is_whole=part.is_whole
        )
        done = part.is_whole or part.is_damaged or dataset.pixel_element >= 0
        if done or limit >= MAX_HEADER_BYTES:
            break
        limit *= 4
    if part.is_damaged:
        scanner.warn("the deflated dataset is damaged")
    elif not done:
        scanner.warn(f"the deflated dataset is not read beyond {limit} bytes")
    if part.is_whole or done:
        for text in inner.warnings:
            scanner.warn(text)
    return dataset


def _scan(
    scanner: Scanner, buffer: Buffer, dataset_offset: int, encoding: Encoding, *, is_whole: bool
) -> Dataset:
    end = len(buffer)
    start = dataset_start(buffer, dataset_offset)
    tokens, stopped = scanner.elements(start, end, encoding, stop_at_pixels=True)
    if scanner.truncated and tokens and tokens[-1][2] + tokens[-1][3] >= end:
        tokens.pop()  # a cut value is not the value
    if is_ascending(tokens) and not scanner.warnings and stopped - start <= MAX_KEPT_BYTES:
        runs = cut(buffer, (start, stopped), tokens)
        return _regular(buffer, runs, stopped, is_whole=is_whole)
    by_tag = {token[0]: token for token in tokens}
    tags = list(by_tag)
    if tags != sorted(tags):
        scanner.warn("elements are out of order")
    pixel_element = stopped if stopped < end else -1
    return Dataset(buffer, Elements([Run(buffer, by_tag)]), pixel_element, is_whole)


def _regular(buffer: Buffer, runs: list[Run], stopped: int, *, is_whole: bool) -> Dataset:
    pixel_element = stopped if stopped < len(buffer) else -1
    return Dataset(buffer, Elements(runs), pixel_element, is_whole, is_regular=True)
