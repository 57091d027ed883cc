"""C-FIND on one association that is opened anew when the source drops it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Self, cast

from vna.dimse import scu
from vna.dimse.association import Association
from vna.migration import dicom_keys as tags
from vna.migration.dicom_keys import Record, encode_keys, read_record
from vna.migration.dicom_link import IDENTIFIER_SYNTAXES, DicomLink
from vna.migration.sources.base import SourceError
from vna.migration.sweep import Truncated

_Answers = Generator[scu.Answer, None, None]

SUCCESS, CANCELLED = 0x0000, 0xFE00
OUT_OF_RESOURCES = frozenset(range(0xA700, 0xA800))


class Finder:
    """Asks one question after the other; for one thread. Close it."""

    def __init__(self, link: DicomLink) -> None:
        self._link = link
        self._association: Association | None = None

    def find(self, level: str, keys: Mapping[int, str]) -> Generator[Record]:
        """The answers, as they come. Closing the iterator early cancels the question.

        Raises Truncated behind the last one when the source breaks off, or ends with anything but success; where it
        gave nothing at all SourceUnavailable, SourceBusy or SourceError, except that a refusal which may be for the
        breadth of the question (0xA7xx, 0xCxxx) is Truncated, too.
        """
        count = 0
        answers = self._started(level, keys)
        try:
            with self._link.errors():
                for answer in answers:
                    if answer.is_pending:
                        count += 1
                        yield read_record(answer.data, answer.transfer_syntax)
                    elif answer.command.status not in {SUCCESS, CANCELLED}:
                        raise self._failed(answer, count)
        except SourceError as exc:
            if not isinstance(exc, Truncated):
                self.close()
            if count and exc.transient:
                raise Truncated(f"{exc} after {count} results") from exc
            raise
        finally:
            answers.close()

    def close(self) -> None:
        """Release the association; the next question opens another."""
        association, self._association = self._association, None
        if association is not None:
            association.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _started(self, level: str, keys: Mapping[int, str]) -> _Answers:
        """The responses; asked once more when an association that was idle turns out to be gone."""
        is_fresh = self._association is None or self._association.is_over
        answers = self._asked(level, keys)
        try:
            with self._link.errors():
                first = next(answers)
        except SourceError:
            self.close()
            if is_fresh:
                raise
            answers = self._asked(level, keys)
            with self._link.errors():
                first = next(answers)
        return _chained(first, answers)

    def _asked(self, level: str, keys: Mapping[int, str]) -> _Answers:
        association = self._association
        if association is None or association.is_over:
            contexts = [(self._link.find_class, IDENTIFIER_SYNTAXES)]
            association = self._association = self._link.request(contexts)
        with self._link.errors():
            context = association.context_for(self._link.find_class)
            identifier = encode_keys({**keys, tags.LEVEL: level}, context.transfer_syntax)
            return _closable(scu.find(association, self._link.find_class, identifier))

    def _failed(self, answer: scu.Answer, count: int) -> SourceError:
        status, comment = answer.command.status or 0, answer.command.error_comment
        told = f"C-FIND ended with status 0x{status:04X} {comment}".rstrip()
        if count or status in OUT_OF_RESOURCES or status >> 12 == 0xC:
            return Truncated(f"{self._link.name}: {told} after {count} results")
        return SourceError(f"{self._link.name}: {told}")


def _chained(first: scu.Answer, rest: _Answers) -> _Answers:
    try:
        yield first
        yield from rest
    finally:
        rest.close()


def _closable(answers: Iterator[scu.Answer]) -> _Answers:
    """`answers` as the generator that it is, whose end cancels the operation."""
    return cast("_Answers", answers)
