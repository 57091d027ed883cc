"""The lock files hold what pyproject.toml asks for, each version once and with hashes."""

from __future__ import annotations

import re
import sys
import tomllib

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.project import read

RUN = "requirements.lock"
DEV = "requirements-dev.lock"
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)


def locked(path: str) -> dict[str, str]:
    """name -> version of what a lock file installs with this Python."""
    return {
        name: version
        for name, version, marker in _PIN.findall(read(path))
        if not marker or Marker(marker).evaluate()
    }


def required(extra: str = "") -> list[Requirement]:
    """What pyproject.toml asks for, with `extra` or at run time."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    asked = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return [Requirement(line) for line in asked]


@pytest.mark.parametrize(
    ("path", "requirement"),
    [(RUN, item) for item in required()] + [(DEV, item) for item in required() + required("dev")],
    ids=str,
)
def test_every_requirement_is_locked(path: str, requirement: Requirement) -> None:
    version = locked(path).get(canonicalize_name(requirement.name))
    assert version is not None, f"{path} lacks {requirement.name}: run `make lock`"
    assert requirement.specifier.contains(version), f"{path}: {requirement} is locked at {version}"


def test_development_adds_to_what_runs_and_changes_nothing() -> None:
    run, dev = locked(RUN), locked(DEV)
    assert {name: dev.get(name) for name in run} == run
    assert len(dev) > len(run)


def test_the_builder_is_locked_too() -> None:
    for line in tomllib.loads(read("pyproject.toml"))["build-system"]["requires"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(locked(RUN)[requirement.name])
        assert f'"{requirement}"' in read("Makefile")


@pytest.mark.parametrize("path", [RUN, DEV])
def test_every_pin_has_hashes(path: str) -> None:
    pins = re.split(r"^(?=[a-z0-9])", read(path), flags=re.MULTILINE)[1:]
    assert len(pins) == len(_PIN.findall(read(path)))
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_the_suite_runs_on_a_python_that_is_promised() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)
