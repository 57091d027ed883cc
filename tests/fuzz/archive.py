"""A door without an archive behind it: what is received is read as the archive reads it, then forgotten."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vna.config import DimseConfig
from vna.dicom.header import HeaderReader
from vna.errors import NotFound
from vna.index.statement import build_statement
from vna.model.commitment import CommitmentReport, CommitmentRequest
from vna.model.identifiers import Origin, Selection
from vna.model.instances import Outcome
from vna.model.query import Query, Record
from vna.scp.exchange import Door
from vna.services.store import Expected, StoreOutcome
from vna.spool import Spool, Spooled

RECORDS = 3
_SPOOL_MEMORY = 4096


class _Store:
    """Reads what it gets."""

    def __init__(self, directory: Path) -> None:
        self.spool = Spool(directory, _SPOOL_MEMORY)
        self._headers = HeaderReader()

    def store(self, spooled: Spooled, origin: Origin, expected: Expected) -> StoreOutcome:
        with spooled.buffer() as buffer:
            header = self._headers.read(
                buffer,
                sop_instance_uid=expected.sop_instance_uid,
                sop_class_uid=expected.sop_class_uid,
            )
        uid = header.transfer_syntax_uid
        return StoreOutcome(Outcome.STORED, header.uids, header.sop_class_uid, uid, spooled.size)


class _Queries:
    """Finds the same few records, whatever is asked."""

    def find(self, query: Query, origin: Origin) -> Generator[Record, None, None]:
        build_statement(query)
        for number in range(RECORDS):
            name = {"Alphabetic": "Doe^Jane"}
            yield Record(
                query.level,
                {
                    "00100010": {"vr": "PN", "Value": [name]},
                    "0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]},
                },
            )


class _Retrievals:
    """Has nothing."""

    def choose(self, selection: Selection) -> object:
        raise NotFound("nothing is kept here")

    def select(self, selection: Selection) -> object:
        raise NotFound("nothing is kept here")


class _Commitments:
    """Takes note of everything, and reports nothing."""

    def request(self, request: CommitmentRequest) -> None:
        return None

    def reported(self, report: CommitmentReport, peer: str) -> bool:
        return True


@lru_cache(maxsize=1)
def door() -> Door:
    """One for the process."""
    directory = Path(tempfile.mkdtemp(prefix="vna-fuzz-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    config = DimseConfig(relational_queries="negotiated")
    nothing = SimpleNamespace(record=lambda *events: None, append=lambda *events: None)
    made: dict[str, Any] = {
        "store": _Store(directory),
        "query": _Queries(),
        "retrieve": _Retrievals(),
        "pixels": nothing,
        "commitments": _Commitments(),
        "asked": _Commitments(),
        "audit": nothing,
    }
    return Door(**made, config=config, ae_title="VNA")
