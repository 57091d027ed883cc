"""Associations with one DICOM source, with their errors in the words of a migration."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vna.dimse.association import Association
from vna.dimse.errors import AssociationEnded, AssociationRejected, DimseError, NotAccepted
from vna.dimse.negotiation import RoleSelection
from vna.dimse.settings import RequestorSettings, Timeouts
from vna.dimse.tls import BadCredentials, Credentials, client_context
from vna.dimse.tls_transport import TlsFailed
from vna.errors import ConfigError
from vna.migration.source_options import DicomOptions
from vna.migration.sources.base import SourceBusy, SourceError, SourceUnavailable

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2"
IDENTIFIER_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")

Context = tuple[str, tuple[str, ...]]

_TEMPORARY = 2
_LATER = frozenset({(3, 1), (3, 2)})
"""(source, reason) of a rejection that says "later", whatever its result: PS3.8 table 9-21."""

_ADVICE = {
    (1, 3): "it does not know our AE title {calling}: have it added there, or set calling_ae_title",
    (1, 7): "its AE title is not {called}: set called_ae_title",
}


class DicomLink:
    """How a source is reached. Raises ConfigError for certificates that can't be used."""

    def __init__(self, options: DicomOptions) -> None:
        self.options = options
        self._tls = _tls_of(options)
        root = STUDY_ROOT if options.model == "study" else PATIENT_ROOT
        self.find_class, self.move_class, self.get_class = (f"{root}.{n}" for n in (1, 2, 3))

    @property
    def name(self) -> str:
        """The source for messages."""
        options = self.options
        return f"{options.called_ae_title} at {options.host} port {options.port}"

    def request(
        self,
        contexts: Sequence[Context],
        roles: Sequence[RoleSelection] = (),
        idle: float = 0.0,
    ) -> Association:
        """An association, the caller's to end. Raises SourceError and its children.

        `idle`: seconds that the source may be silent; 0: as configured.
        """
        options = self.options
        settings = RequestorSettings(
            calling_ae_title=options.calling_ae_title,
            called_ae_title=options.called_ae_title,
            contexts=tuple(contexts),
            roles=tuple(roles),
            timeouts=Timeouts(
                connect=options.connect_timeout, idle=idle or options.response_timeout
            ),
            tls=self._tls,
        )
        with self.errors():
            return Association.request((options.host, options.port), settings)

    @contextmanager
    def association(
        self, contexts: Sequence[Context], roles: Sequence[RoleSelection] = (), idle: float = 0.0
    ) -> Iterator[Association]:
        """An association for a block; released behind it, aborted when the block raises."""
        with self.request(contexts, roles, idle) as association:
            with self.errors():
                yield association
            association.release()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Errors of DIMSE as errors of the source."""
        try:
            yield
        except AssociationRejected as exc:
            raise self._rejected(exc) from exc
        except TlsFailed as exc:
            raise SourceError(
                f"no TLS with {self.name}: {exc}; check tls, ca, certificate and key"
            ) from exc
        except NotAccepted as exc:
            raise SourceError(f"{self.name} does not offer this: {exc}") from exc
        except AssociationEnded as exc:
            raise SourceUnavailable(
                f"{self.name}: {exc}; check host and port, and that it is up"
            ) from exc
        except DimseError as exc:
            raise SourceError(f"{self.name}: {exc}") from exc

    def _rejected(self, error: AssociationRejected) -> SourceError:
        reason = (error.source, error.reason)
        if error.result == _TEMPORARY or reason in _LATER:
            return SourceBusy(f"{self.name} takes no further association now: {error}")
        options = self.options
        advice = _ADVICE.get(reason, "ask who runs it what it wants")
        told = advice.format(called=options.called_ae_title, calling=options.calling_ae_title)
        return SourceError(f"{self.name} rejects us: {told} ({error})")


def _tls_of(options: DicomOptions) -> ssl.SSLContext | None:
    if not options.tls:
        return None
    credentials = Credentials(
        certificate=_path(options.certificate),
        key=_path(options.key),
        key_password_file=_path(options.key_password_file),
        ca=_path(options.ca),
    )
    try:
        return client_context(credentials, check_hostname=options.check_hostname)
    except BadCredentials as exc:
        raise ConfigError(f"source option: {exc}") from exc


def _path(name: str) -> Path | None:
    return Path(name) if name else None
