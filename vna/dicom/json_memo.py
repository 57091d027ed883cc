"""Values that many datasets share, turned into JSON once: the instances of a series differ in a few elements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vna.dicom.charset import Charsets
from vna.dicom.encoding import Encoding
from vna.model.query import JsonElement

LONGEST_VALUE = 64
LONGEST_SEQUENCE = 4096
"""Bytes; longer ones are rarely the same again."""
_MOST = 20_000

Known = dict[tuple[object, ...], JsonElement]


class JsonMemo:
    """What values became, by all that it depends on; safe for threads.

    The elements that it gives are shared: nobody may change them.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Charsets, int, bool], Known] = {}

    def within(self, charsets: Charsets, encoding: Encoding, *, is_signed: bool) -> Known:
        """What is known of values in a dataset like that: by VR, bytes and, of sequences, their form.

        Now and then all is forgotten: what comes again is made again.
        """
        key = charsets, encoding.code, is_signed
        known = self._known.get(key)
        if known is None or len(known) > _MOST:
            known = self._known[key] = {}
        return known


@dataclass(frozen=True, slots=True)
class Remembering:
    """Makes the URIs of a dataset's bulk data as `bulk_uri` does, and has the dataset share `memo` with others."""

    bulk_uri: Callable[[str], str]
    memo: JsonMemo

    def __call__(self, path: str) -> str:
        """The URI of the value at `path`."""
        return self.bulk_uri(path)
