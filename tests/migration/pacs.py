"""A small archive for tests that can be made to cap its answers, to lie and to fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from tests import samples
from vna.dicom.header import read_header
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import CommandField
from vna.dimse.errors import DimseError, NotAccepted
from vna.dimse.message import Message
from vna.dimse.negotiation import Acceptance, ContextResult, Proposal, UserIdentity
from vna.dimse.settings import AcceptorSettings, Admission, RequestorSettings, admit_everybody
from vna.migration import dicom_keys as tags
from vna.migration.dicom_keys import Record, encode_keys, read_record, text, texts
from vna.model.identifiers import InstanceUids

LOOPBACK = "127.0.0.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
ABOVE = {
    "STUDY": tags.STUDY_INSTANCE_UID,
    "SERIES": tags.SERIES_INSTANCE_UID,
    "IMAGE": tags.SOP_INSTANCE_UID,
}
_RANGES = frozenset({tags.STUDY_DATE, tags.STUDY_TIME})
_UNIQUE = frozenset(ABOVE.values())


@dataclass(frozen=True)
class Kept:
    """An instance: what it says of itself, and its dataset."""

    uids: InstanceUids
    sop_class_uid: str
    syntax: str
    values: dict[int, str]
    dataset: bytes


@dataclass
class Manners:
    """How it treats its clients; as it stands: well.

    `cap`: results of one query. `counted`: what it claims where it counts instances. `withholds`: UIDs that it never
    sends. `mints`: new UIDs at each retrieve. `is_early`: the final response of a C-MOVE comes before the objects.
    `names_originator`: it says whose C-MOVE it serves. `ignores`: keys that it does not match by. `statuses`: ends of
    its next retrieves, nothing is sent then. `says`: the status of a retrieve, whatever became of it. `finds`: the
    statuses of its next queries. `takes_lists`: lists of UIDs are understood. `broken`: UIDs whose sub-operations fail.
    `hold`: called before each object. `lists_series`: a query may name several series. `aborts_at`: UIDs at whose
    objects it aborts every association. `first_context_only`: it sends by the first context of a class that it
    accepted, or not at all.
    """

    cap: int = 0
    counted: Callable[[int], int | None] = lambda count: count
    withholds: frozenset[str] = frozenset()
    mints: bool = False
    is_early: bool = False
    names_originator: bool = True
    ignores: frozenset[int] = frozenset()
    statuses: list[int] = field(default_factory=list)
    finds: list[int] = field(default_factory=list)
    says: int = 0
    takes_lists: bool = True
    broken: frozenset[str] = frozenset()
    hold: Callable[[], object] = lambda: None
    lists_series: bool = True
    aborts_at: frozenset[str] = frozenset()
    first_context_only: bool = False
    admit: Admission = admit_everybody


@dataclass
class Pacs:
    """It listens at `address`; `asked` and `retrieved` are the identifiers of queries and retrieves."""

    kept: list[Kept]
    manners: Manners = field(default_factory=Manners)
    destinations: dict[str, tuple[str, int]] = field(default_factory=dict)
    asked: list[Record] = field(default_factory=list)
    retrieved: list[Record] = field(default_factory=list)
    address: tuple[str, int] = (LOOPBACK, 0)
    associations: set[Association] = field(default_factory=set)

    @contextmanager
    def listening(self) -> Iterator[Pacs]:
        """Serve until the end of the block."""
        with socket.create_server((LOOPBACK, 0)) as listener:
            self.address = listener.getsockname()
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            yield self
            listener.shutdown(socket.SHUT_RDWR)
        self.hang_up()

    def hang_up(self) -> None:
        """Cut every association."""
        for association in list(self.associations):
            association.interrupt()

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        """Part of the policy: the first syntax; storage only where it is the SCU."""
        if proposal.abstract_syntax in {FIND, MOVE, GET, scu.VERIFICATION_SOP_CLASS}:
            return Acceptance(proposal.transfer_syntaxes[0])
        if self.manners.first_context_only:
            return Acceptance(proposal.transfer_syntaxes[0])
        own = {kept.syntax for kept in self.kept if kept.sop_class_uid == proposal.abstract_syntax}
        usable = [syntax for syntax in proposal.transfer_syntaxes if syntax in own]
        if not usable:
            return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        return Acceptance(usable[0])

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """Part of the policy: nothing."""
        return None

    def answer_identity(self, identity: UserIdentity) -> bytes | None:
        """Part of the policy: nobody is asked."""
        return None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        settings = AcceptorSettings("PACS", self, admit=self.manners.admit)
        try:
            with Association.accept(sock, settings) as association:
                self.associations.add(association)
                while (message := association.receive()) is not None:
                    self._answer(association, message)
        except DimseError:
            return

    def _answer(self, association: Association, message: Message) -> None:
        command = message.command
        identifier = read_record(message.read_data(2**20), message.context.transfer_syntax)
        match command.command_field:
            case CommandField.C_FIND_RQ:
                self.asked.append(identifier)
                self._find(association, message, identifier)
            case CommandField.C_MOVE_RQ:
                self.retrieved.append(identifier)
                self._move(association, message, identifier)
            case CommandField.C_GET_RQ:
                self.retrieved.append(identifier)
                self._end(association, message, *self._send(association, message, identifier))
            case _:
                association.send(message.context.id, message.command.response(0))

    def _find(self, association: Association, message: Message, identifier: Record) -> None:
        found = list(self.records(identifier))
        status = self.manners.finds.pop(0) if self.manners.finds else 0
        if not self.manners.lists_series and len(texts(identifier, tags.SERIES_INSTANCE_UID)) > 1:
            status = 0xA900
        for record in found[: self.manners.cap or None] if not status else ():
            if association.cancelled(message.command.message_id or 0):
                status = 0xFE00
                break
            data = encode_keys(record, message.context.transfer_syntax)
            association.send(message.context.id, message.command.response(0xFF00), data)
        association.send(message.context.id, message.command.response(status))

    def records(self, identifier: Record) -> Iterator[dict[int, str]]:
        """The answers to a query, those beyond the cap too."""
        level = text(identifier, tags.LEVEL)
        groups: dict[str, list[Kept]] = {}
        for kept in self._matching(identifier):
            groups.setdefault(kept.values.get(ABOVE[level], ""), []).append(kept)
        for group in groups.values():
            first = group[0].values
            values = {int(key, 16): first.get(int(key, 16), "") for key in identifier}
            values |= {tags.LEVEL: level, tags.AVAILABLE_SYNTAX: group[0].syntax}
            modalities = dict.fromkeys(kept.values.get(tags.MODALITY, "") for kept in group)
            values[tags.MODALITIES_IN_STUDY] = "\\".join(modalities)
            count = self.manners.counted(len(group))
            told = "" if count is None else str(count)
            values |= {tags.STUDY_INSTANCES: told, tags.SERIES_INSTANCES: told}
            yield {tag: value for tag, value in values.items() if f"{tag:08X}" in identifier}

    def _matching(self, identifier: Record) -> Iterator[Kept]:
        ignored = self.manners.ignores | {tags.LEVEL, tags.CHARACTER_SET}
        keys = {int(key, 16): _joined(identifier, int(key, 16)) for key in identifier}
        wanted = {tag: value for tag, value in keys.items() if value and tag not in ignored}
        for kept in self.kept:
            if all(_fits(tag, _value(kept, tag), value) for tag, value in wanted.items()):
                yield kept

    def _move(self, association: Association, message: Message, identifier: Record) -> None:
        address = self.destinations.get(message.command.move_destination)
        if address is None:
            association.send(message.context.id, message.command.response(0xA801))
            return
        if self.manners.is_early:
            self._end(association, message, 0, 0)
        contexts = dict.fromkeys((k.sop_class_uid, (k.syntax,)) for k in self._due(identifier))
        if not contexts or self.manners.statuses:
            sent, failed = 0, 0
        else:
            settings = RequestorSettings("PACS", message.command.move_destination, tuple(contexts))
            with Association.request(address, settings) as to:
                sent, failed = self._send(to, message, identifier, watched=association)
                to.release()
        if not self.manners.is_early:
            self._end(association, message, sent, failed)

    def _due(self, identifier: Record) -> list[Kept]:
        if not self.manners.takes_lists and "\\" in _joined(identifier, tags.SOP_INSTANCE_UID):
            return []
        found = self._matching(identifier)
        return [k for k in found if k.uids.sop_instance_uid not in self.manners.withholds]

    def _send(
        self,
        to: Association,
        message: Message,
        identifier: Record,
        watched: Association | None = None,
    ) -> tuple[int, int]:
        sent = failed = 0
        for kept in self._due(identifier) if not self.manners.statuses else ():
            if (watched or to).cancelled(message.command.message_id or 0):
                break
            self.manners.hold()
            if kept.uids.sop_instance_uid in self.manners.aborts_at:
                to.interrupt()
                (watched or to).interrupt()
            is_whole = kept.uids.sop_instance_uid not in self.manners.broken
            if is_whole and self._store(to, message, self._minted(kept)):
                sent += 1
            else:
                failed += 1
        return sent, failed

    def _minted(self, kept: Kept) -> Kept:
        if not self.manners.mints:
            return kept
        uid = samples.new_uid()
        old = kept.uids.sop_instance_uid
        new = uid.ljust(len(old), "0")[: len(old)]
        data = kept.dataset.replace(_even(old), _even(new))
        return replace(kept, uids=replace(kept.uids, sop_instance_uid=new), dataset=data)

    def _store(self, to: Association, message: Message, kept: Kept) -> bool:
        is_move = message.command.command_field == CommandField.C_MOVE_RQ
        is_named = is_move and self.manners.names_originator
        instance = scu.Instance(
            kept.sop_class_uid,
            kept.uids.sop_instance_uid,
            "MIGRATOR" if is_named else "",
            message.command.message_id if is_named else None,
        )
        try:
            context = to.context_for(
                kept.sop_class_uid, "" if self.manners.first_context_only else kept.syntax
            )
        except NotAccepted:
            return False
        if context.transfer_syntax != kept.syntax:
            return False
        return scu.store(to, context, instance, kept.dataset).status == 0

    def _end(self, association: Association, message: Message, sent: int, failed: int) -> None:
        statuses = self.manners.statuses
        own = 0xA702 if failed and not sent else 0xB000 if failed else 0
        status = statuses.pop(0) if statuses else self.manners.says or own
        if association.cancelled(message.command.message_id or 0):
            status = 0xFE00
        answer = replace(
            message.command.response(status),
            number_of_completed_suboperations=sent,
            number_of_failed_suboperations=failed,
            number_of_warning_suboperations=0,
        )
        association.send(message.context.id, answer)


def keep(objects: Iterable[bytes]) -> list[Kept]:
    """Part 10 files as instances of an archive."""
    return [_kept(data) for data in objects]


def _kept(data: bytes) -> Kept:
    header = read_header(data)
    levels = header.attributes
    record = {**levels.patient, **levels.study, **levels.series, **levels.instance}
    values = {int(key, 16): _joined(record, int(key, 16)) for key in record}
    dataset = data[header.layout.dataset_offset :]
    return Kept(header.uids, header.sop_class_uid, header.transfer_syntax_uid, values, dataset)


def study_of(
    series: int = 1, images: int = 3, study: str = "", day: str = "20240102", **others: str
) -> list[bytes]:
    """The files of a study: `series` series of `images` images, numbered from 1."""
    study = study or samples.new_uid()
    return [
        samples.ct_at(
            study,
            f"{study}.{number}",
            f"{study}.{number}.{image}",
            **{"StudyDate": day, "SeriesNumber": number, "InstanceNumber": image, **others},
        )
        for number in range(1, series + 1)
        for image in range(1, images + 1)
    ]


def _joined(record: Record, tag: int) -> str:
    return "\\".join(tags.texts(record, tag))


def _value(kept: Kept, tag: int) -> str:
    """What a key is compared with."""
    return kept.values.get(tags.MODALITY if tag == tags.MODALITIES_IN_STUDY else tag, "")


def _fits(tag: int, value: str, key: str) -> bool:
    if tag in _UNIQUE:
        return value in key.split("\\")
    if tag in _RANGES and "-" in key:
        first, _, last = key.partition("-")
        return bool(value) and (not first or value >= first) and (not last or value <= last)
    return fnmatchcase(value, key) if "*" in key else value == key


def _even(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)
