"""What is told of a client that has gone: a status of its own, and no error."""

from __future__ import annotations

import logging

import pytest
from flask import Flask, Response

from dicomweb.bodies import Chunks, Stream
from dicomweb.context import watch_requests
from dicomweb.errors import handle_errors
from vna.errors import Abandoned, Corrupt
from vna.interrupts import Interrupt, check_interrupt, interruptible


def app() -> Flask:
    made = Flask("x")
    watch_requests(made, lambda: "")
    handle_errors(made)

    def chunks() -> Chunks:
        yield b"one"
        check_interrupt()
        yield b"two"

    def checked() -> str:
        check_interrupt()
        return "done"

    made.add_url_rule("/checked", "checked", checked)
    made.add_url_rule("/streamed", "streamed", lambda: Response(Stream(chunks(), "")))
    return made


def test_work_for_nobody_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    interrupt = Interrupt()
    interrupt.set()
    with interruptible(interrupt):
        response = app().test_client().get("/checked", buffered=True)
    assert (response.status_code, response.data) == (499, b"")
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert vars(caplog.records[0])["status"] == 499


def test_a_stream_for_nobody_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    interrupt = Interrupt()
    with interruptible(interrupt):
        response = app().test_client().get("/streamed")
        pieces = response.iter_encoded()
        assert next(pieces) == b"one"
        interrupt.set()
        with pytest.raises(Abandoned):
            next(pieces)
        response.close()
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_a_stream_that_breaks_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    def chunks() -> Chunks:
        yield b"one"
        raise Corrupt("object a is damaged")

    stream = Stream(chunks(), "id")
    assert next(stream) == b"one"
    with pytest.raises(Corrupt):
        next(stream)
    assert "object a is damaged" in caplog.text
