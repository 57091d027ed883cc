"""An answer of a decoder makes values and nothing else, whatever a decoder that was taken over says."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.config_decoding import DecodingConfig
from vna.decoder_host import PROTOCOL, RETURNED
from vna.dicom.decode import DecodedFrame
from vna.errors import Unsupported, VnaError
from vna.model.frames import NativeFrames
from vna.services.decoder_process import Answer, DecoderProcess, environment


class Reduced:
    """Pickles as a call."""

    def __init__(self, function: object, *args: object) -> None:
        self._call = function, args

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._call


def answer_to(data: bytes) -> Answer:
    """What is made of `data` when a decoder says it, and then ends."""
    ours, theirs = socket.socketpair()
    leash, host = socket.socketpair()
    decoder = DecoderProcess(ours, leash, DecodingConfig())
    with theirs, host:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        host.close()
        try:
            return decoder.ask(len, ("",), {})
        finally:
            decoder.close()


@pytest.mark.parametrize(
    "value",
    [
        b"x" * 100_000,
        "text",
        ["a", 1, 2.5, None, {"b": (1, 2)}],
        DecodedFrame(b"x", "RGB", 0),
        NativeFrames(1, 2, 3, 4),
    ],
)
def test_values_come_through(value: object) -> None:
    data = pickle.dumps((RETURNED, value, False), PROTOCOL)
    assert answer_to(data) == Answer(RETURNED, value, is_spent=False)


def test_errors_come_through() -> None:
    answer = answer_to(pickle.dumps(("raised", Unsupported("why"), False), PROTOCOL))
    assert isinstance(answer.value, Unsupported)
    assert str(answer.value) == "why"


@pytest.mark.parametrize(
    "call",
    [
        Reduced(os.system, "true"),
        Reduced(eval, "1"),
        Reduced(subprocess.Popen, "true"),
        Reduced(Path, "/"),
        Reduced(getattr, b"", "join"),
    ],
)
def test_nothing_is_called(call: Reduced, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle.dumps((RETURNED, call, False), PROTOCOL)
    with pytest.raises(VnaError):
        answer_to(data)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("vna.dicom.decode", "decode_frame"),
        ("vna.dicom.decode", "np"),
        ("vna.dicom.decode", "UID"),
        ("vna.dicom.pixels", "io.BytesIO"),
        ("vna.spool", "Spool"),
        ("vna.errors", "__builtins__"),
    ],
)
def test_names_that_are_no_values_are_refused(module: str, name: str) -> None:
    text = f"\x80\x04\x8c{chr(len(module))}{module}\x8c{chr(len(name))}{name}\x93.".encode(
        "latin-1"
    )
    with pytest.raises(VnaError):
        answer_to(text)


@given(st.binary(max_size=200))
def test_noise_is_an_error(data: bytes) -> None:
    # It may announce more bytes than any machine has memory for.
    with contextlib.suppress(VnaError, MemoryError):
        answer_to(data)


def test_an_answer_that_breaks_off_is_none() -> None:
    data = pickle.dumps((RETURNED, b"x" * 200_000, False), PROTOCOL)
    for stop in (0, 1, 10, 100, 100_000, len(data) - 1):
        with pytest.raises(VnaError):
            answer_to(data[:stop])


def test_only_harmless_variables_are_handed_on() -> None:
    given_here = {"PATH": "/bin", "LC_ALL": "C", "VNA__DATABASE__URL": "x", "AWS_SECRET": "y"}
    handed_on = environment(given_here)
    assert (handed_on["PATH"], handed_on["LC_ALL"]) == ("/bin", "C")
    assert not {"VNA__DATABASE__URL", "AWS_SECRET"} & handed_on.keys()
