"""Calls of pixel codecs, done in processes that may crash, hang or grow without harm to anybody else."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar, cast

from vna import metrics
from vna.config_decoding import DecodingConfig
from vna.decoder_host import FAULT, RETURNED
from vna.errors import DecoderFailed, Unavailable, VnaError
from vna.interrupts import check_interrupt, current_interrupt
from vna.services.decoder_process import Answer, DecoderHost, DecoderProcess

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

WAIT_SECONDS = 30.0
"""How long a call waits for a free decoder."""

JAM_SECONDS = 2.0
"""When no decoder has become free for so long, all but a few calls are told to come later: threads that wait
for decoders that hang are missed by everybody who wants none."""

_PATIENT = 2
"""So many calls for each decoder wait through a jam."""

_MOST_BY_DEFAULT = 4


class Decoding(Protocol):
    """Does calls of `vna.dicom`, somewhere."""

    def call(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """What `function` returns, or its VnaError."""
        ...


class InProcess:
    """Does calls where it is asked: for tests and commands that trust what they read."""

    def call(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """What `function` returns; whatever it raises."""
        return function(*args, **keywords)


class Decoders:
    """Decoder processes, shared by the threads of a process.

    The first call starts them, and those that have had nothing to do for `idle_seconds` are let go.
    """

    def __init__(self, settings: DecodingConfig) -> None:
        self._settings = settings
        self._most = settings.processes or min(os.cpu_count() or 1, _MOST_BY_DEFAULT)
        self._host = DecoderHost(settings)
        self._changed = threading.Condition()
        self._idle: list[tuple[float, DecoderProcess]] = []
        self._busy: set[DecoderProcess] = set()
        self._ordered = self._patient = 0
        self._moved = time.monotonic()
        self._closing = threading.Event()
        self._caretaker: threading.Thread | None = None

    def call(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """What `function`, one at the top of a module, returns in a decoder process, or its VnaError.

        Arguments and result are copied: values, bytes or memoryviews. Raises DecoderFailed when the process crashes,
        takes longer than `seconds` or more memory than `memory_bytes`; Unavailable when none is free; Abandoned when
        the work of this thread is called off meanwhile, which ends the process.
        """
        try:
            decoder = self._take(function.__module__)
            with metrics.DECODING_SECONDS.labels(function.__name__).time():
                answer = self._ask(decoder, function, args, keywords)
            return cast("T", _result(answer, function.__name__))
        except DecoderFailed as exc:
            metrics.DECODER_FAILURES.labels(exc.reason).inc()
            raise
        except Unavailable:
            metrics.DECODER_FAILURES.labels("unavailable").inc()
            raise

    def close(self) -> None:
        """End all; calls that are being done fail with Unavailable."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
            for decoder in self._busy:
                decoder.kill()
            caretaker = self._caretaker
        if caretaker is not None:
            caretaker.join()
        self._let_go(0.0)
        self._host.stop()

    def _ask(
        self,
        decoder: DecoderProcess,
        function: Callable[..., object],
        args: tuple[object, ...],
        keywords: dict[str, object],
    ) -> Answer:
        is_spent = True
        try:
            with _when_interrupted(decoder.kill):
                answer = decoder.ask(function, args, keywords)
            is_spent = answer.is_spent or decoder.is_killed
        except Unavailable:
            check_interrupt()
            self._let_go(0.0)  # without their host all will end
            raise
        finally:
            self._give(decoder, is_spent=is_spent)
        return answer

    # --- the pool ---------------------------------------------------------------------------------

    def _take(self, module: str) -> DecoderProcess:
        """A decoder that nobody else asks. Raises Unavailable."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with _when_interrupted(self._wake):
                decoder = self._await_turn(deadline)
            if decoder is None:
                return self._order(module)
            if not decoder.has_left():
                return decoder
            self._give(decoder, is_spent=True)

    def _await_turn(self, deadline: float) -> DecoderProcess | None:
        """An idle decoder; None when another may be ordered, which counts already."""
        with self._changed:
            is_patient = self._patient < _PATIENT * self._most
            self._patient += is_patient
            try:
                while not self._is_turn():
                    self._wait(deadline, is_patient=is_patient)
            except VnaError:
                self._changed.notify()  # what woke this thread may be good for another
                raise
            finally:
                self._patient -= is_patient
            self._moved = time.monotonic()
            if not self._idle:
                self._ordered += 1
                return None
            _, decoder = self._idle.pop()
            self._busy.add(decoder)
            return decoder

    def _is_turn(self) -> bool:
        """Whether there is a decoder, or room for one. Raises Unavailable, Abandoned."""
        if self._closing.is_set():
            raise Unavailable("the archive is being stopped")
        check_interrupt()
        return bool(self._idle) or len(self._busy) + self._ordered < self._most

    def _wait(self, deadline: float, *, is_patient: bool) -> None:
        """For a change, or until it is worth while to look again. Raises Unavailable when it is too long."""
        now = time.monotonic()
        jam = deadline if is_patient or self._ordered else self._moved + JAM_SECONDS
        if min(deadline, jam) <= now:
            raise Unavailable("no decoder is free: too much is to be decoded at a time")
        self._changed.wait(min(deadline, jam, now + JAM_SECONDS) - now)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _order(self, module: str) -> DecoderProcess:
        decoder = None
        try:
            decoder = self._host.order(module)
        finally:
            with self._changed:
                self._ordered -= 1
                self._moved = time.monotonic()
                if decoder is not None:
                    self._busy.add(decoder)
                    metrics.DECODERS.inc()
                self._changed.notify()
        return decoder

    def _give(self, decoder: DecoderProcess, *, is_spent: bool) -> None:
        """Back into the pool, or out of it for good."""
        with self._changed:
            self._busy.discard(decoder)
            self._moved = time.monotonic()
            is_spent = is_spent or self._closing.is_set()
            if not is_spent:
                self._idle.append((time.monotonic(), decoder))
                self._look_after()
            self._changed.notify()
        if is_spent:
            _end(decoder)

    def _look_after(self) -> None:
        """Have a thread let idle decoders go; it ends with the last of them."""
        if self._caretaker is None and not self._closing.is_set():
            self._caretaker = threading.Thread(target=self._care, name="decoders", daemon=True)
            self._caretaker.start()

    def _care(self) -> None:
        idle_seconds = self._settings.idle_seconds
        while not self._closing.wait(idle_seconds / 2):
            if not self._let_go(idle_seconds):
                return

    def _let_go(self, idle_seconds: float) -> bool:
        """End those that have been idle for so long, and the host after the last. Whether any are left."""
        since = time.monotonic() - idle_seconds
        with self._changed:
            gone = [decoder for moment, decoder in self._idle if moment <= since]
            self._idle = [(moment, decoder) for moment, decoder in self._idle if moment > since]
            for decoder in gone:
                _end(decoder)
            if self._idle or self._busy or self._ordered:
                return True
            self._host.stop()
            self._caretaker = None
            return False


def _when_interrupted(action: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
    """Within this, `action` is done when nobody waits for the work of this thread any more."""
    interrupt = current_interrupt()
    return contextlib.nullcontext() if interrupt is None else interrupt.during(action)


def _end(decoder: DecoderProcess) -> None:
    decoder.close()
    metrics.DECODERS.dec()


def _result(answer: Answer, name: str) -> object:
    if answer.kind == RETURNED:
        return answer.value
    if isinstance(answer.value, VnaError):
        raise answer.value
    log.error(
        "a decoder failed in %s; this is a fault of the archive, please report it:\n%s",
        name,
        answer.value,
    )
    raise DecoderFailed(f"the decoder failed: {_last_line(answer.value)}", FAULT)


def _last_line(text: object) -> str:
    lines = str(text).strip().splitlines() or [""]
    return lines[-1][:300]
