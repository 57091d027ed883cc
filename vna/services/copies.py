"""Before a second copy is dropped, the first one is read: it must still be what it was."""

from __future__ import annotations

import logging

from vna.errors import Corrupt, Unavailable
from vna.index.copies import CopyIndex, KeptCopy
from vna.model.identifiers import Origin
from vna.model.instances import NewInstance
from vna.services.sources import Sources

log = logging.getLogger(__name__)

HEALED = "the copy kept before was lost or damaged; this one has taken its place"


class VersionGone(Unavailable):
    """The version that was known a moment ago was deleted meanwhile: to be registered anew."""


class CopyService:
    """Acknowledging a duplicate promises that its content is kept, so the kept copy is read before."""

    def __init__(self, copies: CopyIndex, sources: Sources) -> None:
        self._copies = copies
        self._sources = sources

    def heal(self, again: NewInstance, origin: Origin) -> bool:
        """Whether the object of `again`, a known version, took the place of a lost or damaged one.

        Raises VersionGone, and Unavailable when that can't be told now; both objects stay then.
        """
        kept = self._copies.find(again)
        if kept is None:
            raise VersionGone("the version known a moment ago is gone; send it again")
        if kept.location == again.location:
            return True
        if self._is_intact(kept):
            return False
        if not self._copies.heal(kept, again, origin):
            kept = self._copies.find(again)
            if kept is None:
                raise VersionGone("the version known a moment ago is gone; send it again")
            if kept.location != again.location:
                raise Unavailable("the version changes at this moment; send it again")
        log.error(
            "a stored object was lost or damaged; the one that came again has taken its place",
            extra={"key": kept.location.key, "correlation": origin.correlation_id},
        )
        return True

    def _is_intact(self, kept: KeptCopy) -> bool:
        """Whether its bytes can be read, from the location or a copy. Raises Unavailable when that can't be told."""
        try:
            self._sources.verify(kept.location, kept.object_digest)
        except Corrupt:
            return False
        return True
