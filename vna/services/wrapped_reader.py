"""What readers around readers have in common: they end with the one inside."""

from __future__ import annotations

from typing import Self

from storage_backends.base import ObjectReader


class WrappedReader:
    """A reader over `inner`; a child says what reading means."""

    def __init__(self, inner: ObjectReader) -> None:
        self._inner = inner

    def close(self) -> None:
        """Close the inner reader."""
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
