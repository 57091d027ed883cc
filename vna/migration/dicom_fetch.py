"""One fetch by C-MOVE or C-GET: its requests, how each of them ended, and what came."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.errors import AssociationEnded
from vna.dimse.message import Message
from vna.dimse.negotiation import RoleSelection
from vna.migration import dicom_keys as tags
from vna.migration.dicom_contexts import lone_contexts, storage_contexts
from vna.migration.dicom_keys import encode_keys
from vna.migration.dicom_link import IDENTIFIER_SYNTAXES, Context, DicomLink
from vna.migration.dicom_receive import receive
from vna.migration.dicom_requests import Keys, Request, narrower, requests
from vna.migration.move_listener import MoveListener
from vna.migration.reception import Reception
from vna.migration.sources.base import ShouldStop, SourceError, SourceUnavailable
from vna.migration.watch import Watch
from vna.model.migration import FetchReport, FoundInstance, FoundStudy
from vna.spool import Spool

SUCCESS = 0x0000
DESTINATION_UNKNOWN = 0xA801
BUSY = frozenset({0xA700, 0xA701, 0xA702})
_MOST_IN_VAIN = 50
"""So often in a row a source may break off before no more is asked for."""
_DAY = 86_400.0
"""How long an association may be silent: objects that arrive elsewhere count, which the Watch knows."""


@dataclass(frozen=True, slots=True)
class _Channel:
    """How requests of one kind are sent: over which association, and as which message."""

    association: Association
    sop_class_uid: str
    message_id: int
    send: Callable[[bytes], Iterator[scu.Answer]]

    def cancel(self) -> None:
        """Ask for the end of what is under way; from any thread."""
        with contextlib.suppress(AssociationEnded):
            context = self.association.context_for(self.sop_class_uid)
            scu.cancel(self.association, context.id, self.message_id)


Opened = Callable[[], contextlib.AbstractContextManager[_Channel]]
"""Opens an association for requests, which ends with the block."""


class DicomFetch:
    """For one call of `fetch`; raises SourceError and its children, and what `take` raised stays in the reception."""

    def __init__(
        self,
        link: DicomLink,
        study: FoundStudy,
        reception: Reception,
        should_stop: ShouldStop,
        known: Sequence[FoundInstance] = (),
    ) -> None:
        """`known`: all that is listed of the study, () when that is not known."""
        self._link, self._study, self._reception = link, study, reception
        self._should_stop, self._known = should_stop, known
        self._is_move = link.options.retrieve == "move"
        self._silent: list[Request] = []
        self._alone: set[str] = set()
        self._said: dict[str, None] = {}
        self._was_busy = self._was_stopped = self._was_success = self._was_failed = False

    def report(self) -> FetchReport:
        """What happened."""
        return self._reception.report(
            "; ".join(self._said), was_busy=self._was_busy, was_stopped=self._was_stopped
        )

    def move(self, wanted: Sequence[FoundInstance], listener: MoveListener) -> None:
        """By C-MOVE to `listener`; after a Success that came too early the rest is waited for."""
        caller = self._link.options.calling_ae_title
        with listener.expecting(self._reception, wanted, caller) as message_id:
            try:
                self._retrieve(partial(self._moving, listener, message_id), wanted)
            except _UnknownDestination as exc:
                raise SourceError(
                    f"{self._link.name} does not know the C-MOVE destination {listener.ae_title}: have it added there "
                    f"with port {listener.address[1]} of this machine, or set move_destinations"
                ) from exc

    def get(self, wanted: Sequence[FoundInstance], spool: Spool) -> None:
        """By C-GET, over as many associations as the contexts need."""
        for contexts, instances in storage_contexts(wanted):
            due = [found for found in instances if self._reception.is_missing(found)]
            if self._is_over():
                return
            if due:
                self._retrieve(partial(self._getting, contexts, spool), due)
        for contexts in lone_contexts(wanted) if self._was_failed else ():
            proposed = {name for name, _ in contexts}
            due = [found for found in wanted if self._reception.is_missing(found)]
            due = [found for found in due if found.sop_class_uid in {"", *proposed}]
            if due and not self._is_over():
                self._retrieve(partial(self._getting, contexts, spool), due)

    def _retrieve(self, opened: Opened, wanted: Sequence[FoundInstance]) -> None:
        """By as few requests as it takes; what these leave behind one by one, as far as it was not asked for so."""
        broken: _BrokeOff | None = None
        before = self._reception.missing
        try:
            with opened() as channel:
                self._ask_all(channel, wanted)
                self._settle()
                if self._ask_silent(channel):
                    self._settle()
        except _BrokeOff as exc:
            broken = exc
        # By C-GET nothing at all comes where no context fits: that is the same for each of them.
        has_come = self._reception.missing < before or self._is_move
        if broken is not None or (self._was_failed and has_come):
            self._ask_alone(opened, wanted)
        if broken is not None and self._reception.missing == before:
            raise broken

    def _ask_alone(self, opened: Opened, wanted: Sequence[FoundInstance]) -> None:
        """Each instance that is missing; one over which the source breaks off costs no other."""
        missing = (found for found in wanted if self._reception.is_missing(found))
        left = [f for f in missing if f.uids.sop_instance_uid not in self._alone][::-1]
        in_vain = 0
        while left and in_vain < _MOST_IN_VAIN and not self._is_over():
            before, uid = self._reception.missing, ""
            try:
                with opened() as channel:
                    while left:
                        found = left.pop()
                        uid = found.uids.sop_instance_uid
                        if self._reception.is_missing(found):
                            keys = {tags.LEVEL: "SERIES", **self._above()}
                            for request in narrower(keys, [found]):
                                self._ask(channel, *request)
                    self._settle()
            except _BrokeOff as exc:
                self._reception.failed(uid, str(exc))
                in_vain = in_vain + 1 if self._reception.missing == before else 0

    @contextlib.contextmanager
    def _moving(self, listener: MoveListener, message_id: int) -> Iterator[_Channel]:
        uid = self._link.move_class
        with self._link.association([(uid, IDENTIFIER_SYNTAXES)], idle=_DAY) as association:

            def send(identifier: bytes) -> Iterator[scu.Answer]:
                return scu.move(association, uid, identifier, listener.ae_title, message_id)

            yield _Channel(association, uid, message_id, send)

    @contextlib.contextmanager
    def _getting(self, contexts: Sequence[Context], spool: Spool) -> Iterator[_Channel]:
        classes = dict.fromkeys(name for name, _ in contexts)
        roles = [RoleSelection(name, scu=False, scp=True) for name in classes]
        proposed = [(self._link.get_class, IDENTIFIER_SYNTAXES), *contexts]
        with self._link.association(proposed, roles, _DAY) as association:
            yield self._get_channel(association, spool)

    def _get_channel(self, association: Association, spool: Spool) -> _Channel:
        uid, message_id = self._link.get_class, association.next_message_id()

        def store(message: Message) -> int:
            return receive(message, spool, self._reception, association.called_ae_title)

        def send(identifier: bytes) -> Iterator[scu.Answer]:
            return scu.get(association, uid, identifier, store, message_id)

        return _Channel(association, uid, message_id, send)

    def _above(self) -> Keys:
        above = {tags.STUDY_INSTANCE_UID: self._study.study_instance_uid}
        if self._link.options.model == "patient":
            above[tags.PATIENT_ID] = self._study.patient_id
        return above

    def _ask_all(self, channel: _Channel, wanted: Sequence[FoundInstance]) -> None:
        with_patient = self._link.options.model == "patient"
        for request in requests(self._study, wanted, self._known, with_patient=with_patient):
            self._ask(channel, *request)

    def _ask(self, channel: _Channel, keys: Keys, instances: list[FoundInstance]) -> None:
        """One request; what it is refused for is asked for in narrower ones."""
        context = channel.association.context_for(channel.sop_class_uid)
        before = self._reception.missing
        if keys[tags.LEVEL] == "IMAGE" and len(instances) == 1:
            self._alone.add(instances[0].uids.sop_instance_uid)
        is_refused = self._asked(channel, encode_keys(keys, context.transfer_syntax))
        if self._reception.missing < before:
            return
        if is_refused:
            for request in narrower(keys, instances):
                self._ask(channel, *request)
        elif keys[tags.LEVEL] == "SERIES":
            self._silent.append((keys, instances))

    def _ask_silent(self, channel: _Channel) -> bool:
        """Ask for the instances of series that were promised, and of which none came; whether there are any."""
        silent, self._silent = self._silent, []
        silent = [r for r in silent if all(self._reception.is_missing(found) for found in r[1])]
        for keys, instances in silent:
            for request in narrower(keys, instances):
                self._ask(channel, *request)
        return bool(silent)

    def _settle(self) -> None:
        if self._is_move and self._was_success and not self._is_over():
            self._reception.settle(self._link.options.settle_time, self._should_stop)

    def _asked(self, channel: _Channel, identifier: bytes) -> bool:
        """Whether the source refused the request as such; nothing is asked any more when all is to end."""
        if self._is_over():
            return False
        final: Command | None = None
        patience = self._link.options.response_timeout
        association = channel.association
        with Watch(self._is_over, channel.cancel, association.interrupt, patience) as watch:
            self._reception.on_sign = watch.sign
            try:
                for answer in channel.send(identifier):
                    watch.sign()
                    final = answer.command
            except AssociationEnded as exc:
                if not watch.was_stopped:
                    if not watch.was_silent:
                        raise _BrokeOff(f"{self._link.name}: {exc}") from exc
                    raise SourceUnavailable(
                        f"{self._link.name}: silent for {patience:.0f} s"
                    ) from exc
        self._was_stopped |= watch.was_stopped and self._reception.error is None
        return final is not None and self._is_refused(final)

    def _is_refused(self, final: Command) -> bool:
        status = final.status or 0
        if status == DESTINATION_UNKNOWN:
            raise _UnknownDestination
        # 0xA702 is also what all failed sub-operations end with (PS3.4 C.4.2.1.5): those were tried.
        was_tried = bool(final.number_of_failed_suboperations)
        self._was_failed |= was_tried
        self._was_busy |= status in BUSY and not was_tried
        self._was_success |= status == SUCCESS
        counts = (
            final.number_of_completed_suboperations,
            final.number_of_failed_suboperations,
            final.number_of_warning_suboperations,
        )
        told = "/".join("?" if count is None else str(count) for count in counts)
        self._said[f"0x{status:04X} {told} {final.error_comment}".rstrip()] = None
        return status >> 12 in {0xA, 0xC} and status not in BUSY

    def _is_over(self) -> bool:
        return self._was_stopped or self._reception.error is not None or self._should_stop()


class _BrokeOff(SourceUnavailable):
    """An association ended in the middle of a request: the source is gone, or can't give one of the objects."""


class _UnknownDestination(Exception):
    """Status 0xA801 (PS3.4 C.4.2.1.5)."""
