"""A DICOMweb archive as a source: QIDO-RS for the inventory, WADO-RS for the objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from http.client import IncompleteRead

from vna.dicom.header import read_held
from vna.errors import InvalidInstance, VnaError
from vna.migration import dicom_keys as tags
from vna.migration.dicom_keys import Record, text
from vna.migration.dicom_requests import ListedCounts, is_whole, whole_series
from vna.migration.parts import BadBody, Parts
from vna.migration.reception import Reception
from vna.migration.record_entry import instance_of, study_of
from vna.migration.source_options import WebOptions
from vna.migration.sources.base import (
    ShouldStop,
    SourceBusy,
    SourceError,
    Take,
)
from vna.migration.study_query import StudyQuery
from vna.migration.sweep import IncompleteInventory, StudySweep, Truncated
from vna.migration.watch import Watch
from vna.migration.web_link import WebConnection, WebLink
from vna.model.migration import (
    Capabilities,
    FetchReport,
    FoundInstance,
    FoundStudy,
    Scope,
)
from vna.spool import Spool, Spooled

OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_SINGLE = "application/dicom"
_CHUNK = 2**18
_STUDY_FIELDS = (
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
    "IssuerOfPatientID",
)
_INSTANCE_FIELDS = ("NumberOfFrames", "AvailableTransferSyntaxUID")


class WebSource:
    """See MigrationSource."""

    def __init__(self, options: WebOptions, spool: Spool) -> None:
        """Raises ConfigError."""
        self.link = WebLink(options)
        self._options, self._spool = options, spool
        self._counts = ListedCounts()

    def capabilities(self) -> Capabilities:
        """See MigrationSource.capabilities."""
        return Capabilities("dicomweb")

    def check(self) -> None:
        """See MigrationSource.check."""
        with self.link.open() as connection:
            connection.records("studies", {"limit": 1})

    def studies(self, scope: Scope) -> Iterator[FoundStudy]:
        """See MigrationSource.studies."""
        return self.sweep(scope).studies()

    def sweep(self, scope: Scope) -> StudySweep:
        """The search, with what it learns of the source."""
        connection = self.link.open()
        return StudySweep(
            partial(self._ask, connection),
            scope,
            cap=self._options.max_results,
            close=connection.close,
        )

    def instances(self, study: FoundStudy) -> Iterator[FoundInstance]:
        """See MigrationSource.instances."""
        return self._counts.counting(study, self._listed(study))

    def _listed(self, study: FoundStudy) -> Iterator[FoundInstance]:
        path = f"studies/{study.study_instance_uid}/series"
        fields = {"includefield": _INSTANCE_FIELDS}
        try:
            with self.link.open() as connection:
                for series in list(self._pages(connection, path, {}, tags.SERIES_INSTANCE_UID)):
                    below = f"{path}/{text(series, tags.SERIES_INSTANCE_UID)}/instances"
                    for record in self._pages(connection, below, fields, tags.SOP_INSTANCE_UID):
                        yield instance_of(study, series, record)
        except Truncated as exc:
            raise IncompleteInventory(
                f"study {study.study_instance_uid} is not listed in full: {exc}; set page higher"
            ) from exc

    def fetch(
        self,
        study: FoundStudy,
        wanted: Sequence[FoundInstance],
        take: Take,
        should_stop: ShouldStop,
        known: Sequence[FoundInstance] = (),
    ) -> FetchReport:
        """See MigrationSource.fetch."""
        reception = Reception(wanted, take)
        fetch = _Fetch(self, self._spool, reception, should_stop)
        path = f"studies/{study.study_instance_uid}"
        if is_whole(self._counts.known(study), wanted, known) and len(wanted) > 1:
            fetch.ask(path, None)
        for uid, instances in whole_series(wanted, known).items():
            if all(reception.is_missing(found) for found in instances):
                fetch.ask(f"{path}/series/{uid}", None)
        for found in [found for found in wanted if reception.is_missing(found)]:
            uids = found.uids
            series = f"{path}/series/{uids.series_instance_uid}"
            fetch.ask(f"{series}/instances/{uids.sop_instance_uid}", found)
        if reception.error is not None:
            raise reception.error
        return reception.report(fetch.said, was_busy=fetch.was_busy, was_stopped=fetch.was_stopped)

    def close(self) -> None:
        """See MigrationSource.close; connections end with what they are for."""

    def _ask(self, connection: WebConnection, query: StudyQuery) -> Iterator[FoundStudy]:
        keys: Mapping[str, object] = {
            "StudyDate": query.study_date,
            "StudyTime": query.study_time,
            "ModalitiesInStudy": query.modality,
            "PatientID": query.patient_key,
            "AccessionNumber": query.accession_key,
            "StudyInstanceUID": ",".join(query.study_instance_uids),
            "includefield": _STUDY_FIELDS,
        }
        for record in self._pages(connection, "studies", keys, tags.STUDY_INSTANCE_UID):
            study = study_of(record)
            if study.study_instance_uid:
                yield study

    def _pages(
        self, connection: WebConnection, path: str, query: Mapping[str, object], unique: int
    ) -> Iterator[Record]:
        """All matches, page by page until one is empty. Raises Truncated when the source knows no pages."""
        offset, first = 0, ""
        while True:
            page = {**query, "limit": self._options.page, "offset": offset}
            records = connection.records(path, page)
            if not records:
                return
            if offset and text(records[0], unique) == first:
                if offset >= self._options.page:
                    raise Truncated(f"{self.link.name} gives {offset} results and ignores offset")
                return
            first = first or text(records[0], unique)
            yield from records
            offset += len(records)


class _Fetch:
    """The requests of one fetch, each over a connection of its own that can be cut."""

    def __init__(
        self, source: WebSource, spool: Spool, reception: Reception, should_stop: ShouldStop
    ) -> None:
        self._source, self._link = source, source.link
        self._spool, self._reception = spool, reception
        self._should_stop = should_stop
        self.said = ""
        self.was_stopped = self.was_busy = False

    def ask(self, path: str, found: FoundInstance | None) -> None:
        """One request, for `found` or for whatever comes. Raises SourceUnavailable, SourceBusy."""
        if self.was_stopped or self._reception.error is not None:
            return
        if self._should_stop():
            self.was_stopped = True
            return
        patience = self._link.options.response_timeout
        with (
            self._link.open() as connection,
            Watch(self._should_end, connection.cut, connection.cut, patience) as watch,
        ):
            self._reception.on_sign = watch.sign
            try:
                self._receive(connection, path, found)
            except SourceError as exc:
                self._judge(exc, found, watch)
        self.was_stopped |= watch.was_stopped and self._reception.error is None

    def _judge(self, error: SourceError, found: FoundInstance | None, watch: Watch) -> None:
        """What can't be had is a failure, what is not to be had from anybody now an error."""
        if watch.was_stopped:
            return
        if error.transient and (watch.was_silent or not self._broke_off_over_it(error)):
            raise error
        self.said = str(error)
        if found is not None:
            self._reception.failed(found.uids.sop_instance_uid, str(error))

    def _broke_off_over_it(self, error: SourceError) -> bool:
        """Whether the source answers otherwise: then it is something in this answer that it can't give."""
        if isinstance(error, SourceBusy):
            return False
        try:
            self._source.check()
        except SourceError:
            return False
        return True

    def _receive(self, connection: WebConnection, path: str, found: FoundInstance | None) -> None:
        response = connection.get(path, OBJECTS)
        content_type = response.headers.get("Content-Type", "")
        with self._link.errors():
            try:
                if content_type.lower().startswith(_SINGLE):
                    self._keep(iter(lambda: memoryview(response.read(_CHUNK)), b""), found)
                    return
                for part in Parts(content_type, response.read):
                    self._keep(part, found)
            except (BadBody, IncompleteRead) as exc:
                raise SourceError(f"{self._link.name} broke off in the middle: {exc}") from exc

    def _keep(self, pieces: Iterator[memoryview], found: FoundInstance | None) -> None:
        with self._spooled(pieces) as spooled:
            uid = ""
            try:
                uid = read_held(spooled).uids.sop_instance_uid
                self._reception.take(spooled, self._reception.found(uid, spooled), uid)
            except VnaError as exc:
                known = found.uids.sop_instance_uid if found else uid
                is_taker = not isinstance(exc, InvalidInstance)
                self._reception.failed(known, str(exc), exc if is_taker else None)

    def _spooled(self, pieces: Iterator[memoryview]) -> Spooled:
        with self._spool.open() as writer:
            for piece in pieces:
                writer.write(piece)
                self._reception.sign()
            return writer.finish()

    def _should_end(self) -> bool:
        return self._reception.error is not None or self._should_stop()
