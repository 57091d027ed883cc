"""Single values of one dataset as they are asked for, and what the index keeps of all levels."""

from __future__ import annotations

from functools import lru_cache

from vna.dicom.charset import DEFAULT, parse_charsets
from vna.dicom.elements import Token
from vna.dicom.encoding import Buffer, Encoding
from vna.dicom.identity import Identity
from vna.dicom.index_values import (
    CHARACTER_SET,
    MAX_CHARSET_BYTES,
    MAX_VALUE_BYTES,
    coerced,
    read_values,
)
from vna.dicom.level_cache import LevelCache, LevelKey
from vna.dicom.runs import Elements, Values
from vna.model.instances import LevelAttributes
from vna.model.query import JsonElement

MAX_FRAMES = 2**31 - 1
_NUMBER_OF_FRAMES = 0x00280008
_ISSUER, _STUDY, _SERIES = "00100021", "0020000D", "0020000E"
_SOP_CLASS, _SOP_INSTANCE = "00080016", "00080018"
_PATIENT_LEVEL, _STUDY_LEVEL, _SERIES_LEVEL, _INSTANCE_LEVEL = range(4)


class AttributeReader:
    """Reads values of one dataset as they are asked for; `warnings` collects what is odd."""

    __slots__ = (
        "_cache",
        "_charset_value",
        "_charsets",
        "_elements",
        "_encoding",
        "_true_charsets",
        "warnings",
    )

    def __init__(
        self,
        elements: Elements,
        encoding: Encoding,
        cache: LevelCache,
        character_set: tuple[str, ...] | None = None,
    ) -> None:
        """`character_set`: the terms by which texts are read, whatever the dataset says of itself."""
        self._elements, self._encoding, self._cache = elements, encoding, cache
        self._true_charsets = character_set
        self.warnings: list[str] = []
        self._read_charsets()

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def has(self, tag: int) -> bool:
        return tag in self._elements

    def add(self, buffer: Buffer, tokens: list[Token]) -> None:
        """Further elements of `buffer`; those that are known already stay."""
        self._elements.add(buffer, tokens)
        self._read_charsets()

    def data(self, tag: int, limit: int = MAX_VALUE_BYTES) -> bytes:
        """The encoded value, `limit` bytes of it at most; empty when there is none."""
        found = self._elements.find(tag)
        if found is None:
            return b""
        buffer, token = found
        return bytes(buffer[token[2] : token[2] + min(token[3], limit)])

    def text(self, tag: int) -> str:
        """A UID or code as it stands, without padding, and without what follows a NUL inside."""
        return self.data(tag).decode("latin-1").split("\0", 1)[0].strip()

    def number(self, tag: int) -> int:
        """A positive number of any VR, 0 for everything else."""
        found = self._elements.find(tag)
        if found is None:
            return 0
        return _positive(found[1][1], self.data(tag), self._encoding.big_endian)

    def number_of_frames(self) -> int:
        """Number of Frames (0028,0008); 1 when it is absent, 0 with a warning when it is not a
        positive number.
        """
        if not self.has(_NUMBER_OF_FRAMES):
            return 1
        number = self.number(_NUMBER_OF_FRAMES)
        if 0 < number <= MAX_FRAMES:
            return number
        self.warn(
            f"Number of Frames {self.text(_NUMBER_OF_FRAMES)[:16]!r} is not a positive number"
        )
        return 0

    def levels(self, identity: Identity, issuer_of_patient_id: str) -> LevelAttributes:
        """The attributes of all levels; the UIDs are those under which the instance is kept.

        Patient, study and series are the same objects as long as their elements repeat: they must
        not be changed.
        """
        uids, values = identity.uids, self._values()
        image: dict[str, JsonElement] = {}
        for part in values:
            image.update(part.levels[_INSTANCE_LEVEL])
        image.update(_uid(_SOP_CLASS, identity.sop_class_uid))
        image.update(_uid(_SOP_INSTANCE, uids.sop_instance_uid))
        return LevelAttributes(
            self._level(_PATIENT_LEVEL, values, issuer_of_patient_id),
            self._level(_STUDY_LEVEL, values, uids.study_instance_uid),
            self._level(_SERIES_LEVEL, values, uids.series_instance_uid),
            image,
        )

    def _values(self) -> list[Values]:
        """The values of every run; what was added last gives way to what was there."""
        runs = self._elements.all_runs()
        values = [read_values(run, self._encoding, self._charsets) for run in runs]
        for part in values:
            if part.warnings:
                self.warnings += part.warnings
        return values

    def _level(self, level: int, values: list[Values], identifier: str) -> dict[str, JsonElement]:
        parts = b"".join([part.keys[level] for part in values])
        key = LevelKey(level, self._encoding.code, self._charset_value, identifier, parts)
        known = self._cache.get(key)
        if known is not None:
            return known
        attributes: dict[str, JsonElement] = {}
        for part in values:
            attributes.update(part.levels[level])
        if level == _PATIENT_LEVEL:
            if identifier:
                attributes.setdefault(_ISSUER, {"vr": "LO", "Value": [identifier]})
        else:
            attributes.update(_uid(_STUDY if level == _STUDY_LEVEL else _SERIES, identifier))
        return self._cache.keep(key, attributes)

    def _read_charsets(self) -> None:
        if self._true_charsets is not None:
            self._charset_value = "\\".join(("true", *self._true_charsets)).encode()
            self._charsets = self._true_charsets or DEFAULT
            return
        self._charset_value = self.data(CHARACTER_SET, MAX_CHARSET_BYTES)
        self._charsets = (
            parse_charsets(self._charset_value, self.warnings)
            if self.has(CHARACTER_SET)
            else DEFAULT
        )


def _uid(key: str, uid: str) -> dict[str, JsonElement]:
    return {key: {"vr": "UI", "Value": [uid]}} if uid else {}


@lru_cache(maxsize=1024)
def _positive(written: str, data: bytes, big_endian: bool) -> int:
    values = coerced("US", written, data, DEFAULT, big_endian, []).get("Value")
    value = values[0] if isinstance(values, list) and values else 0
    return value if isinstance(value, int) and value > 0 else 0
