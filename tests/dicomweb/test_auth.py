"""Credentials: checked slowly, few at a time, and not again within a minute."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.datastructures import Authorization
from werkzeug.security import check_password_hash, generate_password_hash

from dicomweb import auth
from dicomweb.auth import REMEMBERED_SECONDS, Authenticator
from dicomweb.errors import Unauthorized
from vna.config import WebConfig

SETTINGS = WebConfig(users={"ann": generate_password_hash("secret", "pbkdf2:sha256:1")})


def basic(password: str, name: str = "ann") -> Authorization:
    return Authorization("basic", {"username": name, "password": password})


class Checks:
    """Counts what hashing is done, and how much at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = self.now = self.most = 0
        self._lock, self._together = threading.Lock(), threading.Event()
        self._check = check_password_hash
        monkeypatch.setattr(auth, "check_password_hash", self)

    def __call__(self, known: str, password: str) -> bool:
        with self._lock:
            self.count += 1
            self.now += 1
            self.most = max(self.most, self.now)
        self._together.wait(0.02)
        with self._lock:
            self.now -= 1
        return self._check(known, password)


def test_a_right_password_is_remembered_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    checks, now = Checks(monkeypatch), [0.0]
    authenticator = Authenticator(SETTINGS, lambda: now[0])
    for _ in range(3):
        assert authenticator.user(basic("secret")) == "ann"
    assert checks.count == 1
    now[0] = REMEMBERED_SECONDS
    assert authenticator.user(basic("secret")) == "ann"
    assert checks.count == 2


def test_a_wrong_one_is_not_remembered_and_takes_nothing_from_the_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks = Checks(monkeypatch)
    authenticator = Authenticator(SETTINGS)
    assert authenticator.user(basic("secret")) == "ann"
    for wrong in (basic("wrong"), basic("secret", "bob"), basic("")):
        with pytest.raises(Unauthorized):
            authenticator.user(wrong)
    assert checks.count == 4
    assert authenticator.user(basic("secret")) == "ann"
    assert checks.count == 4


def test_few_hashes_are_made_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch)
    authenticator = Authenticator(SETTINGS)

    def guess(number: int) -> None:
        with pytest.raises(Unauthorized):
            authenticator.user(basic(f"guess {number}"))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(guess, range(24)))
    assert checks.count == 24
    assert checks.most <= 2


def test_a_crowd_with_the_same_password_is_checked_once_or_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks = Checks(monkeypatch)
    authenticator = Authenticator(SETTINGS)
    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(lambda _: authenticator.user(basic("secret")), range(24))) == {"ann"}
    assert checks.count <= 2
