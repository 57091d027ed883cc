"""Whether what has landed is in the archive as it came, and is what the source says it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from vna.dicom.header import Header, HeaderReader
from vna.errors import Abandoned, Corrupt, DecoderFailed, InvalidInstance, Unsupported
from vna.index.transfer_ledger import TransferLedger
from vna.migration.correction_check import Correcting, check_correction
from vna.migration.header_check import compare
from vna.migration.pixel_check import PixelCheck
from vna.model.campaign import (
    CampaignSettings,
    InstanceItem,
    ItemState,
    KeptVersion,
    Reason,
    StudyItem,
    Verdict,
)
from vna.model.instances import Location, Outcome
from vna.services.digests import instance_digests
from vna.services.storage import ObjectStore
from vna.spool import Spool, Spooled

_CHUNK = 2**20
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Rules:
    """What a verification goes by. `keeps_bytes`: the source hands objects over as it keeps them.

    `should_stop`: whether the work is to end; it is asked at every object, mebibyte and frame. `correcting`: what the
    tag rules make of an object; None: they are not looked at.
    """

    settings: CampaignSettings
    keeps_bytes: bool = False
    should_stop: Callable[[], bool] = lambda: False
    correcting: Correcting | None = None


class Prover:
    """Reads everything again from the storage; what the source or the store said is no evidence."""

    def __init__(
        self, ledger: TransferLedger, objects: ObjectStore, spool: Spool, pixels: PixelCheck
    ) -> None:
        self._ledger, self._objects, self._spool = ledger, objects, spool
        self._pixels = pixels
        self._headers = HeaderReader()

    def prove(self, study: StudyItem, items: Sequence[InstanceItem], rules: Rules) -> list[Verdict]:
        """A verdict for each instance of `study` that has landed, fewer when the work is to end. Raises Unavailable."""
        landed = [item for item in items if item.state is ItemState.LANDED]
        verdicts: list[Verdict] = []
        with suppress(Abandoned):
            for start in range(0, len(landed), _AT_ONCE):
                some = landed[start : start + _AT_ONCE]
                kept = self._ledger.kept([item.found.uids.sop_instance_uid for item in some])
                for item in some:
                    _check(rules)
                    versions = kept.get(item.found.uids.sop_instance_uid, [])
                    verdicts.append(self._verdict(study, item, versions, rules))
        return verdicts

    def _verdict(
        self, study: StudyItem, item: InstanceItem, versions: Sequence[KeptVersion], rules: Rules
    ) -> Verdict:
        version = version_of(item, versions)
        if version is None:
            reason = Reason.BYTES_DIFFER if versions else Reason.NOT_IN_ARCHIVE
            return Verdict(item.instance_id, ItemState.MISMATCHED, reason)
        try:
            with self._read_again(version.location, rules) as spooled:
                return self._judge(study, item, (version, versions[0]), rules, spooled)
        except (Corrupt, InvalidInstance) as exc:
            return Verdict(item.instance_id, ItemState.FAILED, Reason.DAMAGED, str(exc))

    def _judge(
        self,
        study: StudyItem,
        item: InstanceItem,
        versions: tuple[KeptVersion, KeptVersion],
        rules: Rules,
        spooled: Spooled,
    ) -> Verdict:
        """`versions`: the one that came, and the one that is visible. Raises Corrupt, InvalidInstance, Unavailable."""
        version = versions[0]
        if spooled.digest != version.object_digest:
            raise Corrupt(f"object {version.location.key} has other bytes than came")
        verdict = Verdict(item.instance_id, ItemState.VERIFIED)
        with spooled.buffer() as view:
            header = self._read_header(view, version)
            evidence = _same_bytes(item, spooled, header)
            if evidence is None:
                return _mismatched(verdict, Reason.BYTES_DIFFER, "")
            corrected = check_correction(item, version, view, rules.correcting)
            difference = (
                compare(study.found, item.found, header, rules.settings.differences)
                or _size_differs(item, spooled.size, rules)
                or corrected.difference
            )
            if difference is not None:
                return _mismatched(verdict, *difference)
            evidence += ["header as the source tells", *corrected.evidence]
            if rules.settings.decode:
                verdict = self._decoded(verdict, view, header, evidence, rules)
            if version.is_conflict and verdict.state is ItemState.VERIFIED:
                verdict = self._variant(verdict, versions, (view, header), evidence, rules)
        if item.outcome is Outcome.DUPLICATE:
            evidence.append("was there already")
        return replace(verdict, evidence="; ".join(evidence))

    def _decoded(
        self,
        verdict: Verdict,
        view: memoryview,
        header: Header,
        evidence: list[str],
        rules: Rules,
    ) -> Verdict:
        if not self._pixels.can_check(header):
            return verdict
        try:
            self._pixels.digest(view, header, rules.should_stop)
        except (Unsupported, DecoderFailed) as exc:
            return _mismatched(verdict, Reason.NOT_DECODABLE, str(exc))
        evidence.append("every frame decoded")
        return verdict

    def _variant(
        self,
        verdict: Verdict,
        versions: tuple[KeptVersion, KeptVersion],
        came: tuple[memoryview, Header],
        evidence: list[str],
        rules: Rules,
    ) -> Verdict:
        """The UID stands for something else in the archive already: another header round the same image, or not."""
        if not self._is_same_image(versions, came, rules):
            return _mismatched(verdict, Reason.COLLISION, "")
        evidence.append("a variant: the archive has the same pixels under another header")
        return verdict

    def _is_same_image(
        self,
        versions: tuple[KeptVersion, KeptVersion],
        came: tuple[memoryview, Header],
        rules: Rules,
    ) -> bool:
        version, visible = versions
        if visible.is_conflict or version.sop_class_uid != visible.sop_class_uid:
            return False
        if version.transfer_syntax_uid == visible.transfer_syntax_uid:
            return version.pixel_digest is not None and version.pixel_digest == visible.pixel_digest
        try:
            with self._read_again(visible.location, rules) as spooled, spooled.buffer() as other:
                there = (other, self._read_header(other, visible))
                if not all(self._pixels.can_check(header) for _, header in (came, there)):
                    return False
                stop = rules.should_stop
                return self._pixels.digest(*came, stop) == self._pixels.digest(*there, stop)
        except (Unsupported, DecoderFailed, Corrupt, InvalidInstance):
            return False

    def _read_header(self, view: memoryview, version: KeptVersion) -> Header:
        return self._headers.read(
            view,
            sop_instance_uid=version.uids.sop_instance_uid,
            sop_class_uid=version.sop_class_uid,
        )

    @contextmanager
    def _read_again(self, place: Location, rules: Rules) -> Iterator[Spooled]:
        """What the storage has at `place` now. Raises Corrupt, Unavailable, Abandoned."""
        with self._objects.open(place) as reader, self._spool.open_plain() as writer:
            while chunk := reader.read(_CHUNK):
                writer.write(chunk)
                _check(rules)
            spooled = writer.finish()
        with spooled:
            yield spooled


def version_of(item: InstanceItem, versions: Sequence[KeptVersion]) -> KeptVersion | None:
    """The version of an instance that came: by all its bytes, else by those of its dataset."""
    for version in versions:
        if version.object_digest == item.received:
            return version
    for version in versions:
        if version.dataset_digest == item.received_dataset:
            return version
    return None


def _check(rules: Rules) -> None:
    if rules.should_stop():
        raise Abandoned("the verification is to end")


def _same_bytes(item: InstanceItem, spooled: Spooled, header: Header) -> list[str] | None:
    """In how far what was read again is what came; None when it is not."""
    if spooled.digest == item.received:
        return ["every byte as it came"]
    if instance_digests(spooled, header)[0] == item.received_dataset:
        return ["every byte of the dataset as it came"]
    return None


def _size_differs(item: InstanceItem, size: int, rules: Rules) -> tuple[Reason, str] | None:
    told = item.found.size
    if told is None or told == size or not rules.keeps_bytes:
        return None
    return Reason.SIZE_DIFFERS, f"{size} bytes, the source says {told}"


def _mismatched(verdict: Verdict, reason: Reason, detail: str) -> Verdict:
    return replace(verdict, state=ItemState.MISMATCHED, reason=reason, detail=detail)
