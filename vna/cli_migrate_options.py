"""The options of commands about campaigns, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from vna.cli_common import load
from vna.errors import ConfigError
from vna.migration.hours import parse_window
from vna.model.campaign import DIFFERENCES, CampaignSettings, Ceilings
from vna.model.migration import Scope
from vna.model.rules import RulesText

_MIB = 2**20
_DATE = click.DateTime(["%Y-%m-%d", "%Y%m%d"])

_PACE = (
    click.option("--associations", type=click.IntRange(1, 64), help="Studies at once, at most."),
    click.option("--instances-per-second", type=click.FloatRange(0), help="At most; 0: no bound."),
    click.option("--mib-per-second", type=click.FloatRange(0), help="At most; 0: no bound."),
    click.option(
        "--window",
        "windows",
        multiple=True,
        help="Hours with ceilings of their own: 'mon-fri 07:00-18:00 associations=1 instances=5 mib=2'; "
        "associations=0: no transfer. The first that fits counts; 'none' removes all.",
    ),
    click.option("--timezone", help="IANA name of the zone of the windows."),
    click.option("--attempts", type=click.IntRange(1, 1000), help="Until a study is parked."),
    click.option("--retry-seconds", type=click.FloatRange(0), help="Until the first retry."),
    click.option("--decode/--no-decode", default=None, help="Decode every frame to verify it."),
    click.option(
        "--allow-difference",
        "differences",
        multiple=True,
        type=click.Choice(DIFFERENCES),
        help="A keyword in which header and source may differ.",
    ),
)
_SCOPE = (
    click.option("--from", "first_date", type=_DATE, help="The first Study Date that is wanted."),
    click.option("--to", "last_date", type=_DATE, help="The last one."),
    click.option("--modality", "modalities", multiple=True, help="Only studies with this one."),
    click.option("--patient-id", default="", help="Only studies of this patient."),
    click.option("--study", "studies", multiple=True, help="Only this Study Instance UID."),
)


def pace_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how a campaign works."""
    for option in reversed(_PACE):
        command = option(command)
    return command


def scope_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which studies are wanted."""
    for option in reversed(_SCOPE):
        command = option(command)
    return command


def rules_option(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the option that names a file with tag rules."""
    return click.option(
        "--rules", "rules_file", type=click.Path(path_type=Path, dir_okay=False), help=what
    )


def rules_of(options: Mapping[str, object]) -> RulesText | None:
    """The rules of that file; None without one, no rules for "none". Raises ConfigError."""
    path = options.get("rules_file")
    if path is None:
        return None
    if str(path) == "none":
        return RulesText()
    from vna.migration.rules.declaration import read_rules

    return read_rules(Path(str(path)), load(options)[0].archive.ae_title)


def settings_of(options: Mapping[str, object], known: CampaignSettings) -> CampaignSettings:
    """`known` with what the options say. Raises ConfigError."""
    ceilings = Ceilings(
        _int(options, "associations", known.ceilings.associations),
        _float(options, "instances_per_second", known.ceilings.instances_per_second),
        _float(options, "mib_per_second", known.ceilings.bytes_per_second / _MIB) * _MIB,
    )
    timezone = str(options.get("timezone") or known.timezone)
    _check_timezone(timezone)
    windows, texts = known.windows, _texts(options, "windows")
    if texts:
        windows = tuple(parse_window(text, ceilings) for text in texts if text != "none")
    decode = options.get("decode")
    return replace(
        known,
        ceilings=ceilings,
        windows=windows,
        timezone=timezone,
        attempts=_int(options, "attempts", known.attempts),
        retry_seconds=_float(options, "retry_seconds", known.retry_seconds),
        decode=known.decode if decode is None else bool(decode),
        differences=tuple(_texts(options, "differences")) or known.differences,
    )


def scope_of(options: Mapping[str, object]) -> Scope:
    """Which studies are wanted. Raises ConfigError."""
    first, last = _date(options, "first_date"), _date(options, "last_date")
    if first is not None and last is not None and last < first:
        raise ConfigError(f"--to {last} is before --from {first}")
    return Scope(
        first,
        last,
        tuple(text.upper() for text in _texts(options, "modalities")),
        str(options.get("patient_id") or ""),
        tuple(_texts(options, "studies")),
    )


def source_options(pairs: Sequence[str]) -> dict[str, str]:
    """What `--option KEY=VALUE` says. Raises ConfigError."""
    values: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise ConfigError(f"--option {pair!r} is not KEY=VALUE")
        values[key.strip()] = value
    return values


def uids_of(uids: Sequence[str], file: Path | None) -> list[str]:
    """UIDs from the command line and from a file with one a line; what is behind a space there is a comment.

    Raises ConfigError for a file that can't be read, or has something else in it.
    """
    found = list(uids)
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{file} can't be read: {exc}") from exc
        for number, line in enumerate(lines, 1):
            words = line.split("#")[0].split()
            if words and not set(words[0]) <= set("0123456789."):
                raise ConfigError(f"{file}, line {number}: {words[0][:80]!r} is no UID")
            found += words[:1]
    if not found:
        raise ConfigError("name Study Instance UIDs, or a file with --file")
    return found


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ConfigError(
            f"--timezone {name!r} is not known: give a name like Europe/Berlin"
        ) from exc


def _int(options: Mapping[str, object], key: str, known: int) -> int:
    value = options.get(key)
    return known if value is None else int(str(value))


def _float(options: Mapping[str, object], key: str, known: float) -> float:
    value = options.get(key)
    return known if value is None else float(str(value))


def _texts(options: Mapping[str, object], key: str) -> list[str]:
    values = options.get(key)
    return [str(value) for value in values] if isinstance(values, tuple) else []


def _date(options: Mapping[str, object], key: str) -> date | None:
    value = options.get(key)
    return value.date() if isinstance(value, datetime) else None
