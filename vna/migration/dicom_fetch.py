"""One fetch by C-MOVE or C-GET: its requests, how each of them ended, and what came."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.errors import AssociationEnded
from vna.dimse.message import Message
from vna.dimse.negotiation import RoleSelection
from vna.migration import dicom_keys as tags
from vna.migration.dicom_contexts import storage_contexts
from vna.migration.dicom_keys import encode_keys
from vna.migration.dicom_link import IDENTIFIER_SYNTAXES, DicomLink
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
        self._silent: list[Request] = []
        self._said: dict[str, None] = {}
        self._was_busy = self._was_stopped = self._was_success = False

    def report(self) -> FetchReport:
        """What happened."""
        return self._reception.report(
            "; ".join(self._said), was_busy=self._was_busy, was_stopped=self._was_stopped
        )

    def move(self, wanted: Sequence[FoundInstance], listener: MoveListener) -> None:
        """By C-MOVE to `listener`; after a Success that came too early the rest is waited for."""
        uid, caller = self._link.move_class, self._link.options.calling_ae_title
        with (
            listener.expecting(self._reception, wanted, caller) as message_id,
            self._link.association([(uid, IDENTIFIER_SYNTAXES)], idle=_DAY) as association,
        ):

            def send(identifier: bytes) -> Iterator[scu.Answer]:
                return scu.move(association, uid, identifier, listener.ae_title, message_id)

            channel = _Channel(association, uid, message_id, send)
            try:
                self._ask_all(channel, wanted)
            except _UnknownDestination as exc:
                raise SourceError(
                    f"{self._link.name} does not know the C-MOVE destination {listener.ae_title}: have it added there "
                    f"with port {listener.address[1]} of this machine, or set move_destinations"
                ) from exc
            self._settle()
            if self._ask_silent(channel):
                self._settle()

    def get(self, wanted: Sequence[FoundInstance], spool: Spool) -> None:
        """By C-GET, over as many associations as the contexts need."""
        uid = self._link.get_class
        for contexts, instances in storage_contexts(wanted):
            due = [found for found in instances if self._reception.is_missing(found)]
            if self._is_over():
                return
            if not due:
                continue
            classes = dict.fromkeys(name for name, _ in contexts)
            roles = [RoleSelection(name, scu=False, scp=True) for name in classes]
            proposed = [(uid, IDENTIFIER_SYNTAXES), *contexts]
            with self._link.association(proposed, roles, _DAY) as association:
                channel = self._get_channel(association, spool)
                self._ask_all(channel, due)
                self._ask_silent(channel)

    def _get_channel(self, association: Association, spool: Spool) -> _Channel:
        uid, message_id = self._link.get_class, association.next_message_id()

        def store(message: Message) -> int:
            return receive(message, spool, self._reception, association.called_ae_title)

        def send(identifier: bytes) -> Iterator[scu.Answer]:
            return scu.get(association, uid, identifier, store, message_id)

        return _Channel(association, uid, message_id, send)

    def _ask_all(self, channel: _Channel, wanted: Sequence[FoundInstance]) -> None:
        with_patient = self._link.options.model == "patient"
        for request in requests(self._study, wanted, self._known, with_patient=with_patient):
            self._ask(channel, *request)

    def _ask(self, channel: _Channel, keys: Keys, instances: list[FoundInstance]) -> None:
        """One request; what it is refused for is asked for in narrower ones."""
        context = channel.association.context_for(channel.sop_class_uid)
        before = self._reception.missing
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
        if self._was_success and not self._is_over():
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
                    why = f"silent for {patience:.0f} s" if watch.was_silent else str(exc)
                    raise SourceUnavailable(f"{self._link.name}: {why}") from exc
        self._was_stopped |= watch.was_stopped and self._reception.error is None
        return final is not None and self._is_refused(final)

    def _is_refused(self, final: Command) -> bool:
        status = final.status or 0
        if status == DESTINATION_UNKNOWN:
            raise _UnknownDestination
        # 0xA702 is also what all failed sub-operations end with (PS3.4 C.4.2.1.5): those were tried.
        was_tried = bool(final.number_of_failed_suboperations)
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


class _UnknownDestination(Exception):
    """Status 0xA801 (PS3.4 C.4.2.1.5)."""
