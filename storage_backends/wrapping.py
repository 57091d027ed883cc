"""Backends around backends are named as the one inside, end with it, and adopt if it can; so do their readers."""

from __future__ import annotations

from typing import ClassVar, Self, cast

from storage_backends.base import (
    FileSpan,
    ObjectReader,
    StorageBackend,
    SupportsAdopt,
    SupportsAdoptSealed,
    span_of,
)


class WrappingBackend:
    """A backend around `inner`; a child says what its calls mean, and in `adopter` and `sealed_adopter` who it is
    around a backend that takes over files, or sealed ones.
    """

    adopter: ClassVar[type[WrappingBackend] | None] = None
    sealed_adopter: ClassVar[type[WrappingBackend] | None] = None

    def __new__(cls, inner: StorageBackend, *_arguments: object, **_options: object) -> Self:
        """A wrapper around a backend that can adopt can adopt, too; around another it can't."""
        if cls.adopter is not None and isinstance(inner, SupportsAdopt):
            return cast("Self", object.__new__(cls.adopter))
        if cls.sealed_adopter is not None and isinstance(inner, SupportsAdoptSealed):
            return cast("Self", object.__new__(cls.sealed_adopter))
        return object.__new__(cls)

    def __init__(self, inner: StorageBackend) -> None:
        self.name = inner.name
        self._inner = inner

    def close(self) -> None:
        """See StorageBackend.close."""
        self._inner.close()


class WrappedReader:
    """A reader over `inner`, which ends with it; a child says what reading means."""

    def __init__(self, inner: ObjectReader) -> None:
        self._inner = inner

    def close(self) -> None:
        """Close the inner reader."""
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class WrappedSpanReader(WrappedReader):
    """One that may tell where in a file its bytes lie."""

    def span(self) -> FileSpan | None:
        """As the inner reader's."""
        return span_of(self._inner)
