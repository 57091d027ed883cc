"""Addresses, networks and names from which a peer may come."""

from __future__ import annotations

import socket

import pytest

from vna.scp.hosts import HostList, Names, resolve


def no_names(name: str) -> frozenset[str]:
    raise AssertionError(f"{name} was looked up")


@pytest.mark.parametrize(
    ("hosts", "address", "is_allowed"),
    [
        ((), "192.0.2.1", True),
        ((), "", True),
        (("192.0.2.1",), "192.0.2.1", True),
        (("192.0.2.1",), "192.0.2.10", False),
        (("192.0.2.1",), "::ffff:192.0.2.1", True),
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.7/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.1", False),
        (("2001:db8::/32",), "2001:db8::5", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("192.0.2.0/24",), "2001:db8::5", False),
        (("10.0.0.1", "192.0.2.1"), "192.0.2.1", True),
        (("192.0.2.1",), "", False),
        (("192.0.2.1",), "not an address", False),
    ],
)
def test_addresses_and_networks(hosts: tuple[str, ...], address: str, is_allowed: bool) -> None:
    assert HostList(hosts, Names(no_names)).allows(address) is is_allowed


def test_names_are_looked_up_once_in_a_while() -> None:
    asked: list[str] = []

    def lookup(name: str) -> frozenset[str]:
        asked.append(name)
        return frozenset(("192.0.2.1", "fe80::1%eth0"))

    hosts = HostList(("10.0.0.0/8", "ct1.example"), Names(lookup))
    assert hosts.allows("10.1.1.1")
    assert asked == []
    assert hosts.allows("192.0.2.1")
    assert hosts.allows("fe80::1")
    assert not hosts.allows("192.0.2.2")
    assert asked == ["ct1.example"]


def test_a_resolver_that_fails_keeps_what_was_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[frozenset[str] | OSError] = [
        frozenset(("192.0.2.1",)),
        socket.gaierror("away"),
    ]

    def lookup(name: str) -> frozenset[str]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr("vna.scp.hosts.FRESH_SECONDS", -1.0)
    hosts = HostList(("ct1.example",), Names(lookup))
    assert hosts.allows("192.0.2.1")
    assert hosts.allows("192.0.2.1")
    assert "ct1.example" in caplog.text
    assert not answers


def test_a_name_that_never_resolved_lets_nobody_in() -> None:
    def lookup(name: str) -> frozenset[str]:
        raise socket.gaierror("no such host")

    assert not HostList(("ct1.example",), Names(lookup)).allows("192.0.2.1")


def test_the_system_resolves_localhost() -> None:
    assert resolve("localhost") & {"127.0.0.1", "::1"}
