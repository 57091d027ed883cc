"""What can go wrong on an association, each error saying who ended it and why."""

from __future__ import annotations

from vna.errors import VnaError


class DimseError(VnaError):
    """Something an association could not do."""


class AssociationEnded(DimseError):
    """The association is over; nothing more can be sent or received on it."""


class AssociationRejected(AssociationEnded):
    """An A-ASSOCIATE-RJ was received, or sent (PS3.8 9.3.4): `result`, `source`, `reason` as in the
    table.
    """

    def __init__(self, message: str, *, result: int, source: int, reason: int) -> None:
        super().__init__(message)
        self.result = result
        self.source = source
        self.reason = reason
        self.transient = result == TRANSIENT_RESULT


class AssociationAborted(AssociationEnded):
    """The peer sent an A-ABORT (PS3.8 9.3.8); source 0 is its user, 2 its upper layer."""

    def __init__(self, message: str, *, source: int, reason: int) -> None:
        super().__init__(message)
        self.source = source
        self.reason = reason


class ConnectionLost(AssociationEnded):
    """The transport connection ended without a release or an abort, or could not be made."""

    transient = True


class PeerTimeout(AssociationEnded):
    """The peer was silent, or too slow, for longer than allowed; an A-ABORT was sent where
    possible.
    """

    transient = True


class ProtocolError(AssociationEnded):
    """The peer broke the protocol; an A-ABORT with this `source` and `reason` was sent."""

    def __init__(self, message: str, *, source: int = 2, reason: int = 0) -> None:
        super().__init__(message)
        self.source = source
        self.reason = reason


class NotAccepted(DimseError):
    """No accepted presentation context carries this SOP class (in this transfer syntax, in this
    role).
    """


class DataTooLarge(DimseError):
    """A dataset exceeds the limit its reader set; the rest is discarded before the next message."""


TRANSIENT_RESULT = 2
