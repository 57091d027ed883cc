"""The kinds of sources by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from vna.errors import ConfigError
from vna.migration.move_listeners import MoveListeners
from vna.migration.source_options import DicomOptions, FolderOptions, WebOptions, read
from vna.migration.sources.base import MigrationSource
from vna.model.migration import SourceSettings
from vna.spool import Spool

Options = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source: what it is for people, the check of its options, and what opens it."""

    what: str
    options: tuple[str, ...]
    check: Callable[[Options], object]
    open: Callable[[Options, Spool, MoveListeners | None], MigrationSource]


def open_source(
    settings: SourceSettings, spool: Spool, listeners: MoveListeners | None = None
) -> MigrationSource:
    """The source of these settings, the caller's to close. Raises ConfigError; nothing is asked of it yet.

    `listeners`: where what C-MOVE sends arrives in this process.
    """
    return _kind(settings.kind).open(settings.options, spool, listeners)


def check_options(settings: SourceSettings) -> None:
    """Raises ConfigError for a kind that is not known, and for options that can't be right."""
    _kind(settings.kind).check(settings.options)


def _kind(name: str) -> Kind:
    kind = KINDS.get(name)
    if kind is None:
        raise ConfigError(f"there is no source of kind {name!r}; there are {', '.join(KINDS)}")
    return kind


def _dicom(options: Options, spool: Spool, listeners: MoveListeners | None) -> MigrationSource:
    from vna.migration.sources.dicom import DicomSource

    return DicomSource(read(DicomOptions, options), spool, listeners)


def _web(options: Options, spool: Spool, _: MoveListeners | None) -> MigrationSource:
    from vna.migration.sources.web import WebSource

    return WebSource(read(WebOptions, options), spool)


def _folder(options: Options, spool: Spool, _: MoveListeners | None) -> MigrationSource:
    from vna.migration.sources.folder import FolderSource

    return FolderSource(read(FolderOptions, options), spool)


def _bucket(options: Options, spool: Spool, _: MoveListeners | None) -> MigrationSource:
    from vna.migration.sources.bucket import BucketSource

    return BucketSource(options, spool)


def _check_bucket(options: Options) -> None:
    from vna.migration.sources.bucket import bucket_options

    bucket_options(options)


def _names(cls: type[DicomOptions | WebOptions | FolderOptions]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


KINDS = {
    "dicom": Kind(
        "a DICOM archive: C-FIND, and C-MOVE or C-GET",
        _names(DicomOptions),
        lambda options: read(DicomOptions, options),
        _dicom,
    ),
    "dicomweb": Kind(
        "a DICOMweb archive: QIDO-RS and WADO-RS",
        _names(WebOptions),
        lambda options: read(WebOptions, options),
        _web,
    ),
    "folder": Kind(
        "files below a folder, or those that a DICOMDIR lists",
        _names(FolderOptions),
        lambda options: read(FolderOptions, options),
        _folder,
    ),
    "s3": Kind(
        "objects of a bucket; any prefix, else the options of the storage backend s3",
        ("endpoint", "bucket", "prefix"),
        _check_bucket,
        _bucket,
    ),
}
"""By what `vna migrate add --kind` calls them."""
