"""What can go wrong in the archive: one root, few children, each knowing whether a retry may help."""

from __future__ import annotations


class VnaError(Exception):
    """Something the archive could not do. The message names the thing and the remedy."""

    transient: bool = False


class ConfigError(VnaError):
    """The configuration is wrong; nothing was started."""


class InvalidQuery(VnaError):
    """A query identifier does not follow PS3.4 C.2.2 / PS3.18 8.3.4."""


class TooBroad(VnaError):
    """A search would take longer than it may; the message says how to narrow it."""


class InvalidInstance(VnaError):
    """The bytes are not a DICOM instance that can be identified; nothing was kept."""


class MismatchedInstance(InvalidInstance):
    """The dataset belongs to another SOP Instance than the one that was announced."""


class NotFound(VnaError):
    """No such study, series, instance, frame or element in the archive."""


class Gone(NotFound):
    """It was there and is kept no more; the message says how to go on."""


class Abandoned(VnaError):
    """Whoever asked waits for the answer no more; what was under way has been stopped."""


class Unsupported(VnaError):
    """Well-formed, but nothing the archive can do (a transfer syntax it can't decode, for instance)."""


class Corrupt(VnaError):
    """Stored bytes are no longer what they were; the message names the object."""


class DecoderFailed(VnaError):
    """A pixel decoder crashed, or took more time or memory than it may; nothing else is affected."""

    def __init__(self, message: str, reason: str = "crash") -> None:
        super().__init__(message)
        self.reason = reason


class RetryLater(VnaError):
    """A background job has to wait for `seconds`: nothing went wrong."""

    transient = True

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds


class Unavailable(VnaError):
    """The database or the storage does not answer now; the same request may succeed later."""

    transient = True


class OutOfSpace(Unavailable):
    """No room left to store an object, or no leave to write it; nothing was kept, the sender should try later."""
