"""Content codings: chosen by quality, applied to texts alone, undone to the same."""

from __future__ import annotations

import gzip
from functools import partial

import pytest
import zstandard
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dicomweb.bodies import Chunks, Stream
from dicomweb.codings import chosen_coding, code_answers
from tests import samples
from tests.dicomweb.conftest import Keep
from tests.dicomweb.multiparts import ROOT

TEXT = b'{"a": "' + b"b" * 100_000 + b'"}'


def undone(response: TestResponse) -> bytes:
    data = response.get_data()
    match response.headers.get("Content-Encoding"):
        case "gzip":
            return gzip.decompress(data)
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        case None:
            return data
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "gzip"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0.5, zstd;q=0.6", "zstd"),
        ("gzip;q=0", ""),
        ("gzip;q=0, zstd", "zstd"),
        ("*", "gzip"),
        ("*;q=0", ""),
        ("identity", ""),
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("br, deflate", ""),
        ("gzip;q=x", ""),
        (",,;q=1, gzip", "gzip"),
    ],
)
def test_the_coding_that_the_client_likes_best(header: str, coding: str) -> None:
    with Flask("x").test_request_context(headers={"Accept-Encoding": header}):
        assert chosen_coding() == coding


@pytest.fixture
def coded() -> FlaskClient:
    app = Flask("x")

    def chunks() -> Chunks:
        for start in range(0, len(TEXT), 1000):
            yield TEXT[start : start + 1000]

    app.add_url_rule(
        "/streamed",
        view_func=lambda: Response(Stream(chunks(), ""), mimetype="application/dicom+json"),
    )
    whole = partial(Response, TEXT, mimetype="application/json")
    app.add_url_rule("/whole", "whole", whole)
    app.add_url_rule("/bytes", "bytes", partial(Response, TEXT, mimetype="image/jpeg"))
    app.add_url_rule("/short", "short", lambda: Response(b"{}", mimetype="application/json"))
    app.add_url_rule("/part", "part", lambda: Response(TEXT, 206, mimetype="application/json"))
    code_answers(app)
    return app.test_client()


@pytest.mark.parametrize("path", ["/streamed", "/whole"])
@pytest.mark.parametrize("coding", ["gzip", "zstd", None])
def test_texts_are_coded(coded: FlaskClient, path: str, coding: str | None) -> None:
    response = coded.get(path, headers={"Accept-Encoding": coding or "identity"})
    assert response.headers.get("Content-Encoding") == coding
    assert undone(response) == TEXT
    assert "Accept-Encoding" in response.headers["Vary"]
    if path == "/whole":
        assert response.content_length == len(response.data)


@pytest.mark.parametrize("path", ["/bytes", "/short", "/part"])
def test_what_is_not_coded(coded: FlaskClient, path: str) -> None:
    response = coded.get(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize(
    "header", ["gzip, identity;q=0", "gzip, *;q=0", "identity;q=0.0, x-gzip;q=0.2"]
)
def test_a_short_answer_is_coded_for_who_takes_nothing_else(
    coded: FlaskClient, header: str
) -> None:
    response = coded.get("/short", headers={"Accept-Encoding": header})
    assert response.headers["Content-Encoding"] == "gzip"
    assert undone(response) == b"{}"


def test_head_of_a_coded_answer(coded: FlaskClient) -> None:
    response = coded.head("/streamed", headers={"Accept-Encoding": "gzip"})
    assert (response.status_code, response.data) == (200, b"")


def test_a_search_comes_compressed(client: FlaskClient, keep: Keep) -> None:
    keep(*[samples.small() for _ in range(20)])
    plain = client.get(f"{ROOT}/instances").get_json()
    for coding in ("gzip", "zstd"):
        response = client.get(f"{ROOT}/instances", headers={"Accept-Encoding": coding})
        assert response.headers["Content-Encoding"] == coding
        assert Response(undone(response), mimetype="application/json").get_json() == plain
