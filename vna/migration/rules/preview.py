"""What rules would make of samples, element by element."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vna.dicom.attributes import ATTRIBUTES
from vna.dicom.charset import UNICODE
from vna.dicom.encoding import Buffer
from vna.dicom.head_values import Head, HeadReader
from vna.dicom.header import read_header
from vna.dicom.vrs import CHARSET_VRS
from vna.migration.rules.conditions import texts_of
from vna.migration.rules.correcting import Corrector, Decision
from vna.migration.rules.declaration import CHARACTER_SET, RuleSet
from vna.migration.rules.samples import Missed
from vna.model.query import JsonElement

_ISSUER = 0x00100021
_TEXTS = {item.tag: item.keyword for item in ATTRIBUTES if item.vr in CHARSET_VRS}


@dataclass(frozen=True, slots=True)
class Change:
    """An element that leaves the archive otherwise than it came in, and the name of the rule."""

    keyword: str
    before: str
    after: str
    rule: str


@dataclass(frozen=True, slots=True)
class Sample:
    """An instance that was looked at.

    `obstacles`: why it would be parked. `foreign`: keyword and value of texts beyond ASCII that stay as they are.
    `is_odd`: some texts do not fit the character set that it names; `stays_odd`: nor the one that the rules declare;
    `is_unicode`: all of them fit ISO_IR 192.
    """

    study_instance_uid: str
    sop_instance_uid: str
    changes: tuple[Change, ...] = ()
    obstacles: tuple[str, ...] = ()
    foreign: tuple[tuple[str, str], ...] = ()
    is_odd: bool = False
    stays_odd: bool = False
    is_unicode: bool = False
    has_issuer: bool = True


@dataclass(slots=True)
class Preview:
    """All that was seen. `decided`, `changed`, `parked`: by the number of a rule, in how many samples."""

    rules: RuleSet
    samples: list[Sample] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    decided: Counter[int] = field(default_factory=Counter)
    changed: Counter[int] = field(default_factory=Counter)
    parked: Counter[int] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        """Whether there are samples, and every one came and could be corrected."""
        return bool(self.samples) and not self.missed and not self.parked


class Previewer:
    """Looks at samples, from any thread."""

    def __init__(self, rules: RuleSet, corrector: Corrector) -> None:
        self.preview = Preview(rules)
        self._rules = {rule.number: rule for rule in rules.rules}
        self._keywords = _TEXTS | {rule.tag: rule.keyword for rule in rules.rules}
        self._keywords[CHARACTER_SET] = "SpecificCharacterSet"
        self._corrector = corrector
        self._heads = HeadReader()
        self._lock = threading.Lock()

    def look(self, buffer: Buffer) -> None:
        """Raises InvalidInstance."""
        uids = read_header(buffer).uids
        head, decision = self._heads.read(buffer), self._corrector.decide(buffer)
        correction = decision.correction
        terms = None if correction is None else correction.character_set
        elements = {} if correction is None else correction.elements
        before, misfits = self._read(head, head.charsets)
        after, still = self._read(head, head.charsets if terms is None else terms)
        after |= {int(key, 16): _shown(element) for key, element in elements.items()}
        self._add(
            Sample(
                uids.study_instance_uid,
                uids.sop_instance_uid,
                tuple(self._changes(before, after, decision)),
                tuple(decision.obstacles.values()),
                tuple(self._foreign(before, after)),
                bool(misfits),
                bool(still),
                not self._read(head, (UNICODE,))[1],
                bool(after[_ISSUER]),
            ),
            decision,
        )

    def _read(self, head: Head, charsets: tuple[str, ...]) -> tuple[dict[int, str], list[str]]:
        warnings: list[str] = []
        texts = {tag: _shown(head.element(tag, charsets, warnings)) for tag in self._keywords}
        return texts | {CHARACTER_SET: "\\".join(charsets)}, warnings

    def _changes(
        self, before: Mapping[int, str], after: Mapping[int, str], decision: Decision
    ) -> Iterator[Change]:
        names = {self._rules[n].tag: self._rules[n].name for n in decision.applied}
        for tag, text in sorted(before.items()):
            if text != after[tag]:
                name = names.get(tag) or names.get(CHARACTER_SET, "")
                yield Change(self._keywords[tag], text, after[tag], name)

    def _foreign(
        self, before: Mapping[int, str], after: Mapping[int, str]
    ) -> Iterator[tuple[str, str]]:
        for tag, text in sorted(before.items()):
            if text == after[tag] and not text.isascii():
                yield self._keywords[tag], text

    def _add(self, sample: Sample, decision: Decision) -> None:
        with self._lock:
            preview = self.preview
            preview.samples.append(sample)
            preview.decided.update(decision.applied.keys())
            preview.changed.update(n for n, is_changed in decision.applied.items() if is_changed)
            preview.parked.update(decision.obstacles.keys())


def _shown(element: JsonElement) -> str:
    return "\\".join(texts_of(element))
