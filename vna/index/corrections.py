"""What is changed in instances on their way out: one row for all that are changed alike."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import orjson

from storage_backends.base import Digest
from vna.errors import Corrupt, Unavailable
from vna.index.database import Connection, Database
from vna.index.jsonb import to_jsonb
from vna.index.post_upgrades import older_connections
from vna.index.registering import packed_digest, unpacked_digest
from vna.index.snapshot import snapshot
from vna.index.sql import load
from vna.model.corrections import Correction, correction_of, correction_tree
from vna.recent import Recent

_SCHEMA = 13
"""Archives that know less of the schema would deliver such instances as they came."""

_MOST_KNOWN = 4096
_NAMED_AT_ONCE = 100
_ALONE_SECONDS = 5.0
"""How long nobody asks again whether an older version has come."""


class CorrectionIndex:
    """Keeps corrections, and finds them by their ids. Shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: Recent[int, Correction] = Recent(_MOST_KNOWN)
        self._named: set[bytes] = set()
        self._alone_until = 0.0
        self._lock = threading.Lock()

    def keep(self, correction: Correction) -> int:
        """The id of `correction`, which is there from now on. Raises Unavailable, also while an older version of the
        archive is connected.
        """
        number = id_of(correction)
        now = time.monotonic()
        if self._known.get(number) == correction and now < self._alone_until:
            return number
        patch = to_jsonb(correction_tree(correction))
        self._database.attempt(lambda c: _keep(c, number, patch))
        self._alone_until = now + _ALONE_SECONDS
        self._known.put(number, correction)
        return number

    def keep_for(self, digest: Digest, correction: Correction) -> int:
        """As `keep`, told of the object before it is there: should nobody live to name it, who takes it in later
        takes it in corrected. Raises Unavailable.
        """
        number = self.keep(correction)
        with self._lock:
            self._named.discard(packed_digest(digest))
        self.tell([(digest, number)])
        return number

    def named(self, digest: Digest) -> None:
        """A row names the object: what was told of it may be forgotten, some time."""
        with self._lock:
            self._named.add(packed_digest(digest))
            if len(self._named) < _NAMED_AT_ONCE:
                return
            named, self._named = sorted(self._named), set()
        with suppress(Unavailable):  # it does no harm
            self._database.attempt(lambda c: c.execute(load("queries/correction_named"), [named]))

    def find(self, number: int) -> Correction:
        """The correction with this id. Raises Corrupt where there is none, Unavailable."""
        known = self._known.get(number)
        if known is not None:
            return known
        row = self._database.attempt(
            lambda c: c.execute(load("queries/correction_find"), [number]).fetchone()
        )
        if row is None:
            raise Corrupt(
                f"correction {number} is gone from the database: restore it from a backup; until then nobody knows "
                "what its instances have to look like"
            )
        return self._known.put(number, correction_of(row[0]))

    def of(self, sop_instance_uid: str) -> int | None:
        """The id of what corrects the visible instance of that UID. Raises Unavailable."""
        row = self._database.attempt(
            lambda c: c.execute(load("queries/correction_of"), [sop_instance_uid]).fetchone()
        )
        return None if row is None else row[0]

    def tell(self, objects: Sequence[tuple[Digest, int]]) -> None:
        """Remember by what these objects are corrected, for when they are registered where they lie. Raises
        Unavailable.
        """
        values = [
            [packed_digest(digest) for digest, _ in objects],
            [number for _, number in objects],
        ]
        self._database.attempt(lambda c: c.execute(load("queries/correction_tell"), values))

    def told(self, digest: Digest) -> Correction | None:
        """By what the object is corrected, as `tell` was told. Raises Corrupt, Unavailable."""
        values = [packed_digest(digest)]
        row = self._database.attempt(
            lambda c: c.execute(load("queries/correction_told"), values).fetchone()
        )
        return None if row is None else self.find(row[0])

    @contextmanager
    def all(self) -> Iterator[tuple[Iterator[Correction], Iterator[tuple[Digest, int]]]]:
        """Every correction, and every corrected object with the id of its correction; of one moment, to be read in this
        order. Raises Unavailable; so may reading.
        """
        with snapshot(self._database) as seen:
            patches = (correction_of(row["patch"]) for row in seen.rows("corrections_all"))
            rows = seen.rows("corrections_of_objects")
            yield patches, ((unpacked_digest(row["digest"]), row["correction"]) for row in rows)


def id_of(correction: Correction) -> int:
    """A number that equal corrections share and no others: entity tags hold it."""
    text = orjson.dumps(correction_tree(correction), option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def _keep(connection: Connection, number: int, patch: bytes | str) -> None:
    if older_connections(connection, _SCHEMA):
        raise Unavailable(
            "an older version of the archive is connected to the database, which would deliver corrected instances as "
            "they came: stop it"
        )
    values = {"id": number, "patch": patch}
    for _ in range(2):  # another may have added it at this moment, unseen by the statement
        row = connection.execute(load("queries/correction_add"), values).fetchone()
        if row is not None and row[0] is not None:
            break
    if row is None or not row[0]:
        raise Corrupt(f"correction {number} is in the database with another content")
