"""What one client may ask for: at once, and in a while."""

from __future__ import annotations

import io

import pytest

from dicomweb.errors import ContentTooLarge, TooManyRequests
from dicomweb.limits import BURST_SECONDS, BoundedInput, ClientLimits
from tests.dicomweb.conftest import Archive
from tests.dicomweb.multiparts import ROOT, problem
from vna.config import WebConfig


def test_so_many_at_once_and_no_more() -> None:
    limits = ClientLimits(2, 0)
    limits.enter("a")
    limits.enter("a")
    with pytest.raises(TooManyRequests):
        limits.enter("a")
    limits.enter("b")
    limits.leave("a")
    limits.enter("a")


def test_so_many_in_a_while() -> None:
    now = [0.0]
    limits = ClientLimits(0, 2, lambda: now[0])
    for _ in range(int(2 * BURST_SECONDS)):
        limits.enter("a")
    with pytest.raises(TooManyRequests) as refused:
        limits.enter("a")
    assert refused.value.seconds == 1
    limits.enter("b")
    now[0] = 0.5
    limits.enter("a")
    with pytest.raises(TooManyRequests):
        limits.enter("a")


def test_a_slow_rate_says_when_to_come_again() -> None:
    limits = ClientLimits(0, 0.01, lambda: 0.0)
    limits.enter("a")
    with pytest.raises(TooManyRequests) as refused:
        limits.enter("a")
    assert refused.value.seconds == 100


def test_strangers_without_number_take_no_memory_without_bound() -> None:
    limits = ClientLimits(5, 1, lambda: 0.0)
    for number in range(20_000):
        limits.enter(str(number))
        limits.leave(str(number))
    assert len(limits._spent) <= 10_000
    assert not limits._open


def test_the_gateway_refuses_with_a_time_to_come_again(archive: Archive) -> None:
    client = archive.app(WebConfig(max_request_rate=0.1)).test_client()
    assert client.get(f"{ROOT}/studies").status_code == 200
    refused = client.get(f"{ROOT}/studies")
    problem(refused, 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert "Access-Control-Allow-Origin" not in refused.headers
    other = {"REMOTE_ADDR": "192.0.2.9"}
    assert client.get(f"{ROOT}/studies", environ_overrides=other).status_code == 200


def test_health_checks_are_never_too_many(archive: Archive) -> None:
    client = archive.app(WebConfig(max_request_rate=0.1, max_requests_per_client=1)).test_client()
    for _ in range(5):
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
    assert client.get(f"{ROOT}/studies").status_code == 200


def test_an_answer_counts_until_it_is_sent(archive: Archive) -> None:
    client = archive.app(WebConfig(max_requests_per_client=1)).test_client()
    first = client.get(f"{ROOT}/studies")
    problem(client.get(f"{ROOT}/studies"), 429)
    first.close()
    for path in (f"{ROOT}/studies", f"{ROOT}/studies/9.9", f"{ROOT}/studies"):
        client.get(path, buffered=True)
    assert client.get(f"{ROOT}/studies").status_code == 200


def test_a_body_that_is_too_long_is_refused_before_it_is_read(archive: Archive) -> None:
    client = archive.app(WebConfig(max_body_bytes=1000)).test_client()
    headers = {"Content-Type": "application/dicom"}
    problem(client.post(f"{ROOT}/studies", data=bytes(1001), headers=headers), 413)
    assert archive.spooled() == []


def test_a_body_of_unknown_length_is_read_to_the_bound() -> None:
    body = BoundedInput(io.BytesIO(bytes(1000)), 1000)
    assert len(body.read(600)) + len(body.read(600)) + len(body.read()) == 1000
    body = BoundedInput(io.BytesIO(bytes(1001)), 1000)
    assert len(body.read(600)) == 600
    with pytest.raises(ContentTooLarge):
        body.read(600)
