"""Checks a certificate with nothing but the file itself, and a public key where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vna.errors import ConfigError
from vna.migration.certificate import keys
from vna.migration.certificate.chain import ChainReader, Link, NotProven
from vna.migration.certificate.form import (
    ATTEMPT,
    FOOT,
    FORMAT,
    HEAD,
    INSTANCE,
    STUDY,
    VERSION,
    Tally,
)

_LONGEST_LINE = 2**26
_TOLD_EVERY = 1000


def _has(*texts: str, **others: Sequence[object]) -> Callable[[object], bool]:
    """Whether something has all these `texts`, and one of these values under each other name."""

    def is_right(found: object) -> bool:
        return (
            isinstance(found, dict)
            and all(isinstance(found.get(name), str) for name in texts)
            and all(found.get(name) in values for name, values in others.items())
        )

    return is_right


_is_check = _has("ended_at", result=("passed", "failed", "outdated"), reread=(True, False))
_IN_HEAD: Mapping[str, Callable[[object], bool]] = {
    "made_at": lambda found: isinstance(found, str),
    "made_by": _has("software", "operator"),
    "campaign": _has("name"),
    "counts": _has(),
    "final_check": lambda found: found is None or _is_check(found),
}
"""What is shown of a head: anybody may write one, with a key of his own."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate that is as it was signed. `is_expected_key`: by the key that was given; None without one."""

    lines: int
    head: Mapping[str, Any]
    foot: Mapping[str, Any]
    last_hash: str
    fingerprint: str
    is_expected_key: bool | None


def check_certificate(
    file: BinaryIO,
    expected: Ed25519PublicKey | None = None,
    on_lines: Callable[[int], None] = lambda _: None,
) -> Checked:
    """Read a certificate to its end, a line at a time.

    Raises NotProven with the first line that does not fit, or when another key has signed it; ConfigError for one of a
    later form; OSError.
    """
    chain, tally = ChainReader(), Tally()
    links = _links(file, chain, on_lines)
    first = next(links, None)
    if first is None:
        raise NotProven("line 1 is missing: the file is empty")
    head = _head(first)
    foot = _middle(links, chain, tally)
    if next(links, None) is not None:
        raise NotProven(f"line {chain.count} is behind the end of the certificate")
    key = _signer(foot, chain.count)
    _check_counts(head, foot.values, tally, chain.count)
    return Checked(
        lines=chain.count,
        head=head,
        foot=foot.values,
        last_hash=foot.own_hash,
        fingerprint=keys.fingerprint(key),
        is_expected_key=_is_expected(key, expected),
    )


def _links(file: BinaryIO, chain: ChainReader, on_lines: Callable[[int], None]) -> Iterator[Link]:
    while line := file.readline(_LONGEST_LINE):
        link = chain.follow(line)
        if link.signature and link.values.get("line") != FOOT:
            raise NotProven(f"line {chain.count} has a signature, which the last line alone has")
        if not chain.count % _TOLD_EVERY:
            on_lines(chain.count)
        yield link


def _head(link: Link) -> Mapping[str, Any]:
    head = link.values
    if head.get("line") != HEAD or head.get("format") != FORMAT:
        raise NotProven("line 1 is not the head of a certificate")
    if head.get("version") != VERSION:
        raise ConfigError(
            f"the certificate has version {head.get('version')!r}, known is {VERSION}: check it with a newer archive"
        )
    for name, is_right in _IN_HEAD.items():
        if not is_right(head.get(name)):
            raise NotProven(f"line 1 has no {name} as a certificate has it")
    return head


def _middle(links: Iterator[Link], chain: ChainReader, tally: Tally) -> Link:
    """Everything between head and foot; the foot."""
    study: object = None
    for link in links:
        kind = link.values.get("line")
        if kind == FOOT:
            return link
        if kind == STUDY:
            study = link.values.get("study_instance_uid")
        elif kind not in (INSTANCE, ATTEMPT) or link.values.get("study_instance_uid") != study:
            raise NotProven(f"line {chain.count} does not belong to the study before it")
        try:
            tally.add(kind, link.values)
        except ValueError as exc:
            raise NotProven(f"line {chain.count} is no line of a certificate: {exc}") from exc
    raise NotProven(f"line {chain.count + 1} is missing: the end is cut off")


def _signer(foot: Link, number: int) -> Ed25519PublicKey:
    try:
        key = keys.key_of(str(foot.values.get("public_key")))
    except ValueError as exc:
        raise NotProven(f"line {number} is signed with {exc}") from exc
    if not foot.signature or not keys.has_signed(key, foot.own_hash, foot.signature):
        raise NotProven(f"line {number}: the signature is not of this text and this key")
    return key


def _is_expected(key: Ed25519PublicKey, expected: Ed25519PublicKey | None) -> bool | None:
    if expected is None:
        return None
    if keys.fingerprint(key) != keys.fingerprint(expected):
        raise NotProven(
            f"it is signed with another key: {keys.fingerprint(key)}, not {keys.fingerprint(expected)}"
        )
    return True


def _check_counts(
    head: Mapping[str, Any], foot: Mapping[str, Any], tally: Tally, lines: int
) -> None:
    """What it says of itself has to be so, whoever has signed it."""
    told = (foot.get("lines"), foot.get("counts"), foot.get("attempts"))
    if told != (lines, tally.counts(), tally.attempts):
        raise NotProven(f"line {lines} counts other lines than there are")
    if head["counts"].get("instances") != tally.counts()["instances"]:
        raise NotProven("line 1 counts other instances than there are")
