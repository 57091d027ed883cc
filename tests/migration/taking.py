"""A taker of what sources hand over, for tests that look at it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from vna.dicom.header import read_header
from vna.errors import VnaError
from vna.model.migration import FoundInstance
from vna.spool import Spooled


@dataclass(frozen=True)
class Taken:
    """One object as it was handed over."""

    data: bytes
    found: FoundInstance | None

    @property
    def dataset(self) -> bytes:
        """Its bytes behind the file meta."""
        return self.data[read_header(self.data).layout.dataset_offset :]

    @property
    def sop_instance_uid(self) -> str:
        return read_header(self.data).uids.sop_instance_uid

    @property
    def transfer_syntax_uid(self) -> str:
        return read_header(self.data).transfer_syntax_uid


@dataclass
class Taker:
    """Keeps copies; `refuses` may give an error to raise for an object instead."""

    refuses: Callable[[FoundInstance | None], VnaError | None] = lambda _: None
    taken: list[Taken] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    def __call__(self, spooled: Spooled, found: FoundInstance | None) -> None:
        error = self.refuses(found)
        if error is not None:
            raise error
        with spooled.buffer() as buffer:
            self.taken.append(Taken(bytes(buffer), found))
        self.came.set()

    @property
    def uids(self) -> set[str]:
        return {taken.sop_instance_uid for taken in self.taken}


def never() -> bool:
    """A `should_stop` that never says so."""
    return False
